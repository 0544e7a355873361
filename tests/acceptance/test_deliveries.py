"""What happens is told, on the whole stack: from an import over the sender to a receiver that verifies it."""

import json
import os
import subprocess
import sys

import pytest

from cli.stack import Stack
from tests.client import ROOT, Client, reckoner, wait_for
from tests.integration.receiver import Manner, receiving

pytestmark = pytest.mark.stack

ORDERS = b"order_id,customer_id,ordered_at,amount\n1,a,2026-01-02,10.50\n2,b,2026-02-03,20\n"


def test_whoever_listens_is_told_at_once(stack: Stack, client: Client) -> None:
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    listener = subprocess.Popen(
        [sys.executable, "-m", "cli.main", "--json", "listen", "--count", "2", "--home", str(stack.home)],
        cwd=ROOT,
        env={**os.environ, "RECKONER_API_KEY": key},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: client.http.get("/v1/webhooks").json()["data"] or None, seconds=60)
        imported = client.import_("orders", ORDERS)
        report = client.finish(client.submit("rfm", bins=2))
        said = [json.loads(line) for line in listener.communicate(timeout=60)[0].splitlines()]
    finally:
        listener.kill()
        listener.wait()
    # Each is sent by itself, so either may come first.
    said.sort(key=lambda one: str(one["message"]["type"]))
    assert [(one["verified"], one["message"]["type"], one["message"]["data"]["id"]) for one in said] == [
        (True, "import.succeeded", imported["id"]),
        (True, "report.succeeded", report["id"]),
    ]
    # It made its webhook itself, and has cleared it away.
    assert client.http.get("/v1/webhooks").json()["data"] == []


def test_what_fails_is_seen_tested_and_sent_again_on_the_command_line(stack: Stack, client: Client) -> None:
    key = client.http.headers["Authorization"].removeprefix("Bearer ")
    with receiving() as receiver:
        made = json.loads(reckoner(stack, "--json", "webhooks", "create", receiver.url, key=key).stdout)
        receiver.behave(Manner(500, body=b"no"), Manner(200))
        tested = reckoner(stack, "webhooks", "test", made["id"], key=key)
        assert tested.returncode == 1
        assert "The receiver answered 500." in tested.stdout
        assert "webhook.test" in reckoner(stack, "webhooks", "deliveries", "--status", "failed", key=key).stdout
        again = reckoner(stack, "webhooks", "redeliver", "--webhook", made["id"], key=key)
        assert again.stdout.strip() == "1 sent again"
        first, second = receiver.wait_for(2, seconds=60)
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert "deleted" in reckoner(stack, "webhooks", "delete", made["id"], key=key).stdout
