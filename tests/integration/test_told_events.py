"""What the contract says of the messages to webhooks is what is written for them."""

import json

import jsonschema
import pytest
from sqlalchemy import select

from models import session
from models.delivery import Delivery
from models.outbox import EventType
from tests.integration import web_api
from tests.integration.web_api import Caller
from web import openapi


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
    document = json.loads(json.dumps(openapi.document()))
    for payload in payloads:
        body = document["webhooks"][payload["type"]]["post"]["requestBody"]["content"]["application/json"]
        jsonschema.validate(
            payload,
            {**body["schema"], "components": document["components"]},
            format_checker=jsonschema.FormatChecker(),
        )
        assert set(payload["data"]) == set(body["example"]["data"])
    assert [payload["type"] for payload in payloads] == [EventType.REPORT_CANCELLED]
