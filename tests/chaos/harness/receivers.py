"""Schedules with receivers on every channel, and the accounts: each slot once, each message at least once under one id."""

import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests import generated
from tests.chaos.harness.accounts import Accounts
from tests.chaos.harness.running import ChaosStack
from tests.client import Client, Json
from tests.integration import receiver as webhook_receiver
from tests.integration.receiver import Manner, Received, Receiver

CUSTOMERS = 60
SLOTS = 6
FIRST_SLOT = "2025-03-03 09:01+00"
ALERT: Json = {"name": "There are rows", "of": {"rows": "count"}, "when": {"above": 0}}
LOOK_SECONDS = 0.5
STARTED_SECONDS = 60.0


@dataclass
class Shop:
    """One organisation: its data, its webhook, its schedules, and who sees which segment of its customers."""

    client: Client
    number: int
    segments: Sequence[str]
    delivered: Path
    schedules: list[str] = field(default_factory=list)

    def address(self, segment: str) -> str:
        return f"{segment.replace(' ', '-').lower()}@shop{self.number}.example.com"

    @property
    def everybody(self) -> str:
        return f"everybody@shop{self.number}.example.com"

    def schedule(self) -> str:
        """Make a schedule that is due when `bring` says so; returns its id."""
        by_segment = {segment: [self.address(segment)] for segment in self.segments}
        body = {
            "name": f"Schedule {len(self.schedules)}",
            "type": "rfm",
            "params": {"as_of": "now"},
            "cron": "* * * * *",
            "timezone": "UTC",
            "starts_at": "2199-01-01T00:00:00Z",
            "catch_up": "all",
            "catch_up_max": 100,
            "max_failures": 0,
            "max_age": 0,
            "alerts": [ALERT],
            "deliveries": [
                {"channel": "email", "to": [self.everybody], "on": ["succeeded", "firing"]},
                {"channel": "email", "burst": {"column": "segment", "recipients": by_segment}, "formats": ["csv"]},
                {"channel": "file", "url": self.delivered.as_uri(), "format": "csv", "name": "{id}.csv"},
            ],
        }
        answer = self.client.http.post("/v1/schedules", json=body)
        assert answer.status_code == 201, answer.text
        self.schedules.append(answer.json()["id"])
        return self.schedules[-1]

    def has_file(self, job: str) -> bool:
        """Tell whether the file that was to be delivered is there, and holds what the API answers for the job."""
        file = self.delivered / f"{job}.csv"
        if not file.is_file():
            return False
        answer = self.client.http.get(f"/v1/reports/{job}/result", headers={"Accept": "text/csv"})
        return file.read_bytes() == answer.raise_for_status().content


@dataclass
class World:
    """Two shops on a stack, one receiver of webhooks for both, and the stack's mailbox."""

    stack: ChaosStack
    hooks: Receiver
    shops: list[Shop]
    brought: list[str] = field(default_factory=list)
    """Schedules whose slots were due."""
    _waiting: list[str] = field(default_factory=list)

    def make_schedules(self, count: int) -> None:
        """Make so many, in turn in each shop, while nothing is broken."""
        for number in range(count):
            self._waiting.append(self.shops[number % len(self.shops)].schedule())

    def bring(self) -> None:
        """Let a further schedule's slots be due, all at once; each is made up for."""
        self.brought.append(self._waiting.pop())
        slots = {"first": FIRST_SLOT, "span": f"{SLOTS - 1} minutes", "id": self.brought[-1]}
        # Sent again where its commit may have been lost: slots that are decided already stay as they are.
        self.stack.rows(
            "UPDATE schedules SET starts_at = %(first)s, next_due_at = %(first)s, next_fire_at = %(first)s,"
            " ends_at = %(first)s::timestamptz + %(span)s::interval WHERE id = %(id)s RETURNING id",
            slots,
        )

    def upset(self) -> None:
        """Let the next of those who are told fail: two say so, one never answers, and the mail server wants to be asked later."""
        last = self.hooks.manners[-1]
        failing = (Manner(status=500), Manner(status=503), Manner(hang=True))
        self.hooks.behave(*self.hooks.manners[:-1], *failing, last)
        self.stack.mailbox.answers.append("451 try again later")

    def sent(self) -> int:
        """Count what has been delivered."""
        return int(self.stack.one("SELECT count(*) FROM deliveries WHERE status = 'succeeded'"))

    def is_sending(self) -> bool:
        """Tell whether something is being sent this moment."""
        return bool(self.stack.one("SELECT count(*) FROM deliveries WHERE claim_token IS NOT NULL"))

    def while_sending(self, moments: Sequence[float]) -> int:
        """Count the moments that lie between the first attempt at a delivery and the last."""
        query = (
            "SELECT extract(epoch FROM min(started_at))::float8, extract(epoch FROM max(started_at))::float8"
            " FROM delivery_attempts AS a JOIN deliveries AS d ON d.id = a.delivery_id"
            " WHERE d.schedule_id = ANY(%(ids)s::uuid[])"
        )
        [(first, last)] = self.stack.rows(query, {"ids": self.brought})
        return sum(first < moment < last for moment in moments)

    def hurry(self) -> None:
        """Let time pass for whatever waits for its next attempt."""
        self.stack.rows(
            "UPDATE deliveries SET next_attempt_at = now() WHERE status = 'pending' AND claim_token IS NULL"
            " AND next_attempt_at > now() RETURNING id"
        )

    def unfinished(self) -> int:
        """Count slots, jobs, evaluations and deliveries that are to come."""
        return int(
            self.stack.one(
                "SELECT (SELECT count(*) FROM schedules WHERE next_due_at < now())"
                " + (SELECT count(*) FROM schedule_occurrences WHERE status = 'waiting' OR alerts_due"
                "    OR (status = 'fired' AND settled_at IS NULL))"
                " + (SELECT count(*) FROM jobs WHERE finished_at IS NULL)"
                " + (SELECT count(*) FROM deliveries WHERE status = 'pending')"
            )
        )

    def drain(self, *, seconds: float) -> None:
        """Wait until nothing is to come, or the time is over."""
        ends = time.monotonic() + seconds
        while self.unfinished() and time.monotonic() < ends:
            self.hurry()
            time.sleep(LOOK_SECONDS)


