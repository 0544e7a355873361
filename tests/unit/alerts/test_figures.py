"""The figures that alerts watch, against the same reckoned over all cells at once; and what a preview says of a result."""

import math
from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analytics.alerts import figures, trial
from analytics.alerts.figures import WHOLE, Figures, ProblemError, Wanted
from analytics.alerts.judging import Clock
from analytics.alerts.trial import Run
from analytics.catalogue.alerts import Alert
from analytics.render import chunks

SLOT = Clock(datetime(2026, 11, 22, 12, tzinfo=UTC))
CELLS = st.none() | st.decimals(-1000, 1000, places=2)


def alert(**of: Any) -> Alert:
    return Alert.model_validate({"name": "x", "when": {"missing": True}, **of})


def header(table: pa.Table, *, summary: dict[str, Any] | None = None) -> dict[str, Any]:
    names = {"string": "text", "int64": "integer", "double": "number", "bool": "boolean", "date32[day]": "date"}
    kinds = [
        names.get(str(kind), "decimal" if pa.types.is_decimal(kind) else "timestamp") for kind in table.schema.types
    ]
    columns = [{"name": name, "type": kind} for name, kind in zip(table.column_names, kinds, strict=True)]
    return {"columns": columns, "summary": summary or {}, "params": {}, "type": "test"}


