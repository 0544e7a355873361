"""`reckoner webhooks`: make webhooks, test them, and see what was sent."""

import urllib.parse
import uuid
from typing import Any

import click

from cli import api, invocation, output
from models import vault
from models.delivery import DeliveryStatus

Json = dict[str, Any]
PATH = "/v1/webhooks"
MOST_SHOWN = 100


@click.group("webhooks")
def command() -> None:
    """Be told of what happens, by signed messages over HTTPS."""


@command.command("list")
def list_() -> None:
    """List webhooks, newest first."""
    with api.connect() as server:
        found = server.get(PATH, limit=MOST_SHOWN)["data"]
    names = ("id", "url", "events", "status", "description")
    rows = [[one["id"], one["url"], ",".join(one["events"]), one["status"], one["description"] or ""] for one in found]
    output.rows(names, rows, title="Webhooks")


@command.command("create")
@click.argument("url")
@click.option("--events", default="*", show_default=True, help="Comma-separated, such as `report.*,import.failed`.")
@click.option("--description", help="A few words of your own.")
def create(*, url: str, events: str, description: str | None) -> None:
    """Have messages sent to URL. The secret is shown this once."""
    body = {"url": url, "events": [event.strip() for event in events.split(",")], "description": description}
    with api.connect() as server:
        made = server.post(PATH, body)
    _show_secret(made)


@command.command("test")
@click.argument("webhook_id", type=click.UUID)
def test(webhook_id: uuid.UUID) -> None:
    """Send a test message and say what came of it."""
    with api.connect() as server:
        delivery = server.post(f"{PATH}/{webhook_id}/test")
    _show_delivery(delivery)
    if delivery["status"] == "failed":
        raise invocation.Failure("the test message did not get through", delivery=delivery)


@command.command("rotate")
@click.argument("webhook_id", type=click.UUID)
@click.option(
    "--overlap",
    type=click.IntRange(0, 7 * 86_400),
    default=86_400,
    show_default=True,
    help="Seconds for which messages are signed with the old secret as well.",
)
def rotate(*, webhook_id: uuid.UUID, overlap: int) -> None:
    """Give a webhook a new secret. It is shown this once."""
    with api.connect() as server:
        made = server.post(f"{PATH}/{webhook_id}/rotate-secret", {"overlap_seconds": overlap})
    _show_secret(made)


@command.command("enable")
@click.argument("webhook_id", type=click.UUID)
def enable(webhook_id: uuid.UUID) -> None:
    """Let a disabled webhook be told again."""
    _change(webhook_id, "enable")


@command.command("disable")
@click.argument("webhook_id", type=click.UUID)
def disable(webhook_id: uuid.UUID) -> None:
    """Send a webhook nothing until it is enabled."""
    _change(webhook_id, "disable")


@command.command("delete")
@click.argument("webhook_id", type=click.UUID)
def delete(webhook_id: uuid.UUID) -> None:
    """Delete a webhook and the log of what was sent to it."""
    with api.connect() as server:
        gone = server.delete(f"{PATH}/{webhook_id}")
    if invocation.current().as_json:
        output.emit_json(gone)
    else:
        output.say("deleted")


@command.command("deliveries")
@click.argument("webhook_id", type=click.UUID, required=False)
@click.option("--job", "job_id", type=click.UUID, help="Only those about this job.")
@click.option("--status", type=click.Choice([status.value for status in DeliveryStatus]), help="Only these.")
@click.option("--limit", type=click.IntRange(1, MOST_SHOWN), default=25, show_default=True)
def deliveries(*, webhook_id: uuid.UUID | None, job_id: uuid.UUID | None, status: str | None, limit: int) -> None:
    """List what was sent, newest first: to a webhook, or to everybody, by e-mail and as files as well."""
    wanted = {"webhook_id": webhook_id, "job_id": job_id, "status": status, "limit": limit}
    given = {name: str(value) for name, value in wanted.items() if value is not None}
    with api.connect() as server:
        found = server.get("/v1/deliveries", **given)["data"]
    names = ("id", "event", "channel", "to", "status", "attempts", "created_at", "error")
    rows = [
        [
            one["id"],
            one["event_type"],
            one["channel"],
            one["target"].get("to") or one["target"].get("url") or "",
            one["status"],
            one["attempts"],
            one["created_at"],
            one["error"] or "",
        ]
        for one in found
    ]
    output.rows(names, rows, title="Deliveries", numeric=frozenset({"attempts"}))


@command.command("redeliver")
@click.argument("delivery_id", type=click.UUID, required=False)
@click.option("--webhook", "webhook_id", type=click.UUID, help="All that did not get through to this webhook.")
@click.option("--report", "report_id", type=click.UUID, help="All that did not get this report.")
@click.option("--since", help="With --webhook: only those made at this time or later, such as 2026-11-22T10:00:00Z.")
def redeliver(
    *, delivery_id: uuid.UUID | None, webhook_id: uuid.UUID | None, report_id: uuid.UUID | None, since: str | None
) -> None:
    """Send one delivery again, or all that did not get through."""
    paths = {
        f"/v1/deliveries/{delivery_id}/redeliver": delivery_id,
        f"{PATH}/{webhook_id}/redeliver": webhook_id,
        f"/v1/reports/{report_id}/redeliver": report_id,
    }
    chosen = [path for path, given in paths.items() if given is not None]
    if len(chosen) != 1:
        raise click.UsageError("Say which: DELIVERY_ID, --webhook or --report.")
    query = f"?{urllib.parse.urlencode({'since': since})}" if since and webhook_id is not None else ""
    with api.connect() as server:
        answer = server.post(chosen[0] + query)
    if invocation.current().as_json:
        output.emit_json(answer)
    elif "count" in answer:
        output.say(f"{answer['count']} sent again")
        if answer["withdrawn"]:
            output.say(f"{answer['withdrawn']} not: their schedule does not send them there any more")
    else:
        _show_delivery(answer)


@command.command("cancel")
@click.argument("delivery_id", type=click.UUID)
def cancel(*, delivery_id: uuid.UUID) -> None:
    """Call off a delivery that is still being tried."""
    with api.connect() as server:
        _show_delivery(server.post(f"/v1/deliveries/{delivery_id}/cancel"))


@command.command("new-key")
def new_key() -> None:
    """Make a key for ENCRYPTION_KEYS, under which the server keeps secrets. Put it before the older ones."""
    key = vault.new_key()
    if invocation.current().as_json:
        output.emit_json({"key": key})
    else:
        output.say(key)


def _change(webhook_id: uuid.UUID, how: str) -> None:
    with api.connect() as server:
        changed = server.post(f"{PATH}/{webhook_id}/{how}")
    if invocation.current().as_json:
        output.emit_json(changed)
    else:
        output.say(changed["status"])


def _show_secret(made: Json) -> None:
    if invocation.current().as_json:
        output.emit_json(made)
        return
    output.say(f"id      {made['id']}")
    output.say(f"secret  {made['secret']}   (shown this once)")


def _show_delivery(delivery: Json) -> None:
    if invocation.current().as_json:
        output.emit_json(delivery)
        return
    output.say(f"{delivery['event_type']} {delivery['id']}: {delivery['status']}")
    for one in delivery["attempt_log"]:
        took = f" in {one['duration_ms']} ms" if one["duration_ms"] is not None else ""
        said = " ".join(str(word) for word in (one["status_code"], one["error"]) if word is not None)
        output.say(f"  attempt {one['number']}: {one['outcome']}{took} {said}".rstrip())
