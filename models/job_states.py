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
    """What a job does. Each kind has one Celery task."""

    REPORT = "report"
    """Computes an answer and stores it."""

    IMPORT = "import"
    """Makes a file part of a dataset."""

    PREVIEW = "preview"
    """Says what an import of a file would do, and changes nothing."""

    RESTORE = "restore"
    """Makes an older version of a dataset its newest one."""

    ERASURE = "erasure"
    """Removes a person from everything that is kept."""

    COMPACTION = "compaction"
    """Tidies the files of a dataset; its rows stay what they are."""


WRITES_LAKE = frozenset({JobKind.IMPORT, JobKind.RESTORE, JobKind.ERASURE, JobKind.COMPACTION})
"""Kinds that may have committed to the lake just before their process died: they can only be finished, not taken back."""


class Reason(StrEnum):
    """Why a job changed its state; kept with the change in `job_events`."""

    ACCEPTED = "accepted"
    """The job was committed."""

    CLAIMED = "claimed"
    """A worker took it."""

    FINISHED = "finished"
    """Its results were committed."""

    PERMANENT_ERROR = "permanent-error"
    """Trying again cannot help."""

    TRANSIENT_ERROR = "transient-error"
    """An error that may pass; it counts against `max_attempts`."""

    INTERRUPTED = "interrupted"
    """The database or the disk was in the way, not the job; it counts against nothing."""

    ERRORS_USED_UP = "errors-used-up"
    """The last attempt ended in an error."""

    TIMED_OUT = "timed-out"
    """It ran past its limit."""

    WORKER_LOST = "worker-lost"
    """Its process died; its parent saw that."""

    LEASE_EXPIRED = "lease-expired"
    """Nothing was heard of its worker for as long as a lease lasts."""

    CRASHES_USED_UP = "crashes-used-up"
    """It took too many processes with it."""

    CANCEL_REQUESTED = "cancel-requested"
    """Somebody asked for its end while it ran; its state is still the same."""

    CANCELLED = "cancelled"
    """Somebody asked for its end, and it has ended."""

    DELETED = "deleted"
    """Somebody removed what it had asked and answered; its state is still the same."""
