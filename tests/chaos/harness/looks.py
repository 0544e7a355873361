"""Looks at single jobs and at the broker's lists, for scenarios that follow one job."""

from typing import Any

from tests.chaos.harness.running import ChaosStack
from tests.client import Json

# kombu's name for the messages that a worker has taken and not acknowledged.
UNACKED = "unacked"


def state_of(stack: ChaosStack, job_id: str) -> Json:
    """Return a job's row as far as a scenario looks at it."""
    columns = ("status", "reason", "attempt", "errors", "crashes", "error")
    rows = stack.rows(f"SELECT {', '.join(columns)} FROM jobs WHERE id = %(id)s", {"id": job_id})
    return dict(zip(columns, rows[0], strict=True))


def claims_of(stack: ChaosStack, job_id: str) -> list[float]:
    """Return when a job was claimed, each time."""
    query = (
        "SELECT extract(epoch FROM at)::float8 FROM job_events WHERE job_id = %(id)s AND reason = 'claimed' ORDER BY id"
    )
    return [float(row[0]) for row in stack.rows(query, {"id": job_id})]


def list_keys(queue: str) -> tuple[str, str]:
    """Return the names of a queue's two lists in Redis."""
    return (queue, f"{queue}\x06\x169")


def is_nowhere(stack: ChaosStack, queue: str, job_id: str) -> bool:
    """Tell whether Redis has no message of a job: in no list, and in no worker's hands that it knows of."""
    with stack.redis() as connection:
        texts: list[Any] = [text for key in list_keys(queue) for text in connection.lrange(key, 0, -1)]
        texts += connection.hvals(UNACKED)
    return not any(job_id.encode() in text for text in texts)


def given_up_after(stack: ChaosStack, job_id: str, since: float) -> float | None:
    """Return when a job that ran at this time was queued again because its lease was over; None: it ended otherwise."""
    query = (
        "SELECT reason, extract(epoch FROM at)::float8 FROM job_events"
        " WHERE job_id = %(id)s AND at > to_timestamp(%(since)s) ORDER BY id LIMIT 1"
    )
    # None at all: it was ending when the kill came, and its commit is counted from when it began.
    first = next(iter(stack.rows(query, {"id": job_id, "since": since})), None)
    return float(first[1]) if first is not None and first[0] == "lease-expired" else None
