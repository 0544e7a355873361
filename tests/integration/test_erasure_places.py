"""An erasure looks into every column that can hold a person: found out from the schema, not from what somebody remembered."""

import json
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from billiard import process
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from models import deliveries, erasure, organisations, rendering_scratch, session, settings, transitions, webhooks
from models.base import new_id
from models.deliveries import Attempted
from models.delivery import Channel, Delivery, DeliveryAttempt, DeliveryStatus
from models.idempotency import IdempotencyKey
from models.idempotent_effects import IdempotentEffect
from models.job import Job, JobEvent
from models.organisation import Organisation
from models.result import StoredResult
from models.schedule import OccurrenceStatus, Schedule, ScheduleOccurrence
from tests.integration import erasures, person_columns, schedule_hands
from tests.integration.erasures import Shop
from workers.lake_jobs import erasing_deliveries, erasing_readers
from workers.running_job import RunningJob

WHO = "Zq-6021"
MAIL = "jane.doe.6021@example.org"
CUSTOMERS = f"customer_id,name,email\n{WHO},Jane Doe,{MAIL}\nC-2,Jim,jim@example.org\n"
THEIRS = {"column": "customer_id", "op": "eq", "value": WHO}
ALL_BUT_THEIRS = {"not": {"column": "customer_id", "op": "contains", "value": WHO}}
Json = dict[str, Any]


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    made = erasures.open_shop()
    yield made
    with session.transaction() as db:
        db.execute(text("DELETE FROM deliveries WHERE organisation_id = :o"), {"o": made.organisation_id})


def words_of_schema() -> dict[str, set[str]]:
    """Return the columns of every table that can hold words or bytes, as the database has them."""
    query = text(
        "SELECT table_name, column_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type NOT IN "
        "('uuid', 'integer', 'smallint', 'bigint', 'boolean', 'timestamp with time zone')"
    )
    found: dict[str, set[str]] = {}
    with session.transaction() as db:
        for table, column in db.execute(query):
            found.setdefault(table, set()).add(column)
    return found


def test_of_every_column_somebody_has_decided_whether_a_person_can_be_in_it(database: settings.Settings) -> None:
    assert database.home.is_dir()
    declared = {table: set(columns) for table, columns in person_columns.OF_TABLE.items()}
    assert words_of_schema() == declared, "decide in person_columns.py, and let the erasure look into what can hold one"


def holding(needle: str) -> set[tuple[str, str]]:
    """Return the columns of the database in which a text is."""
    columns = [(table, column) for table, columns in words_of_schema().items() for column in columns]
    with session.transaction() as db:
        return {
            (table, column)
            for table, column in columns
            if db.scalar(
                text(f'SELECT EXISTS (SELECT FROM "{table}" WHERE strpos("{column}"::text, :needle) > 0)'),
                {"needle": needle},
            )
        }


def deliver(shop: Shop, **changes: Any) -> uuid.UUID:
    """Write a delivery that waits, by e-mail unless said otherwise."""
    data = {"id": str(new_id()), "label": None, "links": {"self": "/v1/reports/1"}}
    delivery_id = new_id()
    given: Json = {
        "id": delivery_id,
        "organisation_id": shop.organisation_id,
        "channel": Channel.EMAIL,
        "lane": f"{shop.organisation_id}/email/",
        "target": {"to": MAIL, "formats": ["csv"]},
        "event_type": "report.succeeded",
        "payload": {"type": "report.succeeded", "timestamp": "2026-11-23T00:00:00Z", "data": data},
        "next_attempt_at": datetime.now(UTC) + timedelta(days=1),
    }
    with session.transaction() as db:
        db.add(Delivery(**(given | changes)))
    return delivery_id


def found(delivery_id: uuid.UUID) -> tuple[Delivery, list[DeliveryAttempt]]:
    with session.transaction() as db:
        return db.get_one(Delivery, delivery_id), deliveries.attempts_of(db, delivery_id)


def certificate_of(job: Job) -> Mapping[str, Any]:
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    certificate: Mapping[str, Any] = job.outcome["certificate"]
    return certificate


