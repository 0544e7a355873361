"""Hands for the tests of alerts: let a slot of a schedule have a result, or none, and read what its alerts made of it."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import pyarrow as pa
from sqlalchemy import select

from analytics.catalogue.alerts import Alert
from models import alerts, session
from models.alert import AlertChange
from models.delivery import Delivery
from models.job_states import UNFINISHED
from models.schedule import Schedule
from tests.integration import schedule_hands, web_api
from tests.integration.web_api import Caller
from workers.schedules import alerting, firing

COLUMNS = [
    {"name": "country", "type": "text", "unit": None, "description": "Where"},
    {"name": "owner", "type": "text", "unit": None, "description": "Who looks after it"},
    {"name": "net", "type": "decimal", "unit": "GBP", "description": "What it brought"},
]


def table(rows: Sequence[tuple[str, str | None, str | None]]) -> pa.Table:
    """Return rows of country, owner and net revenue."""
    nets = [None if net is None else Decimal(net) for _, _, net in rows]
    return pa.table(
        {
            "country": pa.array([country for country, _, _ in rows], pa.string()),
            "owner": pa.array([owner for _, owner, _ in rows], pa.string()),
            "net": pa.array(nets, pa.decimal128(38, 2)),
        }
    )


def nets(**of: str) -> pa.Table:
    """Return rows of countries that nobody looks after."""
    return table([(country, None, net) for country, net in of.items()])


@dataclass
class Watched:
    """A schedule with alerts, and the slots it has had."""

    schedule: Schedule
    slots: int = 0
    jobs: list[uuid.UUID] = field(default_factory=list)

    def run(self, rows: pa.Table | None, **summary: Any) -> None:
        """Let the next slot have this result, or fail; then evaluate."""
        self.end(rows, **summary)
        alerting.evaluate_due()

    def end(self, rows: pa.Table | None, **summary: Any) -> None:
        """Let the next slot have this result, or fail; nothing is evaluated."""
        self.slots += 1
        firing.tend(self.now)
        [job] = [job for job in schedule_hands.jobs(self.schedule) if job.status in UNFINISHED]
        self.jobs.append(job.id)
        if rows is None:
            schedule_hands.end_jobs(self.schedule, well=False)
        else:
            header = {**_header(rows), "summary": summary}
            web_api.finish(str(job.id), rows, header=header)
        firing.tend(self.now)

    @property
    def now(self) -> Any:
        return schedule_hands.minutes(5 * self.slots)

    def state(self, name: str) -> str | None:
        found = self.seen(name).state
        return None if found is None else found.value

    def seen(self, name: str) -> alerts.Seen:
        with session.transaction() as db:
            return alerts.seen(db, db.get_one(Schedule, self.schedule.id))[name]

    def keys(self, name: str) -> list[Any]:
        return sorted((row.key or {}).get("country", "") for row in self.seen(name).firing)

    def changes(self) -> list[AlertChange]:
        """Return the log, oldest first."""
        with session.transaction() as db:
            return alerts.changes(db, self.schedule.id, limit=1_000_000)[::-1]

    def log(self) -> list[tuple[str, Any, Any]]:
        """Return of each entry what happened, of which country, and at which slot, counted from 1."""
        return [
            (
                one.change,
                (one.key or {}).get("country"),
                round((one.due_at - schedule_hands.START).total_seconds() / 300),
            )
            for one in self.changes()
        ]

    def told(self, **of: Any) -> list[Delivery]:
        """Return what alerts are told of, oldest first."""
        with session.transaction() as db:
            query = select(Delivery).where(
                Delivery.schedule_id == self.schedule.id, Delivery.event_type.like("alert.%")
            )
            found = list(db.scalars(query.order_by(Delivery.id)))
        return [one for one in found if all(getattr(one, name) == value for name, value in of.items())]

    def events(self) -> list[str]:
        return [one.event_type for one in self.told(channel="webhook")]


def declared(**of: Any) -> dict[str, Any]:
    return Alert.model_validate({"name": "Watched", **of}).as_json()


@contextmanager
def watched(caller: Caller, *wanted: dict[str, Any], **changes: Any) -> Iterator[Watched]:
    """Make a schedule with alerts."""
    options = {"max_failures": 0, "max_age": 0, **changes}
    with schedule_hands.scheduled(caller, alerts=list(wanted), **options) as schedule:
        yield Watched(schedule)


def _header(rows: pa.Table) -> dict[str, Any]:
    return {
        "type": "rfm",
        "version": 1,
        "title": "Revenue by country",
        "definition": "What the test says.",
        "source": "None.",
        "params": {"timezone": "Europe/London"},
        "columns": COLUMNS,
        "row_count": rows.num_rows,
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }
