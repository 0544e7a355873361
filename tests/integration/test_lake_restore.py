"""Restoring older versions: the same files again, as a version of its own, once, beside whatever else runs."""

from pathlib import Path

import pytest

from analytics import errors
from models.job import Job
from models.job_states import JobKind
from tests.integration.lake_hands import SCHEMA, WIDE, Hands, outcome
from workers.lake_jobs import committing, restoring


def restore(orders: Hands, version: int) -> Job:
    job = asked(orders, version)
    restoring.run(orders.claim(job))
    return job


def asked(orders: Hands, version: int) -> Job:
    return orders.accept(JobKind.RESTORE, params={"version": version}, dataset_versions={"orders": version})


def test_an_import_is_undone_without_a_copy(orders: Hands) -> None:
    orders.write("1", "2")
    orders.write("3", removed=orders.addresses())
    files = orders.files()
    done = outcome(restore(orders, 0))
    assert done == {"dataset_version": 2, "restored_version": 0, "rows_before": 1}
    assert orders.rows() == orders.rows(0) == [("1", "channel 1"), ("2", "channel 2")]
    assert orders.rows(1) == [("3", "channel 3")]
    assert orders.files() == files
    noted = orders.versions()[2]
    assert (noted.row_count, noted.columns, noted.file_count) == (2, {"order_id": "text", "channel": "text"}, 1)


def test_columns_go_and_come_back(orders: Hands) -> None:
    orders.write("1")
    orders.write("2", schema=WIDE)
    orders.write("3", removed=orders.addresses()[:1], schema=WIDE)
    wide = orders.rows()
    restore(orders, 0)
    narrow = orders.table.snapshot()
    assert narrow is not None
    assert narrow.schema == SCHEMA
    assert orders.rows() == [("1", "channel 1")]
    restore(orders, 2)
    widened = orders.table.snapshot()
    assert widened is not None
    assert widened.schema == WIDE
    assert orders.rows() == wide
    assert orders.versions()[4].columns["shop"] == "text"


def test_the_same_version_again_changes_nothing(orders: Hands) -> None:
    orders.write("1")
    assert outcome(restore(orders, 0))["dataset_version"] == 0
    assert list(orders.versions()) == [0]


def test_an_import_that_comes_first_is_undone_too(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.write("1")
    orders.write("2")
    real, late = restoring._plan, iter(["3"])

    def interrupted(*arguments: object) -> committing.NextVersion:
        planned = real(*arguments)  # type: ignore[arg-type]
        for name in late:
            orders.write(name)
        return planned

    monkeypatch.setattr(restoring, "_plan", interrupted)
    assert outcome(restore(orders, 0))["dataset_version"] == 3
    assert orders.rows() == [("1", "channel 1")]
    assert len(orders.rows(2)) == 3, "the import has landed, and stays readable as a version"


def test_what_was_committed_is_only_finished(orders: Hands, monkeypatch: pytest.MonkeyPatch) -> None:
    orders.write("1")
    orders.write("2")
    job = asked(orders, 0)
    running = orders.claim(job)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(committing, "note", die)
        with pytest.raises(KeyboardInterrupt):
            restoring.run(running)
    orders.write("3")
    restoring.run(running)
    assert outcome(job)["dataset_version"] == 2
    assert orders.table.newest_version() == 3
    assert orders.rows() == [("1", "channel 1"), ("3", "channel 3")]


def test_a_version_that_is_gone_is_refused(orders: Hands) -> None:
    orders.write("1")
    orders.write("2", removed=orders.addresses())
    job = asked(orders, 0)
    orders.give_up(0)
    with pytest.raises(errors.Refusal, match="Version 0 of orders is no longer kept") as refusal:
        restoring.run(orders.claim(job))
    assert refusal.value.code == "dataset-version-gone"


def test_a_version_that_goes_while_it_is_planned_with_does_not_come_back(
    orders: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    orders.write("1")
    orders.write("2", removed=orders.addresses())
    real = restoring._plan

    def too_late(*arguments: object) -> committing.NextVersion:
        planned = real(*arguments)  # type: ignore[arg-type]
        orders.give_up(0)
        return planned

    monkeypatch.setattr(restoring, "_plan", too_late)
    with pytest.raises(errors.Refusal, match="no longer kept"):
        restore(orders, 0)
    assert orders.table.newest_version() == 1


def test_a_version_without_its_files_is_none(orders: Hands) -> None:
    orders.write("1")
    orders.write("2", removed=orders.addresses())
    (first,) = (path for path in orders.files() if path not in {Path(address).name for address in orders.addresses()})
    Path(orders.table.uri, first).unlink()
    assert orders.table.snapshot(0) is None
    assert orders.table.snapshot(1) is not None
