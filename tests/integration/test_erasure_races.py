"""Erasures that die, meet each other, or meet imports and restores: each ends right, and its certificate tells all of it."""

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa
import pytest
from billiard import process

from analytics.datasets import importing as planning
from models import lake, session, settings, transitions, webhooks
from models.delivery import Delivery
from models.idempotent_effects import IdempotentEffect
from models.job import Job
from models.job_states import JobKind, Reason
from tests.integration import dying_erasure, erasures
from tests.integration.erasures import Shop
from workers.lake_jobs import (
    erasing,
    erasing_deliveries,
    erasing_lake,
    erasing_readers,
    erasing_receivers,
    erasing_traces,
)

ROOT = Path(__file__).parents[2]
WHO = "Zq-4711"
OTHER = "Zq-0815"
CUSTOMERS = f"customer_id,name\n{WHO},Jane\n{OTHER},Jim\nC-3,Jo\n"
ORDERS = f"order_id,customer_id,ordered_at,amount\nO1,{WHO},2026-01-02,10\nO2,{OTHER},2026-01-03,20\nO3,,2026-01-04,5\n"
LINES = f"order_id,line_no,ordered_at,amount,customer_id\nO1,1,2026-01-02,10,\nO3,1,2026-01-04,5,{WHO}\nO2,1,2026-01-03,20,\n"


class Killed(BaseException):
    """Stands for SIGKILL: nothing in the program may catch it."""


