"""Schedules over HTTP: made, shown, changed, paused, resumed, removed, seen in advance, run, and looked back at."""

import uuid
from typing import Any

import pytest

from models import schedules, session
from models.api_key import Scope
from tests.integration import schedule_hands, web_api
from tests.integration.schedule_hands import minutes
from workers.schedules import firing

MONTHLY: dict[str, Any] = {
    "name": "Monthly RFM for the board",
    "type": "rfm",
    "params": {"range": {"last": "1 month", "complete": True}},
    "cron": "0 6 1 * *",
}


def made(caller: web_api.Caller, **changes: Any) -> Any:
    answer = caller.post("/v1/schedules", MONTHLY | changes)
    assert answer.status_code == 201, answer.text
    return answer.json


def errors(answer: web_api.Answer) -> list[tuple[str, str]]:
    assert answer.status_code == 422, answer.text
    return [(error["pointer"], error["code"]) for error in answer.json["errors"]]


def test_a_schedule_is_made_with_defaults_and_shown(ready: web_api.Caller) -> None:
    answer = ready.post("/v1/schedules", MONTHLY)
    shown = answer.json
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/v1/schedules/{shown['id']}"
    assert answer.headers["ETag"] == '"r1"'
    assert {name: shown[name] for name in MONTHLY} == MONTHLY
    assert (shown["timezone"], shown["catch_up"], shown["overlap"], shown["max_failures"], shown["status"]) == (
        *("Europe/London", "last", "queue", 5, "active"),
    )
    assert len(shown["next_occurrences"]) == 5
    assert all(moment.endswith("Z") for moment in shown["next_occurrences"])
    assert shown["last_occurrence"] is None
    assert ready.get(f"/v1/schedules/{shown['id']}").json == shown
    assert [one["id"] for one in ready.get("/v1/schedules").json["data"]] == [shown["id"]]


def test_the_same_request_with_the_same_key_makes_one(ready: web_api.Caller) -> None:
    first = ready.post("/v1/schedules", MONTHLY, Idempotency_Key="board")
    again = ready.post("/v1/schedules", MONTHLY, Idempotency_Key="board")
    other = ready.post("/v1/schedules", MONTHLY | {"name": "Other"}, Idempotency_Key="board")
    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 422)
    assert again.json == first.json
    assert again.headers["Idempotent-Replayed"] == "true"
    assert len(ready.get("/v1/schedules").json["data"]) == 1
