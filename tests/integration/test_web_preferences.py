"""`Prefer` (RFC 7240) and `?wait=`: what is followed, and what is said of it."""

import concurrent.futures

import pyarrow as pa
import pytest

from tests.integration import web_api
from tests.integration.web_api import Caller

BODY = {"type": "rfm", "max_age": 0}
TABLE = pa.table({"n": [1]})


@pytest.mark.parametrize(
    ("prefer", "applied"),
    [
        ("respond-async", "respond-async"),
        ("Respond-Async", "respond-async"),
        ('respond-async=""', "respond-async"),
        ("respond-async, wait=1", "respond-async, wait=1"),
        ("wait=1,respond-async; foo=bar", "respond-async, wait=1"),
        ('wait="1"', "wait=1"),
        ("return=minimal, wait=1", "wait=1"),
        ("wait=1, wait=20", "wait=1"),
        ("wait=0", "wait=0"),
        ("return=minimal", None),
        ("respond-asynchronously", None),
        ("wait=soon", None),
    ],
)
def test_what_is_followed_is_said(ready: Caller, prefer: str, applied: str | None) -> None:
    answer = ready.post("/v1/reports", BODY, Prefer=prefer)
    assert answer.status_code == 202
    assert answer.headers.get("Preference-Applied") == applied


def test_whoever_prefers_to_be_answered_at_once_is_even_where_others_wait(ready: Caller) -> None:
    # A preview is waited for unless something is said.
    answer = ready.send("/v1/imports/preview", web_api.CSV, Prefer="respond-async")
    assert (answer.status_code, answer.headers["Preference-Applied"]) == (202, "respond-async")


def test_a_wait_that_was_long_enough_leaves_nothing_to_come(ready: Caller) -> None:
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        job = ready.post("/v1/reports", BODY).json
        finishing = pool.submit(web_api.finish, job["id"], TABLE)
        answer = ready.get(job["links"]["self"], Prefer="respond-async, wait=30")
        finishing.result()
    assert answer.json["status"] == "succeeded"
    assert answer.headers["Preference-Applied"] == "wait=30"


def test_the_query_wins_over_the_header(ready: Caller) -> None:
    job = ready.post("/v1/reports", BODY).json
    answer = ready.get(f"{job['links']['self']}?wait=0", Prefer="wait=30")
    assert answer.json["status"] == "queued"
    assert "Preference-Applied" not in answer.headers


def test_waiting_in_vain_tells_the_job_as_it_is_now(ready: Caller) -> None:
    job = ready.post("/v1/reports", BODY).json
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        starting = pool.submit(web_api.start, job["id"])
        answer = ready.get(f"{job['links']['self']}?wait=2")
        starting.result()
    assert answer.json["status"] == "running"
    assert answer.headers["Retry-After"] == "1"
