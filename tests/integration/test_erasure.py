"""An erasure on a real lake and a real database: nothing of the person is left, and everything else is as it was."""

import threading
import uuid
from pathlib import Path

import pytest
from billiard import process
from sqlalchemy import text

from analytics import errors
from models import erasure_subject, result, session, settings, transitions
from models.job import Job
from models.job_states import JobKind, Reason
from tasks import reports
from tests.client import wait_for
from tests.integration import erasures
from tests.integration.erasures import Shop
from workers import running_job
from workers.lake_jobs import erasing_readers

MAIL = "jane.doe@example.org"
WHO = "Zq-4711"

CUSTOMERS = f"customer_id,name,email\n{WHO},Jane Doe,{MAIL}\nC-2,Jim,jim@example.org\n"
ORDERS = (
    f"order_id,customer_id,ordered_at,amount\nO1,{WHO},2026-01-02,10\nO2,C-2,2026-01-03,20\nO3,{WHO},2026-01-04,5\n"
)
LINES = (
    "order_id,line_no,ordered_at,product,quantity,unit_price,customer_id\n"
    f"O1,1,2026-01-02,cup,1,10,\nO2,1,2026-01-03,cup,2,10,\nO9,1,2026-01-03,cup,2,10,{WHO}\n"
)
DEALS = f"deal_id,customer_id,stage,amount\nD1,{WHO},won,5\nD2,C-2,open,6\n"
STAGES = "deal_id,stage,entered_at\nD1,new,2026-01-01\nD1,won,2026-01-02\nD2,new,2026-01-01\n"
LEADS = f"lead_id,source,created_at,customer_id\nL1,web,2026-01-01,{WHO}\nL2,web,2026-01-01,\n"
TOUCHES = (
    f"touch_id,person_id,channel,occurred_at\nT1,{WHO},mail,2026-01-01\nT2,L1,mail,2026-01-01\nT3,L2,mail,2026-01-01\n"
)
ACTIVITIES = "activity_id,customer_id,deal_id,occurred_at\nA1,,D1,2026-01-01\nA2,C-2,D1,2026-01-01\nA3,,D2,2026-01-01\n"
SUBSCRIPTIONS = f"subscription_id,started_on,customer_id,mrr\nS1,2026-01-01,{WHO},9\nS2,2026-01-01,C-2,9\n"
EVERYTHING = {
    "customers": CUSTOMERS,
    "orders": ORDERS,
    "order_lines": LINES,
    "deals": DEALS,
    "deal_stages": STAGES,
    "leads": LEADS,
    "touches": TOUCHES,
    "activities": ACTIVITIES,
    "subscriptions": SUBSCRIPTIONS,
}


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Shop:
    # The place in the pool that Celery gives to a child, and no broker to publish what comes next.
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    assert database.home.is_dir()
    return erasures.open_shop()


def certificate_of(job: Job) -> erasures.Json:
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    certificate: erasures.Json = job.outcome["certificate"]
    assert certificate["verified"]
    return certificate


def uploads() -> list[Path]:
    return list(settings.load().upload_folder.iterdir())


def fail(job: Job) -> bool:
    """End a running job as its worker would."""
    with session.transaction() as db:
        return transitions.fail(
            db, job.id, attempt=job.attempt, reason=Reason.PERMANENT_ERROR, error={"type": "internal-error"}
        )


def make_due(job_id: uuid.UUID) -> None:
    with session.transaction() as db:
        db.execute(text("UPDATE jobs SET run_at = now() WHERE id = :id"), {"id": job_id})


def _fill(shop: Shop) -> None:
    for name, content in EVERYTHING.items():
        job = shop.import_(name, content)
        assert job.status == "succeeded", (name, job.error)


def test_a_person_is_removed_from_every_dataset(shop: Shop) -> None:
    _fill(shop)
    before = {name: shop.rows(name) for name in EVERYTHING}
    job = shop.erase(WHO)
    assert job.status == "succeeded", job.error
    certificate = certificate_of(job)
    removed = {one["dataset"]: one["matched"] for one in certificate["datasets"]}
    assert removed == {
        "customers": {"customer_id": 1},
        "orders": {"customer_id": 2},
        "order_lines": {"customer_id": 1, "order_id of orders": 1},
        "deals": {"customer_id": 1},
        "deal_stages": {"deal_id of deals": 2},
        "leads": {"customer_id": 1},
        "touches": {"person_id": 1, "person_id of leads": 1},
        "activities": {"deal_id of deals": 1},
        "subscriptions": {"customer_id": 1},
    }
    for name, rows in before.items():
        left = shop.rows(name)
        assert len(left) == len(rows) - sum(removed[name].values())
        assert all(row in rows for row in left), "no other row has changed"
        assert shop.gone(name) == {0: True, 1: False}
        assert shop.table(name).snapshot(0) is None, "its files are removed"
    assert certificate["verified"]
    assert certificate["requested_by"] == "key rk_test"