def plant(shop: Shop) -> None:
    """Put the person into every column that is looked into."""
    _plant_job(shop)
    _plant_schedule(shop)
    _plant_deliveries(shop)
    with session.transaction() as db:
        db.get_one(Organisation, shop.organisation_id).contact_email = f"{WHO}@example.org"
        organisation = db.get_one(Organisation, shop.organisation_id)
        organisations.issue_key(db, organisation, name=f"Portal of {WHO}", scopes=[])
        made = erasures.Shop(shop.organisation_id).accept_report()
        sha, key = b"0", f"report-{WHO}"
        db.add(
            IdempotencyKey(organisation_id=shop.organisation_id, key=key, request_sha256=sha, job_id=made, reused=False)
        )
        effect = IdempotentEffect(organisation_id=shop.organisation_id, key=key, request_sha256=sha, subject_id=made)
        db.add(effect)
    earlier = shop.accept_erasure(WHO)
    with session.transaction() as db:
        erasure.note(db, earlier, lambda journal: journal.link({"leads": [WHO]}))
        transitions.cancel_queued(db, earlier, by="a test")


def _plant_job(shop: Shop) -> None:
    job_id = shop.give_result(pa.table({"customer_id": [WHO]}))
    address = {"channel": "email", "lane": "x", "target": {"to": MAIL}, "on": ["succeeded"], "filter": THEIRS}
    with session.transaction() as db:
        stored = db.get_one(StoredResult, job_id)
        stored.header, stored.manifest = {"params": {"filter": THEIRS}}, {"note": WHO}
        job = db.get_one(Job, job_id)
        job.params, job.upload, job.outcome = {"filter": THEIRS}, {"name": f"{WHO} orders.csv"}, {"sample": [WHO]}
        job.error, job.label, job.cancel_reason = {"detail": f"{WHO} is odd"}, f"Of {WHO}", f"{WHO} asked for it"
        job.deliveries, job.request_id = [address], f"crm-{WHO}-1"
        event = {"job_id": job_id, "reason": "requeued", "to_status": "queued", "attempt": 1}
        db.add(JobEvent(**event, error={"row": f"X,{WHO},1"}, note=f"Said by {WHO}"))


def _plant_schedule(shop: Shop) -> None:
    shares = {"column": "customer_id", "recipients": {WHO: [MAIL], "C-2": ["jim@example.org"]}}
    changes = {
        "name": f"For {WHO}",
        "label": f"For {WHO}",
        "params": {"filter": THEIRS},
        "deliveries": [{"channel": "email", "formats": ["csv"], "burst": shares}],
        "alerts": [{"filter": THEIRS}],
        "pause_detail": f"{WHO} is away",
    }
    schedule = Schedule(id=new_id(), organisation_id=shop.organisation_id, **(schedule_hands.DEFAULTS | changes))
    with session.transaction() as db:
        db.add(schedule)
        db.flush()
        occurred = {"due_at": schedule_hands.START, "status": OccurrenceStatus.FAILED, "detail": f"No {WHO} in it."}
        db.add(ScheduleOccurrence(schedule_id=schedule.id, organisation_id=shop.organisation_id, **occurred))


def _plant_deliveries(shop: Shop) -> None:
    one = deliver(shop, filter=THEIRS, error=f"The receiver points to /{WHO}.")
    with session.transaction() as db:
        said = f'{{"customer_id":"{WHO}","email":"{MAIL}"}}'
        db.add(DeliveryAttempt(delivery_id=one, number=1, outcome="failed", error=f"No {WHO}.", excerpt=said))
        url, lane = f"https://{WHO}.example.org/customers/{WHO}?name={MAIL}", f"x/webhook/{WHO}.example.org:443"
        made = webhooks.create(
            db, shop.organisation_id, url=url, lane=lane, events=["report.*"], description=f"Told to {WHO}"
        ).webhook
        made.disabled_at, made.disabled_reason = datetime.now(UTC), f"It points to /{WHO}."
    payload = {"type": "report.succeeded", "timestamp": "x", "data": {"label": WHO, "rows": [{"id": WHO, "to": MAIL}]}}
    deliver(shop, channel="webhook", webhook_id=made.id, lane=lane, target={"url": url}, payload=payload)


