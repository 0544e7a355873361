"""Streams of events: what they tell, in which order, how they are resumed and refused. Called without a socket."""

import contextlib
import uuid
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest

from models import session, settings, transitions
from models.api_key import Scope
from models.job import Job
from models.job_states import Reason
from tests.integration import event_reading, web_api
from tests.integration.event_reading import Comment, Event, Retry
from tests.integration.web_api import Caller
from web import event_schemas, event_stream, waiting

TABLE = pa.table({"n": [1]})


@pytest.fixture
def job(ready: Caller) -> dict[str, Any]:
    return submit(ready)


def submit(caller: Caller) -> dict[str, Any]:
    made: dict[str, Any] = caller.post("/v1/reports", {"type": "rfm", "max_age": 0}).json
    return made


def read(caller: Caller, job: dict[str, Any], **headers: str) -> list[Event]:
    """The events of a job that has ended."""
    answer = caller.get(job["links"]["events"], **headers)
    assert answer.status_code == 200, answer.text
    return event_reading.events(answer.text)


@contextlib.contextmanager
def following(caller: Caller, path: str, **headers: str) -> Iterator[Iterator[Event | Comment | Retry]]:
    """The events of a job as they come."""
    answer = caller.http.get(path, headers={"Authorization": f"Bearer {caller.secret}", **headers}, buffered=False)
    assert answer.status_code == 200, answer.text
    try:
        yield event_reading.read(line for piece in answer.response for line in _text(piece).splitlines())
    finally:
        answer.close()


def _text(piece: str | bytes) -> str:
    return piece if isinstance(piece, str) else piece.decode()


def next_event(stream: Iterator[Event | Comment | Retry]) -> Event:
    return next(one for one in stream if isinstance(one, Event))


def report_progress(job: Job, done: int) -> None:
    with session.transaction() as db:
        progress = {"phase": "compute", "done": done, "total": 5}
        assert transitions.report_progress(db, job.id, attempt=job.attempt, progress=progress)