def test_ids_that_differ_in_white_space_are_different_people(shop: Shop) -> None:
    ids = ["X", "\u3000X", "Y", "\u2003Y\u2003", "Z\u2009", "W\u0085", "\u2028V", "a\nb", "x" * 3000]
    shop.import_("customers", "customer_id,name\n" + "".join(f'"{one}",Jo\n' for one in ids))
    for one in ids[1::2]:
        certificate = certificate_of(shop.erase(one))
        assert [(found["dataset"], found["matched"]) for found in certificate["datasets"] if found["matched"]] == [
            ("customers", {"customer_id": 1})
        ]
    assert sorted(row["customer_id"] for row in shop.rows("customers")) == sorted(ids[::2])


def test_nothing_of_the_person_is_left_anywhere(shop: Shop) -> None:
    who = f"Zq-{uuid.uuid4().hex[:8]}"
    mail = f"{who.lower()}@example.org"
    shop.import_("customers", CUSTOMERS.replace(WHO, who).replace(MAIL, mail))
    shop.import_("orders", ORDERS.replace(WHO, who))
    failed = shop.import_("orders", f"order_id,customer_id,ordered_at,amount\nX,{who},someday,{mail}\n")
    rejected = shop.import_(
        "customers", f"customer_id,name,email,created_at\n{who},Jane,{mail},someday\nC-3,Jo,,\n", max_rejects=1
    )
    listing = shop.report()
    asked = shop.report(filter={"column": "customer_id", "op": "eq", "value": who})
    assert [failed.status, rejected.status, listing.status, asked.status] == ["failed"] + ["succeeded"] * 3
    waiting = shop.accept_report(filter={"column": "customer_id", "op": "in", "value": [who, "C-2"]})
    needles = (who.encode(), mail.encode())
    assert any(needle in held for held in erasures.lake_texts(shop).values() for needle in needles)
    assert who in erasures.database_text()

    job = shop.erase(who)
    certificate = certificate_of(job)
    for path, held in erasures.lake_texts(shop).items():
        assert not any(needle in held for needle in needles), path
    assert not any(needle in file.read_bytes() for file in uploads() for needle in needles)
    dump = erasures.database_text().splitlines()
    assert [line for line in dump if who in line or mail in line] == []

    assert {one["job_id"] for one in certificate["results_removed"]} == {
        str(rejected.id), str(listing.id), str(asked.id)
    }  # fmt: skip
    assert certificate["uploads_removed"] == [str(failed.id)]
    assert certificate["records_redacted"] >= 3
    assert shop.job(waiting).params["filter"]["value"] == ["[erased]", "C-2"]
    assert (shop.job(failed.id).error or {})["type"] == "too-many-rejects"
    assert erasure_subject.is_about(certificate["subject"], who)
    assert not erasure_subject.is_about(certificate["subject"], "C-2")
    assert job.params == {"dry_run": False, "requested_by": "key rk_test", "subject": certificate["subject"]}


def test_a_result_that_lists_nobody_of_them_stays(shop: Shop) -> None:
    shop.give("orders", ORDERS)
    revenue = shop.run(shop.accept_report("revenue_trend"))
    others = shop.accept_import("orders", "order_id,customer_id,ordered_at,amount\nX,C-9,someday,1\n")
    shop.run(others)
    certificate = certificate_of(shop.erase(WHO))
    assert certificate["results_removed"] == []
    assert certificate["uploads_removed"] == []
    with session.transaction() as db:
        assert result.find(db, revenue.id) is not None
    assert (settings.load().upload_folder / str(others)).is_file()


