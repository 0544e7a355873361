"""A lake in an object store, from the import to the report and back: against a server that speaks S3, on loopback."""

import os
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli import listening
from models import lake, lake_cache, settings
from models.job_states import JobKind, JobStatus
from tasks import reports
from tests.integration import web_api
from tests.integration.lake_hands import WIDE, Hands, outcome
from tests.integration.test_lake_restore import restore
from tests.integration.web_api import Caller
from web import publishing
from workers.lake_jobs import compacting, importing
from workers.running_job import RunningJob

ORDERS = b"order_id,customer_id,ordered_at,amount\n1,a,2026-01-02,10.50\n2,b,2026-02-03,20\n"
MORE = b"order_id,customer_id,ordered_at,amount\n2,b,2026-02-03,99\n3,c,2026-03-04,30\n"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The address of an object store."""
    port = listening.pick_port("127.0.0.1", 0, option="the port of a test")
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        with httpx.Client(trust_env=False) as client:
            for _ in range(200):
                try:
                    client.put(f"{address}/lake").raise_for_status()
                    break
                except httpx.TransportError:
                    time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def in_object_store(
    server: str, database: settings.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    said = {
        "LAKE_URL": f"s3://lake/{uuid.uuid4().hex}",
        "COMPACT_FILES": "2",
        "AWS_ENDPOINT_URL": server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_REGION": "us-east-1",
    }
    for name, value in said.items():
        monkeypatch.setenv(name, value)
    # Nobody is there to take a message.
    monkeypatch.setattr(publishing, "publish", lambda _job: None)
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


def import_(caller: Caller, content: bytes) -> dict[str, Any]:
    answer = caller.send("/v1/imports?dataset=orders", content)
    assert answer.status_code == 202, answer.text
    job = web_api.start(answer.json["id"])
    importing.run(RunningJob(job))
    return outcome(job)


def report(caller: Caller, version: int) -> bytes:
    answer = caller.post("/v1/reports", {"type": "revenue_trend", "dataset_versions": {"orders": version}})
    assert answer.status_code == 202, answer.text
    job = web_api.start(answer.json["id"])
    reports.run.run(RunningJob(job))
    assert web_api.row(str(job.id)).status == JobStatus.SUCCEEDED
    return caller.get(f"/v1/reports/{job.id}/result?format=csv").data


def test_from_the_import_to_the_report_and_back(caller: Caller, orders: Hands) -> None:
    assert import_(caller, ORDERS)["rows"]["inserted"] == 2
    first = report(caller, 0)
    assert b"20.00" in first
    changed = import_(caller, MORE)["rows"]
    assert (changed["inserted"], changed["updated"], changed["unchanged"]) == (1, 1, 0)
    second = report(caller, 1)
    assert second != first
    restore(orders, 0)
    assert report(caller, 2) == first
    # What two versions share was fetched once, and what is fetched is not asked for again.
    kept = {path.name for path in settings.load().lake_cache_folder.glob("*/*/*.parquet")}
    assert kept >= {orders.table.path(address) for version in (0, 1, 2) for address in orders.at(version).files}
    for file in orders.at(1).contents:
        orders.table.storage.discard(orders.table.path(file.address))
    assert orders.table.snapshot(1) is None, "a copy does not bring a version back"


def test_columns_are_added_files_gathered_and_swept(orders: Hands) -> None:
    orders.write("1")
    orders.write("2", schema=WIDE)
    job = orders.accept(JobKind.COMPACTION)
    compacting.run(orders.claim(job))
    assert outcome(job)["gathered"]["into"] == 1
    newest = orders.contents()
    assert (len(newest), newest[0].rows) == (1, 2)
    before = {stored.path for stored in orders.table.storage.listing()}
    orders.give_up(0, 1)
    assert orders.sweep().files == 3
    assert len(before) == 4
    assert [stored.path for stored in orders.table.storage.listing()] == [orders.table.path(newest[0].address)]
    assert orders.table.snapshot(0) is None


def test_imports_that_race_all_land(orders: Hands) -> None:
    orders.write("0")
    start = threading.Barrier(4)
    errors: list[BaseException] = []
    conflicts: list[str] = []

    def run(number: int) -> None:
        base = orders.table.snapshot()
        path = orders.folder / f"{number}.parquet"
        path.write_bytes(Path(first).read_bytes())
        start.wait()
        for _ in range(20):
            change = lake.LakeChange(base, (path,), (), orders.at(0).schema, facts={})
            try:
                orders.table.commit(str(uuid.uuid4()), change)
            except lake.LakeConflict as conflict:
                conflicts.append(str(conflict))
                base = orders.table.snapshot()
            except BaseException as error:  # noqa: BLE001 - a thread's error is the test's
                errors.append(error)
                return
            else:
                return

    (first,) = lake_cache.local_files(orders.table, orders.at(0))
    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(conflicts) >= 3, "all began from the same version, so only one may land at once"
    newest = orders.table.snapshot()
    assert newest is not None
    assert (newest.version, newest.row_count) == (4, 5)


def test_a_file_that_is_cut_short_is_not_kept(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    from models import lake_storage  # noqa: PLC0415 - only this test looks below the lake

    orders.write("1")
    with monkeypatch.context() as patch:
        patch.setattr(lake_storage.ObjectStore, "fetch", lambda _self, _path, target: target.write_bytes(b"PAR1"))
        with pytest.raises(lake_cache.CutShort, match="and 4 came"):
            lake_cache.local_files(orders.table, orders.at(0))
    (path,) = lake_cache.local_files(orders.table, orders.at(0))
    assert Path(path).stat().st_size == orders.contents()[0].size
    assert list(Path(path).parent.glob(".*")) == []


def test_copies_that_nobody_uses_make_room(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.write("1")
    orders.write("2")
    first, second = (lake_cache.local_files(orders.table, orders.at(version)) for version in (0, 1))
    other = next(path for path in second if path not in first)
    monkeypatch.setenv("LAKE_CACHE_BYTES", "0")
    settings.load.cache_clear()
    lake_cache.local_files(orders.table, orders.at(0))
    assert Path(other).exists(), "a job may still be reading it"
    os.utime(other, (time.time() - settings.load().longest_limit_seconds - 1,) * 2)
    lake_cache.local_files(orders.table, orders.at(0))
    assert not Path(other).exists()
    assert Path(first[0]).exists()
    monkeypatch.delenv("LAKE_CACHE_BYTES")
    settings.load.cache_clear()
    os.utime(first[0], (0, 0))
    assert Path(*lake_cache.local_files(orders.table, orders.at(0))).stat().st_mtime > time.time() - 60
