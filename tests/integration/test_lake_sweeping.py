"""What is given up and removed: never what a reader, a pinned job or a running one needs, whenever it is looked at."""

import datetime as dt
import os
import time
import uuid
from pathlib import Path

import pytest

from models import dataset, failpoints, lake, lake_retention, lake_storage, session, transitions
from models.failpoints import Point
from models.job import Job
from models.job_states import JobKind, JobStatus, Reason
from tests.integration import web_api
from tests.integration.lake_hands import NOW, WIDE, Hands
from tests.integration.test_lake_restore import restore
from workers import lake_upkeep, publisher
from workers.lake_jobs import compacting, sweeping

MONTH = dt.timedelta(days=30)


def give_up(orders: Hands) -> set[int]:
    """Give up what is past its time; the answer is of this organisation."""
    with session.transaction() as db:
        gone = lake_retention.give_up_expired(db, keep=MONTH)
    return {one.version for one in gone if one.organisation_id == orders.caller.organisation_id}


def replace(orders: Hands, *ids: str) -> int:
    return orders.write(*ids, removed=orders.addresses())


def test_time_runs_from_the_moment_a_newer_version_came(orders: Hands) -> None:
    for number in ("1", "2", "3", "4"):
        replace(orders, number)
    for version, days in ((0, 90), (1, 40), (2, 29)):
        orders.age(version, days)
    assert give_up(orders) == {0}, "version 1 was the newest one until 29 days ago"
    orders.age(2, 31)
    assert give_up(orders) == {1}
    orders.age(3, 400)
    assert give_up(orders) == {2}
    assert give_up(orders) == set(), "the newest one is never given up"
    assert orders.versions()[3].gone_at is None


@pytest.mark.parametrize("end", ["queued", "running"])
def test_what_an_unfinished_job_reads_is_not_given_up(orders: Hands, end: str) -> None:
    replace(orders, "1")
    replace(orders, "2")
    orders.age(0, 90)
    orders.age(1, 60)
    report = orders.accept(JobKind.REPORT, dataset_versions={"orders": 0})
    if end == "running":
        web_api.start(str(report.id))
    assert give_up(orders) == set()
    finish(report)
    assert give_up(orders) == {0}


def finish(job: Job) -> None:
    with session.transaction() as db:
        if web_api.row(str(job.id)).status == JobStatus.QUEUED:
            assert transitions.cancel_queued(db, job.id, by="a test")
        else:
            done = transitions.succeed(db, job.id, attempt=1, outcome={}, keep_result=None, max_in_flight=16)
            assert done is not None


def test_the_files_of_a_version_go_with_it(orders: Hands) -> None:
    replace(orders, "1")
    orders.write("2")
    replace(orders, "3")
    orders.give_up(0, 1)
    swept = orders.sweep()
    assert (swept.files, swept.versions) == (2, 2)
    assert swept.bytes > 0
    assert orders.table.snapshot(0) is None
    assert orders.table.snapshot(1) is None
    assert orders.rows() == [("3", "channel 3")]
    assert {number: one.swept_at is not None for number, one in orders.versions().items()} == {
        0: True,
        1: True,
        2: False,
    }
    assert orders.sweep() == sweeping.Swept(0, 0, 0)


def test_foreseeing_changes_nothing(orders: Hands) -> None:
    replace(orders, "1")
    replace(orders, "2")
    orders.age(0, 90)
    orders.age(1, 31)
    for name in orders.files():
        os.utime(Path(orders.table.uri, name), (0, 0))
    files = orders.files()
    with session.transaction() as db:
        lake_retention.give_up_expired(db, keep=MONTH)
        foreseen = sweeping.foresee(db, orders.table, orders.caller.organisation_id)
        db.rollback()
    assert (foreseen.files, foreseen.versions) == (1, 1)
    assert orders.files() == files
    assert orders.versions()[0].gone_at is None


def test_files_that_newer_versions_name_stay(orders: Hands) -> None:
    replace(orders, "1")
    orders.write("2")
    orders.give_up(0)
    assert orders.sweep().files == 0
    assert len(orders.rows()) == 2