def test_versions_that_never_held_the_person_stay_readable(shop: Shop) -> None:
    shop.import_("customers", "customer_id,name\nC-1,Jo\n")
    shop.give("customers", CUSTOMERS)
    shop.import_("customers", "customer_id,name\nC-5,Al\n", mode="replace")
    certificate = certificate_of(shop.erase(WHO))
    (one,) = [one for one in certificate["datasets"] if one["dataset"] == "customers"]
    assert one["rows_removed"] == 0
    assert (one["version_before"], one["version_after"]) == (2, 2), "the newest version had no row of theirs"
    assert one["versions_made_unreadable"] == [1]
    assert shop.gone("customers") == {0: False, 1: True, 2: False}
    assert shop.rows("customers", 0) == shop.rows("customers", 0)
    assert [row["customer_id"] for row in shop.rows("customers", 0)] == ["C-1"]
    assert shop.table("customers").snapshot(1) is None


def test_what_belonged_to_a_record_of_an_old_version_goes_too(shop: Shop) -> None:
    shop.give("deals", DEALS)
    shop.give("deal_stages", STAGES)
    shop.import_("deals", "deal_id,customer_id,stage\nD2,C-2,open\n", mode="replace")
    certificate_of(shop.erase(WHO))
    assert {row["deal_id"] for row in shop.rows("deal_stages")} == {"D2"}