@pytest.fixture
def shop(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    assert database.home.is_dir()
    return erasures.open_shop()


def fill(shop: Shop) -> None:
    shop.give("customers", CUSTOMERS)
    shop.give("orders", ORDERS)
    shop.give("order_lines", LINES)
    shop.give_result(pa.table({"customer_id": [WHO, OTHER]}))
    sample = {"line": 2, "row": f"X,{WHO},someday,1"}
    shop.give_failed_import("orders", f"X,{WHO}\n", {"type": "too-many-rejects", "data": {"samples": [sample]}})
    fill_outbox(shop)


def fill_outbox(shop: Shop) -> None:
    """Write a delivery that is for the person, one that tells of them, a webhook of theirs, and a request's key."""
    with session.transaction() as db:
        made = webhooks.create(
            db, shop.organisation_id, url=f"https://example.org/{WHO}", lane="x", events=[], description=None
        ).webhook
        data: dict[str, Any] = {"id": "1", "label": f"For {WHO}", "links": {}}
        common: dict[str, Any] = {
            "organisation_id": shop.organisation_id,
            "event_type": "report.succeeded",
            "payload": {"type": "report.succeeded", "timestamp": "x", "data": data},
            "next_attempt_at": datetime.now(UTC) + timedelta(days=1),
        }
        own = {"column": "customer_id", "op": "eq", "value": WHO}
        db.add(Delivery(**common, channel="email", lane="x", target={"to": "jane@example.org"}, filter=own))
        db.add(Delivery(**common, channel="webhook", lane="x", target={}, webhook_id=made.id))
        effect = {"organisation_id": shop.organisation_id, "request_sha256": b"0", "subject_id": made.id}
        db.add(IdempotentEffect(**effect, key=f"webhook-of-{WHO}"))


def certificate_of(job: Job) -> erasures.Json:
    assert job.status == "succeeded", job.error
    assert job.outcome is not None
    certificate: erasures.Json = job.outcome["certificate"]
    return certificate


def summary(job: Job) -> Any:
    """What the certificate says was removed, without ids and sizes that differ from shop to shop."""
    found = certificate_of(job)
    of_datasets = {
        one["dataset"]: (one["matched"], one["version_after"], one["versions_made_unreadable"], one["files_removed"])
        for one in found["datasets"]
        if one["rows_removed"]
    }
    removed = (len(found["results_removed"]), len(found["uploads_removed"]), found["records_redacted"])
    told = tuple(found[name] for name in OF_OUTBOX)
    return of_datasets, removed, told, found["verification"]["rows_found"]


OF_OUTBOX = ("deliveries_redacted", "deliveries_cancelled", "webhooks_redacted", "idempotency_keys_removed")
EXPECTED = (
    {
        "customers": ({"customer_id": 1}, 1, [0], 1),
        "orders": ({"customer_id": 1, "order_id of order_lines": 1}, 1, [0], 1),
        "order_lines": ({"customer_id": 1, "order_id of orders": 1}, 1, [0], 1),
    },
    (1, 1, 1),
    (2, 1, 1, 1),
    0,
)


def nothing_is_left(shop: Shop, who: str = WHO) -> bool:
    return not any(who.encode() in held for held in erasures.lake_texts(shop).values())


def bury(job_id: uuid.UUID, shop: Shop) -> None:
    """Give the job of a dead process back to the queue."""
    with session.transaction() as db:
        transitions.give_up_lost(db, shop.job(job_id), reason=Reason.WORKER_LOST)


def test_an_undisturbed_erasure(shop: Shop) -> None:
    fill(shop)
    assert summary(shop.erase(WHO)) == EXPECTED
    assert nothing_is_left(shop)
    assert {row["order_id"] for row in shop.rows("order_lines")} == {"O2"}


@pytest.mark.parametrize(
    ("where", "name", "nth", "when"),
    [
        (lake.LakeTable, "commit", 2, "before"),
        (lake.LakeTable, "commit", 2, "after"),
        (erasing_lake, "close", 2, "after"),
        (erasing_readers, "wait", 1, "after"),
        (erasing_lake, "_discard", 2, "after"),
        (erasing_traces, "redact_records", 1, "after"),
        (erasing_traces, "remove_results", 1, "after"),
        (erasing_traces, "remove_uploads", 1, "after"),
        (erasing_receivers, "redact", 1, "after"),
        (erasing_deliveries, "redact", 1, "after"),
        (erasing_deliveries, "wait", 1, "before"),
        (erasing_deliveries, "redact", 2, "before"),
        (erasing, "_certify", 1, "before"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_erasure_that_dies_is_finished_by_the_next_attempt(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, *, where: ModuleType | type, name: str, nth: int, when: str
) -> None:
    fill(shop)
    job_id = shop.accept_erasure(WHO)
    real, calls = getattr(where, name), []

    def die(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == nth and when == "before":
            raise Killed
        answer = real(*arguments, **named)
        if len(calls) == nth:
            raise Killed
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(where, name, die)
        with pytest.raises(Killed):
            shop.run(job_id)
    bury(job_id, shop)
    job = shop.run(job_id)
    assert job.attempt == 2
    assert summary(job) == EXPECTED
    assert nothing_is_left(shop)


def test_what_belongs_to_a_deal_goes_although_the_deal_went_first(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.give("deals", f"deal_id,customer_id,stage\nD1,{WHO},won\nD2,C-2,open\n")
    shop.give("deal_stages", "deal_id,stage,entered_at\nD1,new,2026-01-01\nD2,new,2026-01-01\n")
    job_id = shop.accept_erasure(WHO)
    with monkeypatch.context() as patch:
        patch.setattr(erasing_lake, "_discard", _once(erasing_lake._discard))
        with pytest.raises(Killed):
            shop.run(job_id)
    assert not any(b"D1" in _deals(held) for held in erasures.lake_texts(shop).values())
    assert any(b"D1" in held for held in erasures.lake_texts(shop).values()), "the old version of the stages"
    bury(job_id, shop)
    certificate_of(shop.run(job_id))
    assert not any(b"D1" in held for held in erasures.lake_texts(shop).values())


def _once(real: Callable[..., None]) -> Callable[..., None]:
    """Do a step, and die of it."""

    def step(*arguments: Any) -> None:
        real(*arguments)
        raise Killed

    return step


def _deals(held: bytes) -> bytes:
    return held if b"customer_id" in held else b""


def test_an_erasure_whose_process_is_killed_is_finished_by_another(shop: Shop) -> None:
    fill(shop)
    job_id = shop.accept_erasure(WHO)
    died = subprocess.run(
        [sys.executable, "-m", dying_erasure.__name__, str(job_id)],
        cwd=ROOT,
        env=os.environ,
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert died.returncode == -9, died.stderr.decode()
    assert shop.job(job_id).status == "running"
    bury(job_id, shop)
    assert summary(shop.run(job_id)) == EXPECTED
    assert nothing_is_left(shop)


def between(
    monkeypatch: pytest.MonkeyPatch, where: ModuleType | type, name: str, what: Callable[[], object], *, nth: int = 1
) -> None:
    """Let something happen just before a step of the erasure, once."""
    real, calls = getattr(where, name), []

    def step(*arguments: Any, **named: Any) -> Any:
        calls.append(name)
        if len(calls) == nth:
            what()
        return real(*arguments, **named)

    monkeypatch.setattr(where, name, step)


@pytest.mark.parametrize("who", [OTHER, WHO])
@pytest.mark.parametrize("step", ["replace", "remove"])
def test_two_erasures_at_once(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str, who: str) -> None:
    fill(shop)
    first = shop.accept_erasure(WHO)
    inner: list[Job] = []
    between(monkeypatch, erasing_lake, step, lambda: inner.append(shop.erase(who)))
    outer = shop.run(first)
    certificates = [certificate_of(job) for job in (inner[0], outer)]
    removed = sum(one["rows_removed"] for found in certificates for one in found["datasets"])
    assert removed == (5 if who == WHO else 8), "each row is in one of the certificates"
    assert nothing_is_left(shop)
    assert nothing_is_left(shop, who)
    assert len(shop.rows("customers")) == (2 if who == WHO else 1)
    assert shop.report().status == "succeeded"


@pytest.mark.parametrize("step", ["replace", "close"])
def test_an_import_at_the_same_time_is_not_lost(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    fill(shop)
    job_id = shop.accept_erasure(WHO)
    added = "customer_id,name\nC-9,Al\n"
    between(monkeypatch, erasing_lake, step, lambda: shop.import_("customers", added))
    certificate_of(shop.run(job_id))
    assert {row["customer_id"] for row in shop.rows("customers")} == {OTHER, "C-3", "C-9"}
    assert nothing_is_left(shop)
    assert max(shop.gone("customers")) == shop.table("customers").newest_version()


def test_an_import_whose_files_are_erased_while_it_reads_them_plans_again(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    job_id = shop.accept_import("customers", "customer_id,name\nC-3,Joe\nC-9,Al\n")
    between(monkeypatch, planning, "plan_change", lambda: shop.erase(WHO))
    job = shop.run(job_id)
    assert (job.status, job.attempt) == ("succeeded", 1), job.error
    assert {row["customer_id"]: row["name"] for row in shop.rows("customers")} == {
        OTHER: "Jim",
        "C-3": "Joe",
        "C-9": "Al",
    }
    assert nothing_is_left(shop)


def test_an_import_that_brings_the_person_back_meanwhile_is_undone_too(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(shop)
    job_id = shop.accept_erasure(WHO)
    between(monkeypatch, erasing_lake, "look", lambda: shop.import_("customers", CUSTOMERS), nth=2)
    job = shop.run(job_id)
    (one,) = [one for one in certificate_of(job)["datasets"] if one["dataset"] == "customers"]
    assert (one["rows_removed"], one["version_before"], one["version_after"]) == (2, 0, 3)
    assert one["versions_made_unreadable"] == [0, 2]
    assert nothing_is_left(shop)


def test_imports_that_do_not_stop_bringing_the_person_back_end_it(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "MOST_PASSES", 2)
    fill(shop)
    job_id = shop.accept_erasure(WHO)
    real = erasing_lake.look

    def look(*arguments: Any) -> Any:
        shop.import_("customers", CUSTOMERS)
        return real(*arguments)

    monkeypatch.setattr(erasing_lake, "look", look)
    job = shop.run(job_id)
    assert job.status == "failed"
    assert (job.error or {})["type"] == "erasure-overtaken"
    assert job.params["customer_id"] == WHO, "whoever asks again has to know whom"


@pytest.mark.parametrize("step", ["replace", "remove"])
def test_a_restore_at_the_same_time_brings_nobody_back(shop: Shop, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    shop.give("customers", CUSTOMERS)
    shop.import_("customers", "customer_id,name\nC-5,Al\n", mode="replace")
    job_id = shop.accept_erasure(OTHER)
    restore = shop.accept(JobKind.RESTORE, "customers", {"version": 0})
    between(monkeypatch, erasing_lake, step, lambda: shop.run(restore))
    certificate_of(shop.run(job_id))
    assert nothing_is_left(shop, OTHER)
    assert shop.job(restore).status in {"succeeded", "failed"}
    expected = {"C-5"} if shop.job(restore).status == "failed" else {WHO, "C-3"}
    assert {row["customer_id"] for row in shop.rows("customers")} == expected
    again = shop.run(shop.accept(JobKind.RESTORE, "customers", {"version": 0}))
    assert (again.error or {})["type"] == "dataset-version-gone"


def test_files_that_a_dead_import_left_are_removed(shop: Shop) -> None:
    fill(shop)
    job_id = shop.accept_import("customers", CUSTOMERS)
    left = Path(shop.table("customers").uri) / f"{job_id}-{uuid.uuid4().hex}.parquet"
    left.write_bytes(next(Path(left.parent).glob("*.parquet")).read_bytes())
    scratch = settings.load().scratch_folder / str(job_id) / "1" / "second.parquet"
    scratch.parent.mkdir(parents=True)
    scratch.hardlink_to(left)
    certificate_of(shop.erase(WHO))
    assert not left.exists()
    assert not scratch.exists(), "a second name keeps a file alive, and the import still waits to be run again"


def test_a_file_that_a_running_import_is_about_to_commit_is_left_to_it(shop: Shop) -> None:
    fill(shop)
    importing = shop.start(shop.accept_import("customers", CUSTOMERS))
    placed = Path(shop.table("customers").uri) / f"{importing.id}-{uuid.uuid4().hex}.parquet"
    placed.write_bytes(next(Path(placed.parent).glob("*.parquet")).read_bytes())
    certificate_of(shop.erase(WHO))
    assert placed.exists()
