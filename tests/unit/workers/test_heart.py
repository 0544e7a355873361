"""Which cancelled jobs the heart ends halfway, and who it takes to be at work on them."""

import uuid

import pytest

from models.job import Job
from workers import heart
from workers.workboard import Work

JOB = Job(id=uuid.UUID(int=7), attempt=2, worker_pid=100)


@pytest.mark.parametrize(
    ("kind", "params", "may"),
    [
        ("report", {}, True),
        ("import", {}, True),
        ("erasure", {"dry_run": True}, True),
        ("erasure", {"dry_run": False}, False),
    ],
)
def test_only_an_erasure_that_changes_something_is_let_finish(kind: str, params: dict[str, bool], *, may: bool) -> None:
    assert heart._may_be_stopped(Job(kind=kind, params=params)) is may


@pytest.mark.parametrize(
    ("pid", "attempt", "is_at"),
    [
        (100, 2, True),
        # It has claimed the job, and stands still before it says so.
        (100, 0, True),
        (100, 1, False),
        (101, 2, False),
        # Another child has a second message of the same job.
        (101, 0, False),
    ],
)
def test_who_is_at_a_job(pid: int, attempt: int, *, is_at: bool) -> None:
    assert heart._is_at(Work(pid, JOB.id, attempt), JOB) is is_at