def test_a_file_that_came_back_stays(orders: Hands) -> None:
    replace(orders, "1")
    replace(orders, "2")
    restore(orders, 0)
    orders.give_up(0, 1)
    assert orders.sweep().files == 1
    assert orders.rows() == [("1", "channel 1")]


def test_of_a_file_with_two_names_one_goes(orders: Hands) -> None:
    orders.write("1")
    (first,) = orders.files()
    # A column more, and the file of the first version gets a second name.
    orders.write("2", schema=WIDE)
    assert Path(orders.table.uri, first).stat().st_nlink >= 2
    orders.give_up(0)
    assert orders.sweep().files == 1
    assert first not in orders.files()
    assert [row[0] for row in orders.rows()] == ["1", "2"]
    # And the other way round: the first name comes back, the second goes.
    orders.write("3", removed=orders.addresses(), schema=WIDE)
    assert len(orders.rows(1)) == 2


def test_a_pin_that_came_at_the_last_moment_keeps_the_files(orders: Hands) -> None:
    replace(orders, "1")
    replace(orders, "2")
    replace(orders, "3")
    orders.give_up(0, 1)
    report = orders.accept(JobKind.REPORT, dataset_versions={"orders": 0})
    swept = orders.sweep()
    assert (swept.files, swept.versions) == (1, 1)
    assert orders.rows(0) == [("1", "channel 1")]
    finish(report)
    assert orders.sweep().files == 1
    assert orders.table.snapshot(0) is None


def test_a_version_that_was_just_marked_keeps_its_files_for_a_while(orders: Hands) -> None:
    replace(orders, "1")
    replace(orders, "2")
    orders.give_up(0)
    assert orders.sweep(grace=dt.timedelta(hours=2)).files == 0
    assert orders.sweep(grace=dt.timedelta(minutes=59)).files == 1


def test_what_a_running_job_has_placed_is_its_own(orders: Hands, tmp_path: Path) -> None:
    orders.write("1")
    job = orders.accept(JobKind.IMPORT)
    running = orders.claim(job)
    litter = place(orders, tmp_path, f"{job.id}-{uuid.uuid4().hex}.parquet")
    partial = place(orders, tmp_path, f"{job.id}-{uuid.uuid4().hex}.partial")
    foreign = place(orders, tmp_path, "somebody-elses.parquet")
    assert orders.sweep().files == 0
    with running.finish():
        pass
    # Nothing is left alive that could still commit them, and yet: what is young stays.
    assert orders.sweep(young=dt.timedelta(hours=1)).files == 0
    assert orders.sweep().files == 2
    assert not litter.exists()
    assert not partial.exists()
    assert foreign.exists()


def place(orders: Hands, folder: Path, name: str) -> Path:
    source = folder / "litter"
    source.write_bytes(b"PAR1")
    orders.table.storage.place(source, name)
    os.utime(Path(orders.table.uri, name), (time.time() - 1,) * 2)
    return Path(orders.table.uri, name)