def test_what_is_planted_in_every_place_is_gone_from_every_place(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    plant(shop)
    assert holding(WHO) == person_columns.looked_into(), "each has been planted, and no other"
    plan = shop.erase(WHO, dry_run=True).outcome
    certificate = certificate_of(shop.erase(WHO))
    assert holding(WHO) == set()
    assert holding(MAIL) == set(), "what stands beside an id is theirs"
    planned = (plan or {})["plan"]
    expected = {"deliveries": 2, "webhooks": 1, "api_keys": 1, "idempotency_keys": 2}
    assert {name: planned[name] for name in expected} == expected
    assert planned["contact"]
    assert planned["deliveries_to_cancel"] == 1
    told = {
        "deliveries_redacted": 2,
        "deliveries_cancelled": 1,
        "webhooks_redacted": 1,
        "api_keys_redacted": 1,
        "contact_removed": True,
        "idempotency_keys_removed": 2,
    }
    assert {name: certificate[name] for name in told} == told


@pytest.mark.parametrize("filter_", [THEIRS, ALL_BUT_THEIRS, {"or": [THEIRS, {**THEIRS, "value": "C-2"}]}])
def test_a_delivery_whose_filter_named_the_person_is_never_sent(shop: Shop, filter_: Json) -> None:
    waiting, sent, other = (
        deliver(shop, next_attempt_at=datetime.now(UTC), filter=one) for one in (filter_, filter_, None)
    )
    with session.transaction() as db:
        db.execute(text("UPDATE deliveries SET status = 'succeeded', finished_at = now() WHERE id = :id"), {"id": sent})
    certificate = certificate_of(shop.erase(WHO))
    assert (certificate["deliveries_redacted"], certificate["deliveries_cancelled"]) == (2, 1)
    assert (found(waiting)[0].status, found(sent)[0].status, found(other)[0].status) == (
        "cancelled",
        "succeeded",
        "pending",
    )
    assert found(waiting)[0].error == erasing_deliveries.WHY_UNSENT
    with session.transaction() as db:
        assert deliveries.again(db, Delivery.organisation_id == shop.organisation_id) == 0
    with session.transaction() as db:
        assert {one.id for one in deliveries.claim(db, new_id(), most=50)} & {waiting, sent, other} == {other}
        db.rollback()
    with pytest.raises(IntegrityError, match="erased_is_never_sent"), session.transaction() as db:
        db.execute(text("UPDATE deliveries SET status = 'pending', finished_at = NULL WHERE id = :id"), {"id": sent})


def test_who_saw_the_rows_of_the_person_alone_is_forgotten_and_who_saw_others_is_not(shop: Shop) -> None:
    theirs, others = deliver(shop, filter=THEIRS), deliver(shop, filter=ALL_BUT_THEIRS)
    certificate_of(shop.erase(WHO))
    assert found(theirs)[0].target == {"to": "[erased]", "formats": ["csv"]}
    assert found(others)[0].target["to"] == MAIL
    assert found(others)[0].filter == {"not": {"column": "customer_id", "op": "contains", "value": "[erased]"}}


def test_a_subject_that_names_the_person_is_blotted_out_and_the_report_still_sent(shop: Shop) -> None:
    one = deliver(shop, target={"to": "boss@example.org", "subject": f"The orders of {WHO}", "formats": []})
    assert certificate_of(shop.erase(WHO))["deliveries_cancelled"] == 0
    row = found(one)[0]
    assert (row.status, row.target["subject"], row.erased_at) == ("pending", "The orders of [erased]", None)


def test_receivers_of_a_report_that_waits_go_where_they_are_about_the_person(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    shop.give("orders", "order_id,customer_id,ordered_at,amount\nO2,C-2,2026-01-03,20\n")
    about_them, about_all = (
        {"channel": "email", "lane": "x", "target": {"to": f"{n}@example.org"}, "on": ["succeeded"], "filter": filter_}
        for n, filter_ in enumerate((ALL_BUT_THEIRS, None))
    )
    with session.transaction() as db:
        job_id = shop.accept_report()
        db.execute(
            text("UPDATE jobs SET deliveries = CAST(:d AS jsonb) WHERE id = :id"),
            {"d": json.dumps([about_them, about_all]), "id": job_id},
        )
    certificate_of(shop.erase(WHO))
    assert shop.job(job_id).deliveries == [about_all]
    assert shop.run(job_id).status == "succeeded"
    with session.transaction() as db:
        made = deliveries.newest(db, shop.organisation_id, limit=10)
    assert [(one.target["to"], one.filter) for one in made] == [("1@example.org", None)]


def claim(shop: Shop, delivery_id: uuid.UUID, *, seconds: int) -> Delivery:
    """Begin to send, with a claim that runs out after so many seconds."""
    statement = text(
        "UPDATE deliveries SET claim_token = :token, attempts = 1, claim_until = now() + make_interval(secs => :s) WHERE id = :id"
    )
    with session.transaction() as db:
        db.execute(statement, {"token": new_id(), "s": seconds, "id": delivery_id})
        db.add(DeliveryAttempt(delivery_id=delivery_id, number=1))
    assert shop.organisation_id == found(delivery_id)[0].organisation_id
    return found(delivery_id)[0]


def answer(delivery: Delivery) -> bool:
    """End an attempt as its sender would, with a receiver that says whom it was about."""
    said = Attempted(succeeded=True, status_code=200, excerpt=f'{{"stored":{{"id":"{WHO}","email":"{MAIL}"}}}}')
    with session.transaction() as db:
        deliveries.note_attempt(db, delivery, said, duration_ms=1)
        return deliveries.end(db, delivery, DeliveryStatus.SUCCEEDED)


def test_what_is_being_sent_is_waited_for_and_its_answer_looked_into(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing_readers, "LONGEST_SECONDS", 40.0)
    sending = claim(shop, deliver(shop, filter=THEIRS), seconds=600)
    waits = threading.Event()
    real = erasing_deliveries._in_flight

    def look(job: RunningJob) -> Any:
        waits.set()
        return real(job)

    monkeypatch.setattr(erasing_deliveries, "_in_flight", look)
    ended: list[bool] = []

    def send() -> None:
        waits.wait(30)
        assert found(sending.id)[0].filter == THEIRS, "it is the sender's, for as long as it sends"
        ended.append(answer(sending))

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    certificate = certificate_of(shop.erase(WHO))
    sender.join()
    row, (attempt,) = found(sending.id)
    assert ended == [True]
    assert (row.status, row.erased_at is None, attempt.excerpt) == ("succeeded", False, "[erased]")
    assert (certificate["deliveries_redacted"], certificate["deliveries_cancelled"]) == (1, 0)


def test_a_sender_that_does_not_end_keeps_the_erasure_from_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing_readers, "LONGEST_SECONDS", 0.2)
    sending = claim(shop, deliver(shop, filter=THEIRS), seconds=600)
    job = shop.erase(WHO)
    assert job.status == "queued", "it goes on later"
    answer(sending)
    with session.transaction() as db:
        db.execute(text("UPDATE jobs SET run_at = now() WHERE id = :id"), {"id": job.id})
    assert certificate_of(shop.run(job.id))["deliveries_redacted"] == 1


def test_a_sender_that_comes_back_after_its_claim_brings_nobody_back(shop: Shop) -> None:
    late = claim(shop, deliver(shop), seconds=-1)
    certificate_of(shop.erase(WHO))
    assert not answer(late), "it had lost its claim"
    (attempt,) = found(late.id)[1]
    assert (attempt.outcome, attempt.excerpt) == ("succeeded", None)


def test_what_killed_processes_have_left_half_rendered_is_removed(shop: Shop) -> None:
    died = subprocess.Popen([sys.executable, "-c", ""])
    died.wait()
    left = settings.load().rendering_folder / f"{died.pid}-left"
    left.mkdir(parents=True)
    (left / "result.csv").write_text(CUSTOMERS)
    with rendering_scratch.folder() as folder:
        (folder / "result.csv").write_text("in use")
        certificate_of(shop.erase(WHO))
        assert (folder / "result.csv").read_text() == "in use"
    assert not left.exists()
