"""Local time by the few moments at which a zone changes its offset: far cheaper than asking the engine for every row."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import ibis
from ibis.expr import datatypes as dt
from ibis.expr import types as ir

# Before, zones had offsets of odd seconds; and nobody knows the rules of a far future.
_EARLIEST, _LATEST = datetime(1970, 1, 2, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
# Zones keep an offset for days at least.
_STEP = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)

Offset = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Reach:
    """Two moments with every instant of a column between them, both included."""

    first: datetime
    last: datetime


def reach_of(table: ir.Table, column: str) -> Reach | None:
    """Return between which moments a column of a stored table lies: files say this of themselves."""
    found = table.aggregate(first=table[column].min(), last=table[column].max()).to_pyarrow().to_pylist()[0]
    return None if found["last"] is None else Reach(found["first"].astimezone(UTC), found["last"].astimezone(UTC))


@ibis.udf.scalar.builtin(name="timezone", signature=((dt.string, dt.Timestamp(timezone="UTC")), dt.timestamp))
def _by_the_engine(zone, at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the signature is given above
    """Name DuckDB's function from an instant to the local time in a zone."""


@ibis.udf.scalar.builtin(name="epoch_us", signature=((dt.Timestamp(timezone="UTC"),), dt.int64))
def _microseconds(at):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the signature is given above
    """Name DuckDB's function from an instant to microseconds since 1970."""


@ibis.udf.scalar.builtin(name="make_timestamp", signature=((dt.int64,), dt.timestamp))
def _timestamp(microseconds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202 - the signature is given above
    """Name DuckDB's function from microseconds since 1970 to a timestamp without zone."""


def wall_clock(zone: str, at: ir.TimestampValue, reach: Reach | None) -> ir.TimestampValue:
    """Return the local time of instants, none of which lies outside of the reach; without one the engine is asked."""
    if reach is None or reach.first < _EARLIEST or reach.last >= _LATEST:
        local: ir.TimestampValue = _by_the_engine(zone, at)
        return local
    return _timestamp(_microseconds(at) + _chosen(at, offsets(zone, reach)))


def offsets(zone: str, reach: Reach) -> list[Offset]:
    """Return from when on which offset to UTC holds, in microseconds; the first of them holds from the beginning."""
    first, last = reach.first.astimezone(UTC), reach.last.astimezone(UTC)
    every = [offset for year in range(first.year, last.year + 1) for offset in _of_year(zone, year)]
    begun = [offset for offset in every if offset[0] <= first]
    within = [begun[-1], *(offset for offset in every if first < offset[0] <= last)]
    # A year begins with the offset the one before ended with, and a zone may change its name alone.
    return [one for place, one in enumerate(within) if not place or one[1] != within[place - 1][1]]


@functools.lru_cache(maxsize=10_000)
def _of_year(zone: str, year: int) -> tuple[Offset, ...]:
    """Return the offset at the beginning of a UTC year, and each that the zone changes to within it."""
    rules = ZoneInfo(zone)
    at, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    found = [(at, _offset(rules, at))]
    while at < end:
        then = min(at + _STEP, end - _SECOND)
        if (now := _offset(rules, then)) != found[-1][1]:
            found.append((_change(rules, at, then), now))
        at = at + _STEP
    return tuple(found)


def _change(rules: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the second from which on the later of two offsets holds."""
    old = _offset(rules, before)
    while after - before > _SECOND:
        middle = before + (after - before) // 2 // _SECOND * _SECOND
        if _offset(rules, middle) == old:
            before = middle
        else:
            after = middle
    return after


def _offset(rules: ZoneInfo, at: datetime) -> int:
    return (at.astimezone(rules).utcoffset() or timedelta()) // _MICROSECOND


def _chosen(at: ir.TimestampValue, among: Sequence[Offset]) -> ir.IntegerValue:
    """Return the offset that holds, found by halving, so that decades of changes cost a few comparisons each."""
    if len(among) == 1:
        return ibis.literal(among[0][1], type="int64")
    middle = len(among) // 2
    border = ibis.literal(among[middle][0], type="timestamp('UTC', 6)")
    return ibis.ifelse(at < border, _chosen(at, among[:middle]), _chosen(at, among[middle:]))
