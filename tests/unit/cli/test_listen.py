"""The local receiver believes nobody without a signature, and shows what the reference library signs."""

import json
import time
from datetime import UTC, datetime

import pytest
import standardwebhooks

from cli import listen
from models import webhooks

SECRET = webhooks.new_secret()
BODY = json.dumps({"type": "report.succeeded", "data": {"label": "Zoë"}}).encode()
NOW = int(time.time())


def headers(secret: str = SECRET, *, at: int = NOW, body: bytes = BODY) -> dict[str, str]:
    when = datetime.fromtimestamp(at, UTC)
    signature = standardwebhooks.Webhook(secret).sign("msg_1", when, body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": str(at), "webhook-signature": signature}


def test_what_the_reference_library_signs_is_believed() -> None:
    judged = listen.judge(headers(), BODY, secret=SECRET, now=NOW)
    assert (judged.message_id, judged.fault, judged.body["type"]) == ("msg_1", None, "report.succeeded")


def test_one_right_signature_among_several_will_do() -> None:
    two = headers()
    two["webhook-signature"] = f"{headers(webhooks.new_secret())['webhook-signature']} {two['webhook-signature']}"
    assert listen.judge(two, BODY, secret=SECRET, now=NOW).fault is None


@pytest.mark.parametrize(
    ("given", "body", "now"),
    [
        (headers(webhooks.new_secret()), BODY, NOW),
        (headers(), BODY + b" ", NOW),
        (headers() | {"webhook-id": "msg_2"}, BODY, NOW),
        (headers() | {"webhook-timestamp": str(NOW + 1)}, BODY, NOW),
        (headers(), BODY, NOW + 301),
        (headers(), BODY, NOW - 301),
        (headers() | {"webhook-timestamp": "soon"}, BODY, NOW),
        ({}, BODY, NOW),
    ],
)
def test_nobody_else_is(given: dict[str, str], body: bytes, now: int) -> None:
    assert listen.judge(given, body, secret=SECRET, now=now).fault is not None
