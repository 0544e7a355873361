"""The states of a job and the ways between them, said once. The database enforces the same table by a trigger."""

from enum import StrEnum


class JobStatus(StrEnum):
    QUEUED = "queued"
    """Accepted and waiting: for a worker, for its turn, or for `run_at` after an error."""

    RUNNING = "running"
    """Claimed by a worker whose lease has not been taken away."""

    SUCCEEDED = "succeeded"
    """Finished; its results were committed together with this state."""

    FAILED = "failed"
    """Ended without a result: the error is permanent, or attempts, crashes or time are used up."""

    CANCELLED = "cancelled"
    """Ended without a result because somebody asked for that."""

    @property
    def is_final(self) -> bool:
        return not TRANSITIONS[self]


TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    JobStatus.QUEUED: frozenset({JobStatus.RUNNING, JobStatus.CANCELLED, JobStatus.FAILED}),
    JobStatus.RUNNING: frozenset({JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED, JobStatus.QUEUED}),
    JobStatus.SUCCEEDED: frozenset(),
    JobStatus.FAILED: frozenset(),
    JobStatus.CANCELLED: frozenset(),
}

UNFINISHED = tuple(status for status, ways_on in TRANSITIONS.items() if ways_on)


class JobKind(StrEnum):
    """What a job does. Each kind has one Celery task and one queue."""

    REPORT = "report"
    IMPORT = "import"


class Reason(StrEnum):
    """Why a job changed its state; kept with the change in `job_events`."""

    ACCEPTED = "accepted"
    CLAIMED = "claimed"
    FINISHED = "finished"
    PERMANENT_ERROR = "permanent-error"
    TRANSIENT_ERROR = "transient-error"
    ERRORS_USED_UP = "errors-used-up"
    TIMED_OUT = "timed-out"
    WORKER_LOST = "worker-lost"
    LEASE_EXPIRED = "lease-expired"
    CRASHES_USED_UP = "crashes-used-up"
    CANCELLED = "cancelled"