def test_a_stream_tells_all_that_has_happened_and_ends(ready: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    told = read(ready, job)
    assert [(event.data["previous"], event.status, event.data["reason"]) for event in told] == [
        (None, "queued", "accepted"),
        ("queued", "running", "claimed"),
        ("running", "succeeded", "finished"),
    ]
    assert {event.kind for event in told} == {"state"}
    assert [event.data["attempt"] for event in told] == [0, 1, 1]
    numbers = [int(event.id) for event in told]
    assert numbers == sorted(set(numbers))
    for event in told:
        assert event.data["job"] == job["id"]
        assert event.data["at"].endswith("Z")
        event_schemas.StateEvent.model_validate(event.data)


def test_what_happens_is_told_while_it_happens(ready: Caller, job: dict[str, Any]) -> None:
    with following(ready, job["links"]["events"]) as stream:
        assert next(stream) == Retry(event_stream.RETRY_MILLISECONDS)
        assert next_event(stream).status == "queued"
        row = web_api.start(job["id"])
        assert next_event(stream).status == "running"
        for done in (1, 2):
            report_progress(row, done)
            told = next_event(stream)
            assert told.kind == "progress"
            assert event_schemas.ProgressEvent.model_validate(told.data).progress.done == done
            assert told.data["attempt"] == 1
        with session.transaction() as db:
            assert transitions.request_cancel(db, row.id, by="key rk_x", why="not needed")
        asked = next_event(stream)
        assert (asked.status, asked.data["previous"], asked.data["reason"]) == (
            "running",
            "running",
            "cancel-requested",
        )
        assert (asked.data["by"], asked.data["note"]) == ("key rk_x", "not needed")
        with session.transaction() as db:
            assert transitions.cancel_running(db, row.id, row.attempt)
        assert next_event(stream).status == "cancelled"
        assert list(stream) == []


def test_a_failure_is_told_with_its_error(ready: Caller, job: dict[str, Any]) -> None:
    row = web_api.start(job["id"])
    error = {"type": "internal-error", "title": "It broke", "detail": "Why."}
    with session.transaction() as db:
        assert transitions.fail(db, row.id, attempt=row.attempt, reason=Reason.PERMANENT_ERROR, error=error)
    last = read(ready, job)[-1]
    assert last.status == "failed"
    assert last.data["error"] == {**error, "type": "/docs/problems/internal-error"}
    assert last.data["error"] == ready.get(job["links"]["self"]).json["error"]


def test_resumed_anywhere_nothing_is_lost_and_nothing_told_twice(ready: Caller, job: dict[str, Any]) -> None:
    row = web_api.start(job["id"])
    with session.transaction() as db:
        assert transitions.request_cancel(db, row.id, by="key rk_x", why=None)
        assert transitions.cancel_running(db, row.id, row.attempt)
    whole = read(ready, job)
    assert len(whole) == 4
    for known in range(1, len(whole)):
        last = whole[known - 1].id
        assert whole[:known] + read(ready, job, Last_Event_ID=last) == whole
        in_query = {**job, "links": {"events": f"{job['links']['events']}?last_event_id={last}"}}
        assert whole[:known] + read(ready, in_query) == whole
        # Clients that come again send the header by themselves, and the first address.
        assert read(ready, in_query, Last_Event_ID=whole[-2].id) == whole[-1:]


def test_progress_that_is_known_is_not_told_again(ready: Caller, job: dict[str, Any]) -> None:
    row = web_api.start(job["id"])
    report_progress(row, 1)
    with following(ready, job["links"]["events"]) as stream:
        told = [next_event(stream) for _ in range(3)][-1]
    assert told.kind == "progress"
    with following(ready, job["links"]["events"], **{"Last-Event-ID": told.id}) as stream:
        report_progress(row, 2)
        following_one = next_event(stream)
    assert following_one.data["progress"]["done"] == 2
    # Progress comes after the state in which it was made: with the id of that state it is told.
    with following(ready, job["links"]["events"], **{"Last-Event-ID": told.id.partition("-")[0]}) as stream:
        assert next_event(stream) == following_one


def test_who_has_everything_is_told_not_to_come_again(ready: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = ready.get(job["links"]["events"], Last_Event_ID=read(ready, job)[-1].id)
    assert (answer.status_code, answer.data) == (204, b"")


def test_an_id_that_was_never_given_out_loses_nothing(ready: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    assert read(ready, job, Last_Event_ID="9" * 18) == read(ready, job)
    assert read(ready, job, Last_Event_ID="") == read(ready, job)


@pytest.mark.parametrize("wrong", ["abc", "-1", "1-", "1-xyz", "9" * 19, "1;2"])
def test_an_id_that_is_none_is_refused(ready: Caller, job: dict[str, Any], wrong: str) -> None:
    refused = ready.get(job["links"]["events"], Last_Event_ID=wrong)
    assert refused.status_code == 422
    assert [error["pointer"] for error in refused.json["errors"]] == ["#/header/Last-Event-ID"]
    refused = ready.get(f"{job['links']['events']}?last_event_id={wrong.replace(';', '%3B')}")
    assert [error["pointer"] for error in refused.json["errors"]] == ["#/query/last_event_id"]


def test_headers_keep_everything_between_from_holding_events_back(ready: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = ready.get(job["links"]["events"], Accept="text/event-stream", Accept_Encoding="gzip, zstd")
    assert answer.content_type == "text/event-stream"
    assert answer.headers["X-Accel-Buffering"] == "no"
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Content-Encoding" not in answer.headers
    assert "Content-Length" not in answer.headers


def test_streams_are_where_the_jobs_are(ready: Caller, job: dict[str, Any]) -> None:
    upload = ready.send("/v1/imports?dataset=orders", web_api.CSV).json
    assert upload["links"]["events"] == f"/v1/imports/{upload['id']}/events"
    for made in (job, upload):
        with (
            following(ready, made["links"]["events"]) as own,
            following(ready, f"/v1/jobs/{made['id']}/events") as any_,
        ):
            assert next_event(own) == next_event(any_)
    assert ready.get(f"/v1/imports/{job['id']}/events").status_code == 404
    assert ready.get(f"/v1/reports/{upload['id']}/events").status_code == 404


def test_others_see_nothing(ready: Caller, job: dict[str, Any]) -> None:
    stranger = web_api.new_caller(ready.http)
    unable = web_api.another_key(ready, Scope.DATASETS_READ)
    for path in (f"/v1/reports/{job['id']}/events", f"/v1/jobs/{job['id']}/events"):
        assert stranger.get(path).status_code == 404
        assert unable.get(path).status_code == 403
        assert ready.call("GET", path).status_code == 401
    assert ready.get(f"/v1/jobs/{uuid.uuid4()}/events").status_code == 404
    assert ready.get("/v1/jobs/nonsense/events").status_code == 404


def test_who_cannot_read_events_is_told_so(ready: Caller, job: dict[str, Any]) -> None:
    refused = ready.get(job["links"]["events"], Accept="application/json")
    assert refused.status_code == 406
    assert [one["media_type"] for one in refused.json["available"]] == ["text/event-stream"]


def test_silence_is_filled(ready: Caller, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "HEARTBEAT_SECONDS", 0.01)
    with following(ready, job["links"]["events"]) as stream:
        assert next_event(stream).status == "queued"
        assert [next(stream) for _ in range(3)] == [Comment()] * 3
        web_api.finish(job["id"], TABLE)
        assert [one.status for one in stream if isinstance(one, Event)] == ["running", "succeeded"]


def test_a_stream_that_has_lasted_ends_and_says_when_to_come_again(
    ready: Caller, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_stream, "LONGEST_SECONDS", 0.0)
    with following(ready, job["links"]["events"]) as stream:
        assert list(stream) == [Retry(event_stream.RETRY_MILLISECONDS)] * 2


def test_when_all_places_are_taken_others_poll(ready: Caller, job: dict[str, Any]) -> None:
    with contextlib.ExitStack() as places:
        while places.enter_context(waiting.place()):
            pass
        refused = ready.get(job["links"]["events"])
        assert (refused.status_code, refused.json["type"]) == (503, "/docs/problems/too-many-watchers")
        assert int(refused.headers["Retry-After"]) > 0
        at_once = ready.get(job["links"]["self"], Prefer="wait=20")
        assert at_once.json["status"] == "queued"
        assert "Preference-Applied" not in at_once.headers
    # And a stream gives its place back, however it ends.
    for _ in range(3):
        with following(ready, job["links"]["events"]) as stream:
            next(stream)
        assert (
            ready.http.head(job["links"]["events"], headers={"Authorization": f"Bearer {ready.secret}"}).status_code
            == 200
        )
    with contextlib.ExitStack() as places:
        assert all(places.enter_context(waiting.place()) for _ in range(settings.load().web_watchers))
