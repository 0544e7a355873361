"""Local time found by the changes of a zone is the local time that the zone has, and the engine's."""

import datetime as dt
import itertools
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics import engine
from analytics.reports import local_time

UTC = dt.UTC
ZONES = ["UTC", "Europe/London", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "America/Sao_Paulo"]
FIRST, LAST = dt.datetime(1994, 12, 31, 23, 59, 59, 999_999, UTC), dt.datetime(2026, 1, 1, 0, 0, 0, 1, UTC)


def _moments(zone: str) -> Iterator[dt.datetime]:
    """Yield the microseconds around each change of a zone, and every fifth day at an odd time."""
    for begins, _ in local_time.offsets(zone, local_time.Reach(FIRST, LAST)):
        yield from (begins + dt.timedelta(microseconds=step) for step in (-1, 0, 1))
    at = FIRST
    while at < LAST:
        yield at
        at += dt.timedelta(days=5, hours=7, minutes=13)
    yield LAST


def _asked(folder: Path, moments: list[dt.datetime | None], zone: str, reach: local_time.Reach | None) -> list[object]:
    path = folder / "orders.parquet"
    pq.write_table(pa.table({"ordered_at": pa.array(moments, pa.timestamp("us", "UTC"))}), path)
    snapshot = engine.Snapshot("orders", 0, (str(path),), len(moments))
    with engine.open_tables([snapshot], memory_limit="256MB", threads=2, spill_folder=folder / "spill") as tables:
        rows = tables["orders"]
        local = local_time.wall_clock(zone, rows.ordered_at, reach)
        found = rows.select("ordered_at", local=local).order_by(ibis.asc("ordered_at", nulls_first=False))
        listed: list[object] = found.to_pyarrow()["local"].to_pylist()
        return listed


@pytest.mark.parametrize("zone", ZONES)
def test_every_change_is_found_to_the_microsecond(tmp_path: Path, zone: str) -> None:
    moments = sorted(moment for moment in _moments(zone) if FIRST <= moment <= LAST)
    assert zone in {"UTC", "Asia/Kolkata"} or len(local_time.offsets(zone, local_time.Reach(FIRST, LAST))) > 20
    wanted = [moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for moment in moments]
    reach = local_time.Reach(FIRST, LAST)
    assert _asked(tmp_path, [*moments, None], zone, reach) == [*wanted, None]
    assert _asked(tmp_path, [*moments], zone, None) == wanted


@pytest.mark.parametrize("first", [dt.datetime(1890, 6, 1, tzinfo=UTC), dt.datetime(2200, 1, 1, tzinfo=UTC)])
def test_times_that_rules_do_not_cover_are_left_to_the_engine(tmp_path: Path, first: dt.datetime) -> None:
    reach = local_time.Reach(first, max(first, LAST))
    moments: list[dt.datetime | None] = [*sorted([first, dt.datetime(2024, 7, 1, tzinfo=UTC)])]
    found = _asked(tmp_path, moments, "America/New_York", reach)
    assert found == _asked(tmp_path, moments, "America/New_York", None)
    assert dt.datetime(2024, 6, 30, 20) in found  # noqa: DTZ001 - local time has no zone


def test_one_moment_needs_one_offset() -> None:
    at = dt.datetime(2024, 7, 1, tzinfo=UTC)
    assert [offset for _, offset in local_time.offsets("Europe/London", local_time.Reach(at, at))] == [3_600_000_000]


def test_zones_keep_an_offset_for_longer_than_a_step() -> None:
    """Changes are looked for a day apart; two within a day would hide each other."""
    for zone in ZONES:
        found = [begins for begins, _ in local_time.offsets(zone, local_time.Reach(FIRST, LAST))]
        assert all(then - now > dt.timedelta(days=6) for now, then in itertools.pairwise(found[1:]))
