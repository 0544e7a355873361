"""A person who is erased is taken out of schedules as well."""

from typing import Any

import pytest
from billiard import process

from models import session, settings
from models.base import new_id
from models.schedule import OccurrenceStatus, Schedule, ScheduleOccurrence
from tests.integration import erasures, schedule_hands

WHO = "Zq-5309"  # nobody else of this session's database
CUSTOMERS = f"customer_id,name,email\n{WHO},Jane Doe,jane@example.org\nC-2,Jim,jim@example.org\n"


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> erasures.Shop:
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    return erasures.open_shop()


def add(shop: erasures.Shop, **changes: Any) -> Schedule:
    row = Schedule(id=new_id(), organisation_id=shop.organisation_id, **(schedule_hands.DEFAULTS | changes))
    with session.transaction() as db:
        db.add(row)
    return row


def test_schedules_forget_a_person_and_one_that_asked_for_them_stops(shop: erasures.Shop) -> None:
    shop.give("customers", CUSTOMERS)
    asking = add(shop, params={"filter": {"column": "customer_id", "op": "in", "value": [WHO, "C-2"]}})
    other = add(shop, params={"filter": {"column": "customer_id", "op": "eq", "value": "C-2"}}, label="All but " + WHO)
    with session.transaction() as db:
        db.add(
            ScheduleOccurrence(
                schedule_id=other.id,
                organisation_id=shop.organisation_id,
                due_at=schedule_hands.START,
                status=OccurrenceStatus.FAILED,
                detail=f"There is no customer {WHO} in it.",
            )
        )
    job = shop.erase(WHO)
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    assert job.outcome["certificate"]["records_redacted"] == 2
    asking, other = schedule_hands.now(asking), schedule_hands.now(other)
    assert asking.params["filter"]["value"] == ["[erased]", "C-2"]
    assert (asking.pause_reason, other.pause_reason) == ("asked", None)
    assert (other.label, other.params["filter"]["value"]) == ("All but [erased]", "C-2")
    assert schedule_hands.occurrences(other)[0].detail == "There is no customer [erased] in it."
    assert [line for line in erasures.database_text().splitlines() if WHO in line] == []