def stored(table: pa.Table, *, rows_per_chunk: int | None = None) -> list[bytes]:
    return [piece.data for piece in chunks.encode(table, rows_per_chunk or max(3, table.num_rows // 3))]


def read(wanted: Alert, table: pa.Table, **of: Any) -> Figures:
    [found] = figures.read([Wanted(wanted)], header(table, **of), stored(table), SLOT)
    if isinstance(found, ProblemError):
        raise found
    return found


def figure(table: pa.Table, take: str, column: str = "net", **of: Any) -> tuple[Any, Any]:
    found = read(alert(of={"column": column, "take": take, **of}), table).of[WHOLE]
    return found.shown, found.value


def nets(cells: Sequence[Decimal | None]) -> pa.Table:
    return pa.table({"net": pa.array(cells, pa.decimal128(38, 2)), "place": pa.array(range(len(cells)), pa.int64())})


@settings(deadline=None, derandomize=True)
@given(st.lists(CELLS, max_size=12))
def test_a_figure_of_all_rows_is_that_of_all_cells(cells: list[Decimal | None]) -> None:
    table, there = nets(cells), [cell for cell in cells if cell is not None]
    assert figure(table, "sum")[1] == sum(there, Decimal(0))
    assert figure(table, "min")[1] == min(there, default=None)
    assert figure(table, "max")[1] == max(there, default=None)
    assert figure(table, "first")[1] == (cells[0] if cells else None)
    assert figure(table, "last")[1] == (cells[-1] if cells else None)
    mean = figure(table, "mean")[1]
    if there:
        exact = sum(map(Fraction, there), Fraction(0)) / len(there)
        assert abs(Fraction(mean) - exact) <= Fraction(1, 2 * 10**10)
    else:
        assert mean is None


def test_figures_are_shown_as_cells_are() -> None:
    table = nets([Decimal("0.10"), Decimal("0.20"), None])
    assert figure(table, "sum") == ("0.30", Decimal("0.30"))
    assert figure(table, "sum", "place") == (3, Decimal(3))
    assert figure(table, "mean")[0] == "0.15"
    assert figure(table, "mean", "place")[0] == "1.00"
    assert figure(table, "last") == (None, None)
    assert figure(table, "sum", where={"column": "place", "op": "gt", "value": 9}) == ("0.00", Decimal(0))
    assert figure(table, "max", where={"column": "place", "op": "gt", "value": 9}) == (None, None)


def test_a_sum_of_numbers_is_rounded_once_for_a_chunk_and_one_that_is_none_does_not_count() -> None:
    table = pa.table({"net": pa.array([0.1] * 10 + [math.nan, math.inf, None], pa.float64())})
    wanted = Wanted(alert(of={"column": "net", "take": "sum"}))
    [found] = figures.read([wanted], header(table), stored(table, rows_per_chunk=100), SLOT)
    assert isinstance(found, Figures)
    assert (found.of[WHOLE].shown, sum([0.1] * 10)) == (1.0, 0.9999999999999999)
    assert figure(table, "max") == (0.1, Decimal("0.1"))


@settings(deadline=None, derandomize=True)
@given(st.lists(CELLS, max_size=12), st.integers(-1000, 1000))
def test_of_each_row_those_are_found_that_hold(cells: list[Decimal | None], bound: int) -> None:
    wanted = alert(of={"column": "net", "each": ["place"]}, when={"below": bound})
    found = read(wanted, nets(cells))
    held = {place: cell for place, cell in enumerate(cells) if cell is not None and cell < bound}
    assert {(one.key or {})["place"]: one.value for one in found.of.values()} == held


def test_of_each_row_those_that_are_known_are_found_whatever_they_say() -> None:
    wanted = alert(of={"column": "net", "each": ["place"]}, when={"below": 0})
    table = nets([Decimal(5), Decimal(6), None])
    known = {figures.digest((1,)), figures.digest((2,)), figures.digest((9,))}
    [found] = figures.read([Wanted(wanted, known, with_rows=True)], header(table), stored(table), SLOT)
    assert isinstance(found, Figures)
    assert [one.shown for one in found.of.values()] == ["6.00", None]
    assert pa.concat_tables(found.pieces)["place"].to_pylist() == [1, 2]


@pytest.mark.parametrize("kind", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_rows_of_one_key_are_a_problem_wherever_they_are(kind: pa.DataType) -> None:
    table = pa.table({"who": pa.array(["a", "b", "c", "d", "a"], pa.string()).cast(kind), "net": [5, 5, 5, 5, 5]})
    wanted = alert(of={"column": "net", "each": ["who"]}, when={"below": 0})
    with_types = {**header(table), "columns": [{"name": "who", "type": "text"}, {"name": "net", "type": "integer"}]}
    [found] = figures.read([Wanted(wanted)], with_types, stored(table), SLOT)
    assert isinstance(found, ProblemError)
    assert found.code == "ambiguous-key"


@pytest.mark.parametrize("when", [{"below": 5}, {"rises_by": 1}])
def test_ten_thousand_rows_may_hold_or_be_compared_and_not_one_more(when: dict[str, Any]) -> None:
    wanted = alert(of={"column": "net", "each": ["place"]}, when=when)
    assert len(read(wanted, nets([Decimal(1)] * 10_000)).of) == 10_000
    with pytest.raises(ProblemError) as raised:
        read(wanted, nets([Decimal(1)] * 10_001))
    assert raised.value.code == "too-many-keys"


def test_a_key_with_nothing_in_it_is_one() -> None:
    table = pa.table({"who": pa.array(["a", None], pa.string()), "net": [1, 2]})
    found = read(alert(of={"column": "net", "each": ["who"]}, when={"above": 1}), table)
    assert [one.key for one in found.of.values()] == [{"who": None}]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("orders", 7),
        ("totals.net", "10.50"),
        ("totals.deep.rate", 0.5),
        ("with.dot", 1),
        ("nothing", None),
        ("nothing.below", None),
    ],
)
def test_a_figure_of_the_summary_is_found_by_its_name(name: str, shown: Any) -> None:
    summary = {"orders": 7, "totals": {"net": "10.50", "deep": {"rate": 0.5}}, "with.dot": 1, "nothing": None}
    assert read(alert(of={"summary": name}), nets([]), summary=summary).of[WHOLE].shown == shown


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("gross", "unknown-figure"),
        ("totals.gross", "unknown-figure"),
        ("totals", "not-a-figure"),
        ("a", "not-a-figure"),
    ],
)
def test_what_the_summary_does_not_have_is_a_problem(name: str, code: str) -> None:
    with pytest.raises(ProblemError) as raised:
        read(alert(of={"summary": name}), nets([]), summary={"totals": {"net": "1.00"}, "a": [1]})
    assert raised.value.code == code


