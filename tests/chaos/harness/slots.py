"""Schedules whose slots fall due all at once, and the account of what became of each."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import httpx

from tests.chaos.harness.running import ChaosStack
from tests.client import wait_for

SCHEDULES = 12
MISSED = 3
ORDERS = b"order_id,customer_id,ordered_at,amount\n1,a,2026-01-02,10.50\n2,b,2026-02-03,20.00\n3,a,2026-03-04,5.25\n"
SECONDS = 180.0


@dataclass(frozen=True, slots=True)
class Slots:
    """Schedules of every minute that make up for all they miss."""

    stack: ChaosStack
    schedule_ids: Sequence[uuid.UUID]

    @property
    def expected(self) -> int:
        return len(self.schedule_ids) * MISSED

    def fall_due(self) -> None:
        """Let the last minutes be slots that nothing has fired yet, and no others come."""
        last = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=2)
        first = last - timedelta(minutes=MISSED - 1)
        self.stack.one(
            "WITH due AS (UPDATE schedules SET next_due_at = %(first)s, next_fire_at = %(first)s, "
            "starts_at = %(first)s, ends_at = %(last)s "
            "WHERE id = ANY(%(ids)s) RETURNING 1) SELECT count(*) FROM due",
            {"first": first, "last": last, "ids": list(self.schedule_ids)},
        )

    def take_account(self) -> None:
        """Wait until every slot has a report that has succeeded, and fail unless it is one each.

        Raises:
            AssertionError: a slot has none, or several.
        """
        ended = "SELECT count(*) FROM jobs WHERE schedule_id = ANY(%(ids)s) AND status = 'succeeded'"
        wait_for(lambda: self._count(ended) >= self.expected, seconds=SECONDS, pause=0.5)
        all_jobs = "SELECT count(*) FROM jobs WHERE schedule_id = ANY(%(ids)s)"
        slots = "SELECT count(DISTINCT (schedule_id, due_at)) FROM jobs WHERE schedule_id = ANY(%(ids)s)"
        fired = "SELECT count(*) FROM schedule_occurrences WHERE schedule_id = ANY(%(ids)s) AND status = 'fired'"
        found = [self._count(query) for query in (all_jobs, slots, fired)]
        assert found == [self.expected] * 3, f"jobs, slots with a job, fired slots: {found} of {self.expected}"

    def _count(self, query: str) -> int:
        return int(self.stack.one(query, {"ids": list(self.schedule_ids)}))


def make(stack: ChaosStack) -> Slots:
    """Make an organisation with a few orders and schedules that read them."""
    key = stack.new_organisation().api_key
    headers = {"Authorization": f"Bearer {key}"}
    with httpx.Client(base_url=stack.web_url, headers=headers, timeout=60, trust_env=False) as http:
        job = http.post("/v1/imports", params={"dataset": "orders"}, content=ORDERS).raise_for_status().json()
        path = job["links"]["self"]
        wait_for(lambda: http.get(path).json()["status"] == "succeeded", seconds=60)
        ids = [_schedule(http, number) for number in range(SCHEDULES)]
    return Slots(stack, ids)


def _schedule(http: httpx.Client, number: int) -> uuid.UUID:
    body = {
        "name": f"Every minute, {number}",
        "type": "rfm",
        "cron": "* * * * *",
        # The account begins when its own slots fall due.
        "starts_at": "2199-01-01T00:00:00Z",
        "catch_up": "all",
        "overlap": "skip",
        "max_age": 0,
    }
    return uuid.UUID(http.post("/v1/schedules", json=body).raise_for_status().json()["id"])
