"""What the contract says of the messages to webhooks is what is written for them."""

import json
import math
from typing import Any

import jsonschema
import pytest
from sqlalchemy import select

from models import session
from models.delivery import Delivery
from models.outbox import EventType
from tests.integration import alert_hands, web_api
from tests.integration.web_api import Caller
from web import openapi
from workers import publisher


def assert_described(payloads: list[Any]) -> None:
    """Hold messages against the contract, and against the examples in it."""
    document = json.loads(json.dumps(openapi.document()))
    for payload in payloads:
        body = document["webhooks"][payload["type"]]["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(
            payload,
            {**body["schema"], "components": document["components"]},
            format_checker=jsonschema.FormatChecker(),
        )
        assert set(payload["data"]) == set(body["example"]["data"])


@pytest.mark.usefixtures("database")
def test_a_message_about_a_job_is_as_it_is_described(caller: Caller) -> None:
    made = caller.post("/v1/webhooks", {"url": "https://example.com/hook", "events": ["report.*"]})
    assert made.status_code == 201, made.text
    web_api.give_dataset(caller)
    job = caller.post("/v1/reports", {"type": "rfm"}).json
    assert caller.post(job["links"]["cancel"]).status_code == 200
    with session.transaction() as db:
        told = db.scalars(select(Delivery).where(Delivery.organisation_id == caller.organisation_id))
        payloads = [row.payload for row in told]
    assert_described(payloads)
    assert [payload["type"] for payload in payloads] == [EventType.REPORT_CANCELLED]


def test_messages_about_alerts_are_as_they_are_described(ready: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher._Broker, "away_until", math.inf)
    made = ready.post("/v1/webhooks", {"url": "https://example.com/hook", "events": ["alert.*"]})
    assert made.status_code == 201, made.text
    below, broken = {"of": {"column": "net", "each": ["country"]}, "when": {"below": 5}}, {"of": {"summary": "x"}}
    wanted = alert_hands.declared(**below), alert_hands.declared(name="Broken", when={"above": 1}, **broken)
    with alert_hands.watched(ready, *wanted) as watched:
        watched.run(alert_hands.nets(FR="1.00"))
        watched.run(alert_hands.nets(FR="9.00"))
        told = watched.told()
    assert_described([one.payload for one in told])
    kinds = {EventType.ALERT_FIRING, EventType.ALERT_RECOVERED, EventType.ALERT_BROKEN}
    assert {one.event_type for one in told} == kinds
