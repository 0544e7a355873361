"""An organisation that has one of everything, so that requests that are made up meet more than 404."""

import dataclasses
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from cli.stack import Stack
from tests.client import ROOT, Client, database, reckoner, wait_for

ORDERS = (
    b"order_id,customer_id,ordered_at,amount\n"
    b"1,ann,2026-01-02,10.50\n2,ben,2026-02-03,20\n3,ann,2026-02-05,7.25\n4,eve,2026-03-01,never\n"
)
MORE_ORDERS = b"order_id,customer_id,ordered_at,amount\n5,dan,2026-03-02,12\n"
CUSTOMERS = b"customer_id,name\n" + b"".join(b"leaver-%d,Somebody\n" % number for number in range(8))
# Jobs that are accepted while the requests are made must not keep the workers from those of other tests.
MOST_JOBS = "25"
MOST_REQUESTS = "100000"
SPARE = 3


@dataclasses.dataclass(frozen=True, slots=True)
class World:
    """Where the API is, a key for all of it, and the ids there are: of a kind of thing, or of one operation alone."""

    url: str
    key: str
    ids: Mapping[str, Sequence[str]]

    def write(self, path: Path) -> Path:
        path.write_text(json.dumps(dataclasses.asdict(self)), encoding="utf-8")
        return path

    @classmethod
    def read(cls, path: Path) -> Self:
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def make(stack: Stack) -> World:
    """Let a new organisation import, ask, schedule and be told. Jobs have ended: no stream or wait for them lasts."""
    with Client(stack, _key_of_new_organisation(stack)) as client:
        # It is made when it is first asked for, and on a busy machine that takes longer than Schemathesis waits.
        assert client.http.get("/openapi.json").status_code == 200
        own_key = client.http.get("/v1/api-keys").json()["data"][0]["id"]
        imports = [client.import_("orders", ORDERS, max_rejects=0.5), client.import_("customers", CUSTOMERS)]
        # A second version, so that there is one to go back to; and an import that fails, whose file is kept for a rerun.
        client.import_("orders", MORE_ORDERS)
        failed = client.import_("orders", ORDERS, max_rejects=0)
        reports = [_report(client, bins) for bins in (2, 3, 4)]
        schedule, spare_schedule = _post(client, "/v1/schedules", _SCHEDULE), _post(client, "/v1/schedules", _SCHEDULE)
        _let_come(client, schedule)
        webhooks = [_post(client, "/v1/webhooks", _WEBHOOK) for _ in range(2)]
        client.http.post(f"/v1/webhooks/{webhooks[0]['id']}/test", params={"wait": 5})
        deliveries = client.http.get("/v1/deliveries").json()["data"]
        keys = [_post(client, "/v1/api-keys", {"name": "spare", "scopes": ["reports:read"]}) for _ in range(SPARE)]
        ids = {
            "reports": [job["id"] for job in reports[:2]],
            "imports": [job["id"] for job in imports],
            "jobs": [reports[0]["id"], imports[0]["id"]],
            "schedules": [schedule["id"]],
            "webhooks": [webhooks[0]["id"]],
            "deliveries": [one["id"] for one in deliveries],
            "api-keys": [keys[0]["id"]],
            "downloads": [_link(client)],
            "report-types": ["rfm", "revenue_trend"],
            "datasets": ["orders", "customers"],
            "customers": ["ann", "ben"],
            "rerun_import": [failed["id"]],
            "rerun_job": [reports[0]["id"]],
            # What is destroyed is nothing that others are asked about, and never the key that asks.
            "delete_report": [reports[2]["id"]],
            "delete_schedule": [spare_schedule["id"]],
            "delete_webhook": [webhooks[1]["id"]],
            "revoke_api_key": [key["id"] for key in keys[1:]],
            "erase_customer": [f"leaver-{number}" for number in range(8)],
        }
        assert own_key not in {one for many in ids.values() for one in many}
        return World(stack.web_url, client.key, ids)


_SCHEDULE = {
    "name": "Yearly",
    "type": "rfm",
    "params": {"bins": 2},
    "cron": "0 6 1 1 *",
    "timezone": "Europe/London",
    "alerts": [{"name": "Few customers", "of": {"rows": "count"}, "when": {"below": 100}}],
}
_SIGN = """
import sys, uuid
from datetime import UTC, datetime, timedelta
from workers.deliveries import links
of, delivery = map(uuid.UUID, sys.argv[1:])
print(links.sign(links.Link(of, delivery, "csv", datetime.now(UTC) + timedelta(days=1))))
"""
# Nobody listens there.
_WEBHOOK = {"url": "http://127.0.0.1:9/hook", "events": ["webhook.test"]}


def _key_of_new_organisation(stack: Stack) -> str:
    name = f"fuzzed {secrets.token_hex(6)}"
    made = reckoner(stack, "keys", "create", "--org", name, "--json")
    assert made.returncode == 0, made.stderr
    limits = ("--requests-per-minute", MOST_REQUESTS, "--max-unfinished", MOST_JOBS)
    limited = reckoner(stack, "organisations", "limit", name, *limits)
    assert limited.returncode == 0, limited.stderr
    key: str = json.loads(made.stdout)["api_key"]
    return key


def _report(client: Client, bins: int) -> dict[str, Any]:
    job = client.finish(client.submit("rfm", bins=bins))
    assert job["status"] == "succeeded", job
    return job


def _let_come(client: Client, schedule: Mapping[str, Any]) -> None:
    """Let the last slot have been missed, and wait until its report is there and its alert has been evaluated."""
    with database(client.stack) as db:
        db.execute(
            "UPDATE schedules SET next_due_at = date_trunc('year', now()), next_fire_at = now() WHERE id = %s",
            (schedule["id"],),
        )
    wait_for(lambda: client.http.get(schedule["links"]["alerts"]).json()["data"][0]["evaluated"], seconds=60)


def _link(client: Client) -> str:
    """Let a report be sent by e-mail, whether or not it arrives, and return what a link in it would have been signed as."""
    deliveries = [{"channel": "email", "to": ["ada@example.com"]}]
    answer = client.http.post("/v1/reports", json={"type": "rfm", "params": {"bins": 5}, "deliveries": deliveries})
    assert client.finish(answer.json())["status"] == "succeeded", answer.text
    [sent] = client.http.get("/v1/deliveries", params={"channel": "email"}).json()["data"]
    with database(client.stack) as db:
        found = db.execute("SELECT organisation_id FROM deliveries WHERE id = %s", (sent["id"],)).fetchone()
    assert found is not None
    # The settings of that stack, not of this process.
    done = subprocess.run(
        [sys.executable, "-c", _SIGN, str(found[0]), sent["id"]],
        cwd=ROOT,
        env={**os.environ, "RECKONER_HOME": str(client.stack.home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


def _post(client: Client, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    answer = client.http.post(path, json=body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made
