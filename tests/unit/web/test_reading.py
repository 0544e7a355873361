"""What is read from requests: cursors, JSON, formats."""

import base64
import contextlib
import io
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import flask
import pytest
import werkzeug.exceptions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from web import auth, body_errors, cursor, formats, json_body, problem_types, problems, request_context, waiting


@pytest.fixture
def lists(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], contextlib.AbstractContextManager[Any]]:
    """A request for the list at an address, of the organisation of this number."""
    monkeypatch.setattr(cursor, "_key", lambda organisation_id: organisation_id.bytes)
    application = flask.Flask(__name__)

    @contextlib.contextmanager
    def asked(path: str, organisation: int) -> Iterator[None]:
        with application.test_request_context(path):
            flask.g.caller = auth.Caller(uuid.UUID(int=organisation), "UTC", "GBP", frozenset(), "rk_x")
            yield

    return asked


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.uuids(), st.integers(0, 2**63))
def test_a_cursor_comes_back_as_it_went(lists: Any, job_id: uuid.UUID, number: int) -> None:
    with lists("/v1/jobs", 1):
        encoded = cursor.encode(job_id)
        assert encoded.isascii()
        assert len(encoded) <= 64
        assert "=" not in encoded
        assert cursor.decode(encoded) == job_id
        assert cursor.decode_number(cursor.encode_number(number)) == number


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(max_size=64))
def test_anything_else_is_no_cursor(lists: Any, text: str) -> None:
    with lists("/v1/jobs", 1), pytest.raises(problems.Problem) as refused:
        cursor.decode(text)
    assert [error.code for error in refused.value.errors] == ["unknown-cursor"]


def test_a_cursor_is_of_one_list_of_one_organisation_and_says_one_thing(lists: Any) -> None:
    job_id = uuid.UUID(int=7)
    with lists("/v1/jobs", 1):
        encoded, number = cursor.encode(job_id), cursor.encode_number(7)
    changed = ("B" if encoded[0] == "A" else "A") + encoded[1:]
    for path, organisation, text in (
        ("/v1/reports", 1, encoded),
        ("/v1/jobs", 2, encoded),
        ("/v1/jobs", 1, changed),
        ("/v1/jobs", 1, encoded[:-1] + ("B" if encoded[-1] == "A" else "A")),
        ("/v1/jobs", 1, number),
        ("/v1/jobs", 1, base64.urlsafe_b64encode(b"\x01" + job_id.bytes).decode()),
    ):
        with lists(path, organisation), pytest.raises(problems.Problem):
            cursor.decode(text)
    with lists("/V1/jobs", 1):
        assert cursor.decode(encoded) == job_id


@given(st.binary(max_size=200))
def test_json_is_parsed_or_refused_and_nothing_else(raw: bytes) -> None:
    kind = problem_types.MALFORMED
    try:
        json_body.parse(raw)
    except problems.Problem as refused:
        kind = refused.kind
    assert kind is problem_types.MALFORMED


def test_sound_json_is_read_as_it_is() -> None:
    value: dict[str, Any] = {"a": [1, 2.5, None, True, "ü\U0001f600"], "b": {"c": {}}}
    assert json_body.parse(flask.json.dumps(value).encode()) == value


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "html"),
        ("application/*", "json"),
        ("text/csv;q=0.1, text/html;q=0.2", "html"),
        ("application/x-ndjson", "ndjson"),
    ],
)
def test_the_accept_header_chooses(accept: str | None, expected: str) -> None:
    headers = {} if accept is None else {"Accept": accept}
    with flask.Flask(__name__).test_request_context("/", headers=headers):
        assert formats.chosen(None, formats.OF_RESULT).name == expected
        assert formats.chosen("csv", formats.OF_RESULT).name == "csv"


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [("wait=5", 5), ("respond-async, wait=7", 7), ('wait="3"', 3), ("WAIT = 2;x=1", 2), ("wait=99", 30), ("wait=x", 0)],
)
def test_the_prefer_header_is_read_leniently(prefer: str, seconds: int) -> None:
    with flask.Flask(__name__).test_request_context("/", headers={"Prefer": prefer}):
        wait = waiting.wanted(None)
        assert wait.seconds == seconds
        said = {"Preference-Applied": f"wait={seconds}"}
        assert wait.headers(waited=True, finished=False) == (said if seconds else {})
        assert wait.headers(waited=False, finished=False) == {}
        assert waiting.wanted(1).seconds == 1


@pytest.mark.parametrize(
    ("given_", "sound"),
    [
        ("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", True),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", False),
        ("ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", False),
        ("nonsense", False),
    ],
)
def test_only_a_sound_trace_context_is_kept(given_: str, sound: bool) -> None:  # noqa: FBT001 - a parameter of the test
    with flask.Flask(__name__).test_request_context("/", headers={"traceparent": given_}):
        assert (request_context.traceparent() == given_) is sound


class Wire(io.RawIOBase):
    """A client that sends a little and then does what the test says."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.sent = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if self.sent:
            raise self.error
        self.sent = True
        buffer[:1] = b"{"
        return 1


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (TimeoutError(), werkzeug.exceptions.RequestTimeout),
        (ConnectionResetError(), werkzeug.exceptions.ClientDisconnected),
        (OSError("chunk is malformed"), werkzeug.exceptions.ClientDisconnected),
    ],
)
@pytest.mark.parametrize("limit", [None, 1000])
def test_a_client_that_stalls_is_told_from_one_that_left(
    error: Exception, raised: type[Exception], limit: int | None
) -> None:
    environ = {"wsgi.input": Wire(error), "wsgi.input_terminated": True, "CONTENT_LENGTH": "10"}
    with flask.Flask(__name__).test_request_context("/", method="POST", environ_overrides=environ) as context:
        context.request.max_content_length = limit
        with pytest.raises(raised), body_errors.translated():
            context.request.get_data()
