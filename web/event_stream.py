"""The events of a job as server-sent events: what has happened, then what happens, until the job has ended.

The id of an event says all a client knows, so that it can go on with any process, after any break, without loss or repetition.
"""

import functools
import operator
import re
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import flask
import pydantic
import sqlalchemy.exc

from models import job_glances, session
from models.job import Job, JobEvent
from models.job_glances import Account, Glance
from models.job_states import JobStatus
from web import event_schemas, formats, job_object, lookout, problem_types, problems, query, seats, waiting
from web.formats import Format

EVENT_STREAM = Format("events", ("text/event-stream",))

# Proxies close what is silent for a minute; and writing is how a client that has left is noticed.
HEARTBEAT_SECONDS = 15.0
# Then the client comes again, and shows a key that is still valid.
LONGEST_SECONDS = 600.0
# How soon a client comes again after a break.
RETRY_MILLISECONDS = 1000
RETRY_SECONDS_WHEN_FULL = "5"

_HEARTBEAT = b":\n\n"
_RETRY = f"retry: {RETRY_MILLISECONDS}\n\n".encode()


@dataclass(frozen=True, slots=True)
class Known:
    """What a client knows: all events up to one, and how far the job had come after it."""

    event: int = 0
    progress: str | None = None

    def __str__(self) -> str:
        return str(self.event) if self.progress is None else f"{self.event}-{self.progress}"

    @classmethod
    def parse(cls, event_id: str) -> "Known":
        event, _, progress = event_id.partition("-")
        return cls(int(event), progress or None)


@dataclass(frozen=True, slots=True)
class Told:
    """A message, and what the client knows after it."""

    known: Known
    message: bytes


def answer(job: Job) -> flask.Response:
    """Answer with the events of a job; with 204 where the client has them all, which tells it not to come again.

    Raises:
        problems.Problem: no stream of events is wanted, or too many are open.
    """
    formats.chosen(None, (EVENT_STREAM,))
    known = _asked_for()
    account = _read(job, known)
    if account.glance is not None and account.glance.is_final and known.event == account.glance.last_event:
        return flask.Response(status=204)
    if account.glance is not None and known.event > account.glance.last_event:
        # Nothing that was ever said of this job: the client is told everything.
        known = Known()
        account = _read(job, known)
    with ExitStack() as place:
        if not place.enter_context(waiting.place()):
            raise _too_many()
        response = flask.Response(_stream(job, known, account), content_type="text/event-stream")
        response.call_on_close(place.pop_all().close)
    # nginx would keep the events to itself until it had some kilobytes of them.
    response.headers["X-Accel-Buffering"] = "no"
    return response


def _asked_for() -> Known:
    in_query = query.read(event_schemas.EventsQuery).last_event_id
    given = flask.request.headers.get("Last-Event-ID") or in_query
    if given is None:
        return Known()
    if re.fullmatch(event_schemas.EVENT_ID, given) is None:
        raise problems.refused(
            problems.FieldError("#/header/Last-Event-ID", "not-an-event-id", "No event here has had such an id.")
        )
    return Known.parse(given)


def _too_many() -> problems.Problem:
    return problems.Problem(
        problem_types.TOO_MANY_WATCHERS,
        "As many callers as this server has places for are waiting for jobs. Fetch the job itself instead, or try again in "
        f"{RETRY_SECONDS_WHEN_FULL} seconds.",
        headers={"Retry-After": RETRY_SECONDS_WHEN_FULL},
    )


def _stream(job: Job, known: Known, account: Account | None) -> Iterator[bytes]:
    """Tell what the client does not know; wait for more, without a seat; and so on until the job has ended or is gone."""
    seats.leave()
    yield _RETRY
    seen: Glance | None = None
    ends_at = time.monotonic() + LONGEST_SECONDS
    while (left := ends_at - time.monotonic()) > 0:
        if account is not None:
            for told in _news(account, known):
                known = told.known
                yield told.message
            if account.is_gone or any(_is_the_end(event) for event in account.events):
                return
            seen = account.glance
        news = functools.partial(operator.ne, seen)
        why = lookout.of_process().wait(job.id, is_news=news, seconds=min(HEARTBEAT_SECONDS, left))
        if why is lookout.Seen.CLOSING:
            break
        if why is lookout.Seen.NOTHING:
            yield _HEARTBEAT
        account = _read_again(job, known)
    # Come again, and soon: to another process, or with a key that is looked at anew.
    yield _RETRY


def _read_again(job: Job, known: Known) -> Account | None:
    """Return what there is to tell; None: the database does not say."""
    try:
        with seats.held():
            return _read(job, known)
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError):
        return None


def _read(job: Job, known: Known) -> Account:
    with session.statement() as db:
        return job_glances.account(db, job.id, organisation_id=job.organisation_id, after=known.event)


def _news(account: Account, known: Known) -> Iterator[Told]:
    """Yield what a client does not know yet."""
    for event in account.events:
        # What it had done is still done, unless it is another attempt's turn.
        known = Known(event.id, known.progress if event.from_status == event.to_status else None)
        yield Told(known, _message("state", known, _state(event)))
        if _is_the_end(event):
            return
    job = account.job
    if job is None or account.glance is None or job.status != JobStatus.RUNNING:
        return
    # An event that came between the glance and the events is told with the next glance.
    if account.glance.progress is not None and account.glance.progress != known.progress:
        known = Known(known.event, account.glance.progress)
        yield Told(known, _message("progress", known, _progress(job)))


def _is_the_end(event: JobEvent) -> bool:
    return JobStatus(event.to_status).is_final


def _state(event: JobEvent) -> event_schemas.StateEvent:
    return event_schemas.StateEvent(
        job=event.job_id,
        at=event.at,
        status=JobStatus(event.to_status),
        previous=None if event.from_status is None else JobStatus(event.from_status),
        reason=event.reason,
        attempt=event.attempt,
        error=job_object.error(event.error),
        by=event.actor,
        note=event.note,
    )


def _progress(job: Job) -> event_schemas.ProgressEvent:
    return event_schemas.ProgressEvent(job=job.id, attempt=job.attempt, progress=job.progress)


def _message(kind: str, known: Known, data: pydantic.BaseModel) -> bytes:
    return f"event: {kind}\nid: {known}\ndata: {data.model_dump_json()}\n\n".encode()
