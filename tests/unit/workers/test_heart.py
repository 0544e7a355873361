"""Which cancelled jobs the heart ends halfway."""

import pytest

from models.job import Job
from workers import heart


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
