"""Schedules on the whole stack: beat pokes, a slot fires, its report is computed; and all of it from the command line."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result

from cli.stack import Stack
from tests import generated
from tests.client import Client, Json, database, wait_for

pytestmark = pytest.mark.stack

WEEKLY: Json = {
    "name": "Weekly RFM",
    "type": "rfm",
    "params": {"as_of": "today"},
    "cron": "0 6 * * MON",
    "timezone": "America/New_York",
}


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        job = client.import_("orders", generated.orders(tmp_path_factory.mktemp("scheduled"), customers=60))
        assert job["status"] == "succeeded", job
        yield client


def _preview_deliveries(shop: Client, run: Callable[..., Result], schedule: Json) -> None:
    """The command line says who would get what of the slot's result, and which rows nobody would."""
    burst = {"column": "segment", "recipients": {"no such segment": ["ada@example.com"]}}
    receivers = [{"channel": "email", "burst": burst, "formats": ["xlsx"], "on": ["succeeded"]}]
    changed = shop.http.patch(schedule["links"]["self"], json={"deliveries": receivers})
    assert changed.status_code == 200, changed.text
    found = json.loads(run("preview-deliveries", schedule["name"], "--json").output)
    [one] = found["receivers"]
    assert (one["to"], one["rows"], one["outcome"]) == (["ada@example.com"], 0, "skipped")
    shown = run("preview-deliveries", schedule["name"]).output
    assert "ada@example.com\t0\txlsx\tskipped" in shown
    assert f"nobody with a filter gets {found['row_count']:,} of the rows" in shown
    for value in found["unshared"]["values"]:
        assert f"segment = {value['value']}: {value['rows']:,}" in shown


def test_a_slot_that_comes_due_becomes_a_report(shop: Client, run: Callable[..., Result]) -> None:
    schedule = shop.http.post("/v1/schedules", json=WEEKLY).json()
    # Monday, the 2nd of March 2026, at six in New York; it was missed, and the last slot is made up for.
    slot = "2026-03-02T11:00:00Z"
    with database(shop.stack) as db:
        db.execute(
            "UPDATE schedules SET next_due_at = %s, next_fire_at = %s, ends_at = %s WHERE id = %s",
            (slot, slot, "2026-03-03T00:00:00Z", schedule["id"]),
        )
    here = schedule["links"]["self"]

    def last() -> Json | None:
        found: Json | None = shop.http.get(here).json()["last_occurrence"]
        return found if found is not None and found["job_status"] == "succeeded" else None

    occurrence = wait_for(last, seconds=60)
    assert (occurrence["due_at"], occurrence["status"]) == (slot, "fired")
    job = shop.http.get(f"/v1/reports/{occurrence['job_id']}").json()
    assert (job["params"]["as_of"], job["params"]["timezone"]) == ("2026-03-02", "America/New_York")
    assert job["label"] == WEEKLY["name"]
    assert shop.http.get(here).json()["status"] == "ended"
    _preview_deliveries(shop, run, schedule)
    assert shop.http.get("/readyz").json()["status"] == "ready"


def test_the_command_line_makes_shows_runs_and_deletes(run: Callable[..., Result], tmp_path: Path) -> None:
    file = tmp_path / "schedule.json"
    file.write_text(json.dumps(WEEKLY))
    made = json.loads(run("create", "Mine", "--file", str(file), "-p", "bins=3", "--overlap", "skip", "--json").output)
    assert (made["name"], made["overlap"], made["params"]) == ("Mine", "skip", {"as_of": "today", "bins": 3})
    assert made["id"] in run("list").output
    slots = run("preview", "Mine", "-n", "3").output.splitlines()
    assert len(slots) == 4
    assert "T06:00:00-0" in slots[1]
    assert "paused" in run("pause", made["id"], "--reason", "holidays").output
    assert "holidays" in run("show", "Mine").output
    assert "goes on" in run("resume", "Mine").output
    job = json.loads(run("run", "Mine", "--json").output)
    assert (job["status"], job["params"]["bins"]) == ("succeeded", 3)
    # A run by hand is no slot.
    assert "No slot of the schedule has a result" in run("preview-deliveries", "Mine").output
    assert json.loads(run("delete", "Mine", "--yes", "--json").output) == {"id": made["id"], "deleted": True}
    unknown = run("show", "Mine")
    assert (unknown.exit_code, "no schedule with this id" in unknown.output) == (2, True)