def test_a_new_column_that_gave_files_second_names_hides_nobody(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    shop.import_("customers", "customer_id,name,shoe size\nC-5,Al,44\n")
    certificate_of(shop.erase(WHO))
    assert not any(WHO.encode() in held for held in erasures.lake_texts(shop).values())
    assert {row["customer_id"] for row in shop.rows("customers")} == {"C-2", "C-5"}


def test_a_customer_nobody_knows_gets_a_certificate_of_nothing(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    certificate = certificate_of(shop.erase("nobody"))
    assert all(one["rows_removed"] == one["files_removed"] == 0 for one in certificate["datasets"])
    assert shop.gone("customers") == {0: False}
    assert certificate["verification"]["rows_read"] == 2


def test_a_dry_run_counts_and_changes_nothing(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    shop.give("orders", ORDERS)
    listing = shop.report()
    failed = shop.import_("orders", f"order_id,customer_id,ordered_at,amount\nX,{WHO},someday,1\n")
    lake_before, uploads_before = erasures.lake_texts(shop), set(uploads())
    job = shop.erase(WHO, dry_run=True)
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    plan = job.outcome["plan"]
    planned = {one["dataset"]: (one["rows"], one["versions"], one["files"]) for one in plan["datasets"] if one["rows"]}
    assert planned == {"customers": (1, [0], 1), "orders": (2, [0], 1)}
    assert [one["job_id"] for one in plan["results"]] == [str(listing.id)]
    assert plan["uploads"] == [str(failed.id)]
    assert plan["records"] == 1
    assert erasures.lake_texts(shop) == lake_before
    assert set(uploads()) == uploads_before
    assert shop.gone("orders") == {0: False}
    assert WHO in str(shop.job(failed.id).error)


def test_an_import_that_waits_is_later_data(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    waiting = shop.accept_import("customers", CUSTOMERS)
    certificate = certificate_of(shop.erase(WHO))
    assert certificate["uploads_removed"] == []
    assert shop.run(waiting).status == "succeeded"
    assert {row["customer_id"] for row in shop.rows("customers")} == {WHO, "C-2"}


def test_reports_that_wait_read_what_is_left(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    shop.give("orders", ORDERS)
    waiting = shop.accept_report()
    shop.import_("orders", "order_id,customer_id,ordered_at,amount\nO7,C-7,2026-01-03,20\n")
    older = shop.accept(JobKind.REPORT, "rfm", {"timezone": "UTC", "currency": "GBP"}, dataset_versions={"orders": 0})
    newest = shop.accept_report()
    certificate_of(shop.erase(WHO))
    done = shop.run(newest)
    assert done.status == "succeeded", done.error
    assert done.dataset_versions == {"customers": 1, "orders": 2}
    for refused in (waiting, older):
        job = shop.run(refused)
        assert job.status == "failed", "it was pinned to a version that was not the newest"
        assert job.error is not None
        assert job.error["type"] == "dataset-version-gone"


def test_a_report_that_reads_the_person_is_waited_for(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing_readers, "LONGEST_SECONDS", 40.0)
    shop.give("orders", ORDERS)
    reader = shop.start(shop.accept_report())
    late = shop.job(shop.accept(JobKind.REPORT, "rfm", {}, dataset_versions={"orders": 0}))
    ended: list[bool] = []

    def finish() -> None:
        wait_for(lambda: True in shop.gone("orders").values(), seconds=20)
        assert shop.table("orders").snapshot(0) is not None, "its files are still there"
        with pytest.raises(errors.Refusal, match="no longer kept"):
            reports._open_snapshots(running_job.RunningJob(late))
        ended.append(fail(reader))

    helper = threading.Thread(target=finish, daemon=True)
    helper.start()
    certificate = certificate_of(shop.erase(WHO))
    helper.join()
    assert ended == [True]
    assert certificate["reports_cancelled"] == []


def test_a_report_that_reads_a_version_past_its_retention_is_waited_for(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasing_readers, "LONGEST_SECONDS", 0.2)
    shop.give("orders", ORDERS)
    reader = shop.start(shop.accept_report())
    shop.give("orders", "order_id,customer_id,ordered_at,amount\nO7,C-7,2026-01-03,20\n")
    with session.transaction() as db:
        db.execute(
            text("UPDATE dataset_versions SET gone_at = now() WHERE organisation_id = :o AND version = 0"),
            {"o": shop.organisation_id},
        )
    assert shop.erase(WHO).status == "queued"
    assert shop.table("orders").snapshot(0) is not None
    fail(reader)


def test_a_report_that_takes_too_long_is_stopped(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing_readers, "PATIENCE_SECONDS", 0.1)
    shop.give("orders", ORDERS)
    reader = shop.start(shop.accept_report())

    def stop() -> None:
        wait_for(lambda: shop.job(reader.id).cancel_requested_at, seconds=20)
        with session.transaction() as db:
            assert transitions.cancel_running(db, reader.id, reader.attempt)

    helper = threading.Thread(target=stop, daemon=True)
    helper.start()
    certificate = certificate_of(shop.erase(WHO))
    helper.join()
    assert certificate["reports_cancelled"] == [str(reader.id)]
    assert "erased" in (shop.job(reader.id).cancel_reason or "")


def test_a_report_that_does_not_end_keeps_the_erasure_from_its_end(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing_readers, "PATIENCE_SECONDS", 0.1)
    monkeypatch.setattr(erasing_readers, "LONGEST_SECONDS", 0.3)
    shop.give("orders", ORDERS)
    reader = shop.start(shop.accept_report())
    job = shop.erase(WHO)
    assert job.status == "queued", "it goes on later, uncounted, because it has taken effect"
    assert job.errors == 0
    assert shop.table("orders").snapshot(0) is not None
    fail(reader)
    make_due(job.id)
    certificate_of(shop.run(job.id))
    assert shop.table("orders").snapshot(0) is None


def test_a_cancelled_erasure_changes_nothing_and_the_next_one_forgets_it(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    cancelled = shop.accept_erasure(WHO)
    with session.transaction() as db:
        assert transitions.cancel_queued(db, cancelled, by="a test")
    assert shop.job(cancelled).params["customer_id"] == WHO
    assert len(shop.rows("customers")) == 2
    certificate_of(shop.erase(WHO))
    assert shop.job(cancelled).params["customer_id"] == "[erased]"


def test_other_organisations_keep_what_is_theirs(shop: Shop) -> None:
    other = erasures.open_shop()
    other.give("customers", CUSTOMERS)
    shop.give("customers", CUSTOMERS)
    certificate_of(shop.erase(WHO))
    assert len(other.rows("customers")) == 2
    assert other.gone("customers") == {0: False}


def test_previews_that_may_show_the_person_are_emptied(shop: Shop) -> None:
    shown = {"preview": {"mapping": [{"header": "name", "samples": ["Jane Doe"]}], "rows": []}}
    theirs, others, unknown = (shop.accept(JobKind.PREVIEW, "customers", {}) for _ in range(3))
    for job_id in (theirs, others, unknown):
        job = shop.start(job_id)
        with session.transaction() as db:
            transitions.succeed(db, job_id, attempt=job.attempt, outcome=shown, keep_result=None, max_in_flight=16)
    folder = settings.load().upload_folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / str(theirs)).write_text(f"id,name\nC-2,Jim\n{WHO},Jane Doe\n")
    (folder / str(others)).write_text("id,name\nC-2,Jane Doe\n")
    certificate = certificate_of(shop.erase(WHO))
    assert [shop.job(one).outcome for one in (theirs, others, unknown)] == [{}, shown, {}]
    assert certificate["records_redacted"] == 2