@contextmanager
def world(stack: ChaosStack) -> Iterator[World]:
    """Make two shops on a stack that may send, with the same data but receivers of their own."""
    with webhook_receiver.receiving() as hooks, TemporaryDirectory(prefix="chaos-") as folder:
        file = generated.orders(Path(folder), customers=CUSTOMERS)
        clients = [Client.of_new_organisation(stack.stack) for _ in range(2)]
        try:
            # What another scenario was told is its affair.
            stack.mailbox.messages.clear()
            shops = [_shop(stack, client, number, file, hooks) for number, client in enumerate(clients)]
            yield World(stack, hooks, shops)
        finally:
            for client in clients:
                client.http.close()


def _shop(stack: ChaosStack, client: Client, number: int, file: Path, hooks: Receiver) -> Shop:
    job = client.import_("orders", file)
    assert job["status"] == "succeeded", job
    segments = [row["segment"] for row in client.report("rfm")["summary"]["segments"]][:2]
    assert len(segments) == 2, segments
    # Told from here on: what came before the webhook is nobody's.
    hook = {"url": f"http://127.0.0.1:{hooks.port}/shop{number}", "events": ["report.*", "alert.*"]}
    answer = client.http.post("/v1/webhooks", json=hook)
    assert answer.status_code == 201, answer.text
    return Shop(client, number, segments, stack.delivered)


# --- Accounts ---


def take(world_: World, *, seed: int) -> tuple[Accounts, str]:
    """Compare what was due with what became of it and with what arrived; returns the accounts and a sentence of figures."""
    brought = world_.brought
    slots = _slots(world_.stack, brought)
    rows = world_.stack.rows(
        "SELECT id::text, channel, status, event_type, job_id::text, target ->> 'to' FROM deliveries"
        " WHERE schedule_id = ANY(%(ids)s::uuid[])",
        {"ids": brought},
    )
    arrived = _arrived(world_)
    made = Accounts(
        acked=len(slots),
        statuses=dict(Counter(str(row[3]) for row in slots)),
        lost=(*_lost_slots(brought, slots), *_lost_deliveries(world_, slots, rows, arrived)),
        doubled=(*_doubled_slots(world_.stack, brought), *_doubled_deliveries(rows)),
        unexpected=(*_unknown(rows, arrived), *_of_others(world_, rows)),
        wrong_events=_wrong_alerts(world_.stack, brought),
        seed=seed,
    )
    copies = sum(arrived.values())
    return made, (
        f"{len(slots)} slots, {len(rows)} deliveries under one id each, {copies} taken by webhook and e-mail,"
        f" {copies - len(arrived)} of them once more than needed"
    )


def _slots(stack: ChaosStack, ids: list[str]) -> list[tuple[Any, ...]]:
    return stack.rows(
        "SELECT o.schedule_id::text, o.due_at, o.job_id::text, coalesce(j.status, o.status), o.status"
        " FROM schedule_occurrences AS o LEFT JOIN jobs AS j ON j.id = o.job_id"
        " WHERE o.schedule_id = ANY(%(ids)s::uuid[])",
        {"ids": ids},
    )


def _lost_slots(ids: Sequence[str], slots: list[tuple[Any, ...]]) -> Iterator[str]:
    counts = Counter(slot[0] for slot in slots)
    for schedule in ids:
        if counts[schedule] != SLOTS:
            yield f"schedule {schedule} decided {counts[schedule]} of {SLOTS} slots"
    for schedule, due_at, _, status, occurrence in slots:
        if occurrence != "fired" or status not in {"succeeded", "failed"}:
            yield f"slot {due_at} of schedule {schedule}: {occurrence}, its job {status}"