def test_a_job_that_finishes_while_the_folder_is_looked_at_keeps_its_files(
    orders: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its file lay there before, is in the list, and is named by a commit that came afterwards."""
    orders.write("1")
    real = lake_storage.Folder.listing
    placed = lake.LakeTable._write_log
    looked: list[list[lake_storage.Stored]] = []

    def look_and_wait(self: lake.LakeTable, *arguments: object, **named: object) -> None:
        looked.append(real(lake_storage.Folder(Path(orders.table.uri))))
        placed(self, *arguments, **named)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(lake.LakeTable, "_write_log", look_and_wait)
        orders.write("2")
    assert len(looked[0]) == 2, "the second file was listed before the commit that names it"
    monkeypatch.setattr(lake_storage.Folder, "listing", lambda _self: looked[0])
    assert orders.sweep().files == 0
    assert len(orders.rows()) == 2


@pytest.mark.parametrize("point", [Point.SWEEP_BEFORE_REMOVAL, Point.SWEEP_AFTER_REMOVAL])
def test_a_sweep_that_died_is_done_again(orders: Hands, monkeypatch: pytest.MonkeyPatch, point: Point) -> None:
    replace(orders, "1")
    replace(orders, "2")
    orders.give_up(0)

    def die(reached: Point) -> None:
        if reached is point:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(failpoints, "hit", die)
        with pytest.raises(KeyboardInterrupt):
            orders.sweep()
    assert orders.versions()[0].swept_at is None
    assert orders.rows() == [("2", "channel 2")]
    assert orders.sweep().versions == 1
    assert orders.table.snapshot(0) is None


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no broker here."""
    monkeypatch.setattr(publisher, "publish", lambda _lanes: None)


def compactions(orders: Hands) -> list[Job]:
    with session.transaction() as db:
        found = db.query(Job).filter_by(organisation_id=orders.caller.organisation_id, kind="compaction").all()
        db.expunge_all()
    return found


@pytest.mark.usefixtures("quiet")
def test_beat_has_a_scattered_table_gathered_once(orders: Hands) -> None:
    for number in range(31):
        orders.write(str(number))
    lake_upkeep.tend()
    assert compactions(orders) == []
    orders.write("31")
    with session.transaction() as db:
        # Another beat is at it, and has not committed yet.
        assert lake_retention.lock(db)
        assert lake_upkeep.tend() == lake_upkeep.Tended(0, 0)
    for _ in range(2):
        lake_upkeep.tend()
    (job,) = compactions(orders)
    assert (job.type, job.queue, job.priority, job.params) == ("orders", "imports", 0, {})
    compacting.run(orders.claim(job))
    assert len(orders.contents()) == 1
    lake_upkeep.tend()
    assert len(compactions(orders)) == 1


@pytest.mark.usefixtures("quiet")
def test_beat_has_expired_files_removed(orders: Hands) -> None:
    replace(orders, "1")
    replace(orders, "2")
    orders.age(0, 90)
    orders.age(1, 31)
    lake_upkeep.tend()
    assert orders.versions()[0].gone_at is not None
    assert compactions(orders) == [], "the files stay for a while"
    orders.give_up(0)
    lake_upkeep.tend()
    (job,) = compactions(orders)
    # What was committed long ago was written long ago.
    for name in orders.files():
        os.utime(Path(orders.table.uri, name), (0, 0))
    compacting.run(orders.claim(job))
    outcome = web_api.row(str(job.id)).outcome
    assert outcome is not None
    assert outcome["dataset_version"] is None
    assert (outcome["removed"]["versions"], outcome["removed"]["files"]) == (1, 1)
    assert orders.rows() == [("2", "channel 2")]


@pytest.mark.usefixtures("quiet")
def test_beat_has_a_table_looked_at_where_an_import_died(orders: Hands) -> None:
    job = orders.accept(JobKind.IMPORT)
    orders.claim(job)
    with session.transaction() as db:
        error = {"type": "worker-crashed"}
        assert transitions.fail(db, job.id, attempt=1, reason=Reason.CRASHES_USED_UP, error=error)
    lake_upkeep.tend()
    assert compactions(orders) == [], "what it left may still be in use"
    with session.transaction() as db:
        untidy = lake_retention.untidy(db, small_files=32, litter=NOW)
    mine = [one for one in untidy if one.organisation_id == orders.caller.organisation_id]
    assert [(one.dataset, one.littered, one.scattered) for one in mine] == [("orders", True, False)]


def test_versions_are_found_page_by_page(orders: Hands) -> None:
    for number in range(3):
        orders.write(str(number))
    with session.transaction() as db:
        first = dataset.page(db, orders.caller.organisation_id, "orders", limit=2)
        second = dataset.page(db, orders.caller.organisation_id, "orders", limit=2, before=first[-1].version.version)
    assert [made.version.version for made in first + second] == [2, 1, 0]
    assert {made.kind for made in first} == {"import"}
