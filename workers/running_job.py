"""A claimed job, as a task body sees it: what to do, where to put half-done work, how to say how far it is, how to finish."""

import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy.orm import Session

from models import failpoints, session, settings, transitions
from models.base import Json
from models.failpoints import Point
from models.job import Job
from workers import interrupts
from workers.errors import CancelledError, LeaseLostError

PROGRESS_SECONDS = 0.4


@dataclass(slots=True)
class Finish:
    """The final transaction. What is written to `session` is committed together with the job's success, or not at all."""

    session: Session
    outcome: Json | None = None
    keep_result: timedelta | None = None


class RunningJob:
    """One attempt at a job. Everything it writes is fenced by its attempt number."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._progress_written_at = time.monotonic()
        self._has_effect = False
        self._lane_wants_more = True
        self._is_told = True

    @property
    def is_told(self) -> bool:
        """Whether somebody is to be told of its end; True where that is not known."""
        return self._is_told

    @property
    def lane_wants_more(self) -> bool:
        """Whether other jobs of its lane should be let in now; True where that is not known."""
        return self._lane_wants_more

    @property
    def has_effect(self) -> bool:
        """Whether this attempt has changed something outside the database, so that the job must come to its end."""
        return self._has_effect

    def took_effect(self) -> None:
        """Say that something outside the database was changed, under the job's id: from here there is no way back."""
        self._has_effect = True

    @property
    def id(self) -> uuid.UUID:
        return self._job.id

    @property
    def organisation_id(self) -> uuid.UUID:
        return self._job.organisation_id

    @property
    def type(self) -> str:
        return self._job.type

    @property
    def attempt(self) -> int:
        return self._job.attempt

    @property
    def params(self) -> Json:
        return self._job.params

    @property
    def dataset_versions(self) -> dict[str, int]:
        return dict(self._job.dataset_versions or {})

    @property
    def reuse_key(self) -> bytes | None:
        return self._job.reuse_key

    @property
    def upload(self) -> Json:
        return dict(self._job.upload or {})

    @property
    def upload_path(self) -> Path:
        return settings.load().upload_folder / str(self.id)

    def check_cancelled(self) -> None:
        """Stop here if somebody has asked for that.

        Raises:
            CancelledError: somebody has.
        """
        if self._job.cancel_requested_at is not None:
            raise CancelledError

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Give an empty folder that is gone afterwards; what earlier attempts left behind goes as well."""
        parent = settings.load().scratch_folder / str(self.id)
        shutil.rmtree(parent, ignore_errors=True)
        folder = parent / str(self.attempt)
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(parent, ignore_errors=True)

    def progress(self, phase: str, done: int | None = None, total: int | None = None, **figures: float | None) -> None:
        """Say how far the job has come. Written at most a few times a second, so it may be called as often as one likes.

        `figures` are what else is known, such as `rows` and `seconds_left`.

        Raises:
            LeaseLostError: another attempt owns the job; stop working.
        """
        now = time.monotonic()
        if now - self._progress_written_at < PROGRESS_SECONDS:
            return
        self._progress_written_at = now
        progress: Json = {"phase": phase, "done": done, "total": total, **figures}
        with session.transaction() as db:
            if not transitions.report_progress(db, self.id, attempt=self.attempt, progress=progress):
                raise LeaseLostError

    @contextmanager
    def finish(self, *, patience_seconds: int | None = None) -> Iterator[Finish]:
        """Open the final transaction: results, the job's success and its event are committed as one.

        The job's row is locked from the start, so that neither the rescue sweep nor a cancellation can come between. No
        signal can either: a time limit that has not struck before does not strike in here. A body that works in here for
        longer than moments says for how long at most, because a silent transaction is taken for a dead one.

        Raises:
            LeaseLostError: another attempt owns the job; nothing was written.
        """
        with interrupts.uninterruptible():
            with session.transaction() as db:
                if not transitions.hold(db, self.id, self.attempt):
                    raise LeaseLostError
                if patience_seconds is not None:
                    session.be_patient(db, patience_seconds)
                final = Finish(session=db)
                yield final
                finished = transitions.succeed(
                    db,
                    self.id,
                    attempt=self.attempt,
                    outcome=final.outcome,
                    keep_result=final.keep_result,
                    max_in_flight=settings.load().max_in_flight,
                )
                if finished is None:
                    raise LeaseLostError
                self._lane_wants_more = finished.lane_wants_more
                self._is_told = finished.is_told
                failpoints.hit(Point.FINISH_BEFORE_COMMIT)
            failpoints.hit(Point.FINISH_AFTER_COMMIT)