def _doubled_slots(stack: ChaosStack, ids: list[str]) -> Iterator[str]:
    query = (
        "SELECT schedule_id::text, due_at, count(*) FROM jobs WHERE schedule_id = ANY(%(ids)s::uuid[])"
        " GROUP BY schedule_id, due_at HAVING count(*) > 1"
    )
    for schedule, due_at, count in stack.rows(query, {"ids": ids}):
        yield f"slot {due_at} of schedule {schedule} has {count} jobs"


def _lost_deliveries(
    world_: World, slots: list[tuple[Any, ...]], rows: list[tuple[Any, ...]], arrived: Counter[str]
) -> Iterator[str]:
    """Yield every message that should be there for an ended job and is not, and those that did not arrive."""
    there = {(job, channel, to) for _, channel, _, event, job, to in rows if event.startswith("report.")}
    shop_of = {schedule: shop for shop in world_.shops for schedule in shop.schedules}
    for schedule, _, job, status, _ in slots:
        shop = shop_of[schedule]
        people = [shop.everybody, *map(shop.address, shop.segments)]
        wanted: list[tuple[str, str | None]] = [("webhook", None)]
        if status == "succeeded":
            wanted += [("file", None), *(("email", to) for to in people)]
            if not shop.has_file(job):
                yield f"file of job {job}"
        yield from (f"{channel} to {to} of job {job}" for channel, to in wanted if (job, channel, to) not in there)
    for delivery, channel, status, *_ in rows:
        if status != "succeeded":
            yield f"delivery {delivery} by {channel} is {status}"
        elif channel != "file" and not arrived[delivery]:
            yield f"delivery {delivery} by {channel} never arrived"


def _doubled_deliveries(rows: list[tuple[Any, ...]]) -> Iterator[str]:
    counts = Counter((job, channel, event, to) for _, channel, _, event, job, to in rows)
    yield from (f"{count} deliveries of {what}" for what, count in counts.items() if count > 1)


def _arrived(world_: World) -> Counter[str]:
    """Count by the delivery's id what receivers took."""
    by_webhook = (one.headers["webhook-id"] for one in _taken(world_.hooks))
    by_mail = (str(message["X-Reckoner-Delivery"]) for message in world_.stack.mailbox.messages)
    return Counter([*by_webhook, *by_mail])


def _whole(hooks: Receiver) -> list[Received]:
    """Return what came whole: of a sender that was killed a part may come, which no receiver would take for a message."""
    return [one for one in hooks.received if len(one.body) == int(one.headers["content-length"])]


def _taken(hooks: Receiver) -> list[Received]:
    """Return what the receiver said it has got; what it refused has to come again."""
    return [one for one in _whole(hooks) if one.status // 100 == 2]


def _unknown(rows: list[tuple[Any, ...]], arrived: Counter[str]) -> Iterator[str]:
    known = {row[0] for row in rows}
    yield from (f"arrived, and is none of ours: {one}" for one in arrived if one not in known)


def _of_others(world_: World, rows: list[tuple[Any, ...]]) -> Iterator[str]:
    """Yield what came to somebody who may not see it: of another shop, or rows of another receiver."""
    for one in _whole(world_.hooks):
        shop = world_.shops[int(one.path.removeprefix("/shop"))]
        if json.loads(one.body)["data"]["schedule_id"] not in shop.schedules:
            yield f"a message of another shop came to {one.path}"
    to = {row[0]: row[5] for row in rows}
    may = {shop.address(segment): segment for shop in world_.shops for segment in shop.segments}
    for message in world_.stack.mailbox.messages:
        addressed = str(message["To"])
        if to.get(str(message["X-Reckoner-Delivery"])) != addressed:
            yield f"a message came to {addressed}, who it was not for"
        if addressed in may and _segments(message) != {may[addressed]}:
            yield f"{addressed} got rows of {_segments(message)}"


def _segments(message: EmailMessage) -> set[str]:
    """Return which segments are in the files of a message."""
    found = set()
    for part in message.iter_attachments():
        content = part.get_content()
        text = content if isinstance(content, str) else content.decode()
        found |= {row["segment"] for row in csv.DictReader(io.StringIO(text.lstrip("\ufeff")))}
    return found


def _wrong_alerts(stack: ChaosStack, ids: list[str]) -> tuple[str, ...]:
    """The alert of each schedule crosses in its first slot: that is told once, however many slots follow."""
    query = (
        "SELECT s.id::text, count(c.id) FILTER (WHERE c.change = 'firing'), count(c.id),"
        " (SELECT count(*) FROM deliveries WHERE schedule_id = s.id AND event_type = 'alert.firing')"
        " FROM schedules AS s LEFT JOIN alert_changes AS c ON c.schedule_id = s.id"
        " WHERE s.id = ANY(%(ids)s::uuid[]) GROUP BY s.id"
    )
    # One is told by webhook, one by e-mail.
    return tuple(
        f"alert of schedule {row[0]}: {row[1:]}" for row in stack.rows(query, {"ids": ids}) if row[1:] != (1, 1, 2)
    )
