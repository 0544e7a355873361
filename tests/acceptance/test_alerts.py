"""Alerts on the whole stack: data change between two slots, and whoever asked is told once of each crossing."""

import json
import secrets
from collections.abc import Callable, Iterator
from email.message import EmailMessage

import pytest
from click.testing import Result

from cli.stack import Stack
from tests.client import Client, Json, database, wait_for
from tests.integration.mail_server import Mailbox
from tests.integration.receiver import Received, Receiver, receiving

pytestmark = pytest.mark.stack

HEAD = "order_id,customer_id,ordered_at,amount\n"
BEFORE = HEAD + "1,ann,2026-01-02,10.50\n2,ben,2026-01-03,600\n3,cyd,2026-01-04,49.99\n"
AFTER = HEAD + "4,ann,2026-02-02,500\n"
SMALL = {
    "name": "Small customers",
    "of": {"column": "monetary", "each": ["customer_id"]},
    "when": {"below": 50},
    "recovers": {"at_least": 100},
}
RISE = {"name": "Revenue rises", "of": {"column": "monetary", "take": "sum"}, "when": {"rises_by": "50%"}}
SLOTS = ("2026-03-02T11:00:00Z", "2026-03-09T10:00:00Z")


@pytest.fixture
def shop(stack: Stack) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        assert client.import_("orders", BEFORE.encode())["status"] == "succeeded"
        yield client


def _let_come(shop: Client, schedule: Json, slot: str) -> None:
    """Let a slot be the schedule's next and only one, and wait until its alerts have been evaluated."""
    with database(shop.stack) as db:
        db.execute(
            "UPDATE schedules SET next_due_at = %s, next_fire_at = %s, ends_at = %s WHERE id = %s",
            (slot, slot, slot, schedule["id"]),
        )

    def is_evaluated() -> bool:
        found = shop.http.get(schedule["links"]["alerts"]).json()["data"]
        return all(one["evaluated"] and one["evaluated"]["due_at"] == slot for one in found)

    wait_for(is_evaluated, seconds=60)


def _made(shop: Client, receiver: Receiver, address: str) -> Json:
    hook = {"url": receiver.url, "events": ["webhook.test"]}
    webhook = shop.http.post("/v1/webhooks", json=hook).json()
    wanted = {
        "name": "Customers",
        "type": "rfm",
        "params": {"as_of": "today"},
        "cron": "0 6 * * MON",
        "timezone": "America/New_York",
        "alerts": [SMALL, RISE],
        "deliveries": [
            {"channel": "email", "to": [address], "formats": ["csv"], "on": ["firing", "recovered"]},
            {"channel": "webhook", "webhook_id": webhook["id"], "on": ["firing", "recovered"]},
        ],
    }
    answer = shop.http.post("/v1/schedules", json=wanted)
    assert answer.status_code == 201, answer.text
    made: Json = answer.json()
    return made


def _told(received: list[Received]) -> set[tuple[str, str, int, int]]:
    bodies = [json.loads(one.body) for one in received]
    return {(body["type"], *(body["data"][name] for name in ("alert", "changed", "firing"))) for body in bodies}


def _texts(messages: list[EmailMessage]) -> dict[str, str]:
    return {one["Subject"]: str(part.get_content()) for one in messages if (part := one.get_body(["plain"]))}


def test_what_crosses_is_told_once_and_so_is_what_is_back(
    shop: Client, run: Callable[..., Result], stack_mail: Mailbox
) -> None:
    address = f"{secrets.token_hex(6)}@example.com"

    def letters() -> list[EmailMessage]:
        return [one for one in stack_mail.messages if one["To"] == address]

    with receiving() as receiver:
        schedule = _made(shop, receiver, address)
        nothing = run("check-alerts", "Customers")
        assert (nothing.exit_code, "has no result yet" in nothing.output) == (1, True), nothing.output

        _let_come(shop, schedule, SLOTS[0])
        assert _told(receiver.wait_for(1, seconds=60)) == {("alert.firing", "Small customers", 2, 2)}
        wait_for(lambda: len(letters()) == 1, seconds=60)
        [text] = _texts(letters()).values()
        assert "below 50" in text
        assert "10.50" in text
        attached = [part.get_filename() for part in letters()[0].iter_attachments()]
        assert [name for name in attached if name and name.endswith(".csv")], attached

        shown = run("alerts", "Customers").output
        assert "Small customers\tfiring" in shown
        assert "ann\t10.50" in shown
        assert "Revenue rises: there is no earlier result to compare with" in shown

        assert shop.import_("orders", AFTER.encode())["status"] == "succeeded"
        _let_come(shop, schedule, SLOTS[1])
        # ann is back, and cyd still is where they were; the sum has risen by 75 %.
        assert _told(receiver.wait_for(3, seconds=60)[1:]) == {
            ("alert.recovered", "Small customers", 1, 1),
            ("alert.firing", "Revenue rises", 1, 1),
        }
        wait_for(lambda: len(letters()) == 3, seconds=60)
    told = [one.split(":")[0] for one in _texts(letters())]
    assert sorted(told) == ["Alert", "Alert", "Recovered"]
    # The ends of the jobs, of which these receivers wanted to hear nothing, have told nothing.
    assert len(receiver.received) == 3

    changes = json.loads(run("alerts", "Customers", "--changes", "--json").output)
    assert [
        (one["name"], one["change"], one["key"], one["due_at"]) for one in changes if one["due_at"] == SLOTS[1]
    ] == [
        ("Revenue rises", "firing", None, SLOTS[1]),
        ("Small customers", "recovered", {"customer_id": "ann"}, SLOTS[1]),
    ]
    assert len(changes) == 4


def test_alerts_are_tried_and_saved_on_the_command_line(run: Callable[..., Result]) -> None:
    made = run("create", "Tried", "--type", "rfm", "--cron", "@daily", "--alert", json.dumps(SMALL), "--json")
    assert [one["name"] for one in json.loads(made.output)["alerts"]] == ["Small customers"]
    assert run("run", "Tried", "--no-delivery").exit_code == 0
    tried = run("check-alerts", "Tried").output
    assert "Small customers\tyes" in tried
    assert "cyd\t49.99" in tried
    wrong = run(
        "check-alerts", "Tried", "--alert", json.dumps(SMALL | {"of": {"column": "money", "each": ["customer_id"]}})
    )
    assert (wrong.exit_code, "#/alerts/0/of/column" in wrong.output, "'money'" in wrong.output) == (2, True, True)
    broken = run("check-alerts", "Tried", "--save", "--alert", json.dumps(RISE | {"of": {"summary": "no.such"}}))
    assert (broken.exit_code, "nothing is saved" in broken.output) == (1, True)
    saved = run("check-alerts", "Tried", "--save", "--alert", json.dumps(RISE))
    assert (saved.exit_code, "Tried has 1 alert now" in saved.output) == (0, True), saved.output
    assert "Revenue rises\tnot evaluated yet" in run("alerts", "Tried").output
