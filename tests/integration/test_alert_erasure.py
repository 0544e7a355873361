"""A person who is erased is taken out of alerts as well: rows, the log, and what an alert itself asks."""

import uuid
from typing import Any

import pytest
from billiard import process
from sqlalchemy import select

from models import alerts, outbox, session, settings
from models.alert import AlertChange, AlertStanding
from models.base import new_id
from models.delivery import Channel, Delivery
from models.outbox import EventType, Target
from models.schedule import Schedule
from tests.integration import erasures, schedule_hands
from tests.integration.alert_hands import declared

WHO = "Zq-7717"  # nobody else of this session's database
CUSTOMERS = f"customer_id,name,email\n{WHO},Jane Doe,jane@example.org\nC-2,Jim,jim@example.org\n"
EACH = {"column": "revenue", "each": ["customer_id"]}


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> erasures.Shop:
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    made = erasures.open_shop()
    made.give("customers", CUSTOMERS)
    return made


def scheduled(shop: erasures.Shop, *wanted: dict[str, Any]) -> Schedule:
    made = Schedule(
        id=new_id(), organisation_id=shop.organisation_id, **(schedule_hands.DEFAULTS | {"alerts": list(wanted)})
    )
    with session.transaction() as db:
        db.add(made)
        db.flush()
        for alert in wanted:
            alerts.put_standing(
                db,
                {
                    "schedule_id": made.id,
                    "name": alert["name"],
                    "organisation_id": shop.organisation_id,
                    "declaration": alert,
                    "due_at": schedule_hands.START,
                },
            )
    return made


def row(schedule: Schedule, name: str, key: dict[str, Any] | None, value: Any) -> dict[str, Any]:
    return {
        "schedule_id": schedule.id,
        "name": name,
        "digest": uuid.uuid4().bytes,
        "organisation_id": schedule.organisation_id,
        "key": key,
        "state": "firing",
        "value": value,
        "since": schedule_hands.START,
        "due_at": schedule_hands.START,
    }


def change(schedule: Schedule, key: dict[str, Any] | None, **of: Any) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organisation_id": schedule.organisation_id,
        "schedule_id": schedule.id,
        "name": "Watched",
        "change": "firing",
        "key": key,
        "value": "9999.10",
        "due_at": schedule_hands.START,
        "detail": None,
        **of,
    }


def test_rows_and_entries_about_a_person_go_and_others_stay(shop: erasures.Shop) -> None:
    schedule = scheduled(shop, declared(of=EACH, when={"above": 1}))
    theirs, others = {"customer_id": WHO}, {"customer_id": "C-2"}
    with session.transaction() as db:
        kept = [row(schedule, "Watched", theirs, "9999.10"), row(schedule, "Watched", others, "8888.10")]
        # Who buys most can be a figure as well.
        kept.append(row(schedule, "Watched", {"customer_id": "C-3"}, WHO))
        alerts.put_rows(db, schedule.id, "Watched", changed=kept, gone=[])
        alerts.log(
            db,
            [
                change(schedule, theirs),
                change(schedule, others, value="8888.10"),
                change(schedule, None, change="broken", value=None, detail=f"There is no column {WHO} in it."),
            ],
        )
        # As a letter about both of them is kept, which has not been sent yet.
        told = outbox.record_to(
            db,
            shop.organisation_id,
            EventType.ALERT_FIRING,
            {"key": ["customer_id"], "rows": [[WHO, "9999.10", "5.00"], ["C-2", "8888.10", None]]},
            Target(Channel.EMAIL, "x", {"to": "boss@example.org"}),
        )
    job = shop.erase(WHO)
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    assert job.outcome["certificate"]["records_redacted"] == 1
    with session.transaction() as db:
        letter = db.get_one(Delivery, told.id)
        assert letter.payload["data"]["rows"] == [["C-2", "8888.10", None]]
        db.delete(letter)
    with session.transaction() as db:
        assert [one.key for one in alerts.rows(db, schedule.id)["Watched"].values()] == [others]
        log = alerts.changes(db, schedule.id, limit=10)
        assert sorted((one.change, one.key, one.detail) for one in log) == [
            ("broken", None, "There is no column [erased] in it."),
            ("firing", others, None),
        ]
    assert [line for line in erasures.database_text().splitlines() if WHO in line] == []


def test_an_alert_that_names_a_person_begins_anew_without_them(shop: erasures.Shop) -> None:
    where = {"column": "customer_id", "op": "in", "value": [WHO, "C-2"]}
    named = declared(name=f"About {WHO}", of={"rows": "count", "where": where}, when={"below": 1})
    schedule = scheduled(shop, named, declared(when={"below": 1}))
    with session.transaction() as db:
        before = alerts.version(alerts.standings(db, schedule.id))
        alerts.put_rows(db, schedule.id, named["name"], changed=[row(schedule, named["name"], None, 0)], gone=[])
        alerts.log(db, [change(schedule, None, name=named["name"])])
    job = shop.erase(WHO)
    assert job.status == "succeeded", job.error
    with session.transaction() as db:
        after = alerts.version(alerts.standings(db, schedule.id))
        [entry] = db.scalars(select(AlertChange).where(AlertChange.schedule_id == schedule.id))
        assert entry.name == "About [erased]"
        assert db.get(AlertStanding, (schedule.id, named["name"])) is None
    assert schedule_hands.now(schedule).alerts[0]["of"]["where"]["value"] == ["[erased]", "C-2"]
    # An evaluation that was under way when the person was erased may hold them: it is begun anew.
    assert after.keys() == {"Watched"}
    assert after["Watched"] > before["Watched"]
    assert [line for line in erasures.database_text().splitlines() if WHO in line] == []