def test_a_problem_is_of_one_alert_and_chunks_are_read_once() -> None:
    table = nets([Decimal(1)] * 7)
    pieces = iter(stored(table))
    wanted = [
        Wanted(alert()),
        Wanted(alert(of={"column": "gross", "take": "sum"})),
        Wanted(alert(of={"column": "net", "take": "sum"})),
    ]
    count, gross, net = figures.read(wanted, header(table), pieces, SLOT)
    assert isinstance(gross, ProblemError)
    assert isinstance(count, Figures)
    assert isinstance(net, Figures)
    assert (count.of[WHOLE].shown, net.of[WHOLE].shown) == (7, "7.00")


def test_a_result_is_not_read_for_its_summary_alone() -> None:
    unread = iter([b"no chunk"])
    [found] = figures.read([Wanted(alert(of={"summary": "a"}))], header(nets([]), summary={"a": 1}), unread, SLOT)
    assert isinstance(found, Figures)
    assert list(unread) == [b"no chunk"]


# --- Previews ---


def test_a_preview_says_what_would_be_told_and_what_is_wrong() -> None:
    table, before = nets([Decimal(1), Decimal(5)]), nets([Decimal(4), Decimal(5)])
    declared: list[dict[str, Any]] = [
        {"name": "sum", "of": {"column": "net", "take": "sum"}, "when": {"falls_by": "30%"}},
        {"name": "each", "of": {"column": "net", "each": ["place"]}, "when": {"below": 3}, "after": 5},
        {"name": "quiet", "when": {"above": 2}},
        {"name": "wrong", "of": {"column": "gross", "take": "sum"}, "when": {"above": 2}},
    ]
    this = Run(header(table), stored(table), SLOT)
    found = {one["name"]: one for one in trial.preview(declared, this, Run(header(before), stored(before), SLOT))}
    assert found["sum"] == {
        "name": "sum",
        "figure": "sum of net",
        "condition": "down by 30% or more",
        "holds": True,
        "value": "6.00",
        "previous": "9.00",
        "rows": [],
        "count": 0,
        "remark": None,
        "problem": None,
    }
    assert (found["each"]["count"], found["each"]["rows"]) == (
        1,
        [{"key": {"place": 0}, "value": "1.00", "previous": None}],
    )
    assert (found["quiet"]["holds"], found["quiet"]["value"]) == (False, 2)
    assert (found["wrong"]["holds"], found["wrong"]["problem"]["code"]) == (None, "unknown-column")


def test_a_preview_without_a_run_before_or_without_a_report() -> None:
    table = nets([Decimal(1)])
    changing: dict[str, Any] = {"name": "x", "of": {"column": "net", "take": "sum"}, "when": {"rises_by": 1}}
    [one] = trial.preview([changing], Run(header(table), stored(table), SLOT), None)
    assert (one["holds"], one["remark"]) == (False, "no-previous")
    missing: dict[str, Any] = {"name": "x", "when": {"missing": True}}
    found = trial.preview([missing, changing], Run(None, [], SLOT), None)
    assert [(one["holds"], one["remark"]) for one in found] == [(True, "report-failed"), (False, "report-failed")]


def test_the_newest_day_of_a_column_has_an_age() -> None:
    days = pa.table({"day": pa.array([date(2026, 11, 19), None, date(2026, 11, 18)], pa.date32())})
    old = {"name": "x", "of": {"column": "day", "take": "max"}, "when": {"older_than": "2 days"}}
    [one] = trial.preview([old], Run(header(days), stored(days), SLOT), None)
    assert (one["holds"], one["value"]) == (True, "2026-11-19")
