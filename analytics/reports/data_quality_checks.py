"""The checks of `data_quality` on cells and references: conditions on rows, counted with their first and last key."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

import ibis
from ibis.expr import types as ir

from analytics.catalogue import data_quality
from analytics.datasets import schemas
from analytics.reports import calendar, data_quality_rows, facts


class Severity(StrEnum):
    """How much a finding matters."""

    FACT = "fact"
    WARNING = "warning"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found: `count` of `of`, which are rows unless they are values, days or months."""

    dataset: str
    column: str | None
    check: str
    severity: Severity
    count: int
    of: int
    sample: str | None
    unit_is_rows: bool = True


@dataclass(frozen=True, slots=True)
class _Check:
    """A condition that a bad row fulfils, and the rows it can be asked of; None: all."""

    column: str
    name: str
    severity: Severity
    bad: ir.BooleanValue
    asked: ir.BooleanValue | None = None


EMAIL = r"^[^@\s]+@[^@\s]+\.[^@\s.]{2,}$"
PHONE = r"^\+[1-9][0-9]{6,14}$"
CURRENCY = r"^[A-Z]{3}$"
_FORMATS = {"email": EMAIL, "phone": PHONE, "currency": CURRENCY}
# Numbers that are above zero where all is well.
_POSITIVE = frozenset({"amount", "unit_price", "quantity", "mrr", "list_amount", "rate"})
# The later of two moments must not come before the other.
_ORDERED = {
    "deals": (("created_at", "closed_at"),),
    "leads": (("created_at", "converted_at"),),
    "subscriptions": (("started_on", "ended_on"),),
}
_REFERENCES = {
    "orders": (("customer_id", "customers", "customer_id"),),
    "order_lines": (("customer_id", "customers", "customer_id"),),
    "deals": (("customer_id", "customers", "customer_id"), ("product", "order_lines", "product")),
    "deal_stages": (("deal_id", "deals", "deal_id"),),
    "leads": (("customer_id", "customers", "customer_id"),),
    "activities": (("customer_id", "customers", "customer_id"), ("deal_id", "deals", "deal_id")),
    "subscriptions": (("customer_id", "customers", "customer_id"),),
}


def of_cells(
    rows: data_quality_rows.Rows, params: data_quality.DataQualityParams, distinct: Mapping[str, int]
) -> Iterator[Finding]:
    """Look at every cell of every row, in one scan; `distinct` has the columns whose values are counted already."""
    checks = [check for name in rows.columns for check in _of_column(rows, name, params)]
    table = rows.table
    wanted: dict[str, ir.Scalar] = {}
    for position, check in enumerate(checks):
        wanted[f"n{position}"] = table.count(where=check.bad.fill_null(False))
        if check.asked is not None:
            wanted[f"a{position}"] = table.count(where=check.asked.fill_null(False))
    wanted |= {f"d{name}": table[name].nunique() for name in rows.columns if name not in distinct}
    found = table.aggregate(**wanted).to_pyarrow().to_pylist()[0]
    bad = {position: check for position, check in enumerate(checks) if found[f"n{position}"]}
    samples = _samples(rows, {at: check for at, check in bad.items() if check.severity is not Severity.FACT})
    dataset = rows.schema.name
    for position, check in enumerate(checks):
        of = found.get(f"a{position}", rows.count)
        count, told = found[f"n{position}"], samples.get(position)
        yield Finding(dataset, check.column, check.name, check.severity, count, of, told)
        if check.name == "empty":
            values = distinct.get(check.column, found.get(f"d{check.column}", 0))
            yield Finding(dataset, check.column, "distinct", Severity.FACT, values, rows.count, None)


def _samples(rows: data_quality_rows.Rows, failed: Mapping[int, _Check]) -> dict[int, str | None]:
    """Return the first and last key of what fails; only failing rows have their key spelt, which most data have few of."""
    if not failed:
        return {}
    tests = {f"t{position}": check.bad.fill_null(False) for position, check in failed.items()}
    kept = rows.table.select(key=rows.key(), **tests)
    kept = kept.filter(ibis.or_(*(kept[name] for name in tests)))
    first = {f"f{position}": kept.key.min(where=kept[f"t{position}"]) for position in failed}
    last = {f"l{position}": kept.key.max(where=kept[f"t{position}"]) for position in failed}
    found = kept.aggregate(**first, **last).to_pyarrow().to_pylist()[0]
    return {position: sample(found[f"f{position}"], found[f"l{position}"]) for position in failed}


def _of_column(rows: data_quality_rows.Rows, name: str, params: data_quality.DataQualityParams) -> Iterator[_Check]:
    table, column = rows.table, rows.table[name]
    canonical = rows.schema.column(name)
    filled = column.notnull()
    yield _Check(name, "empty", Severity.FACT, column.isnull())
    if canonical is None:
        return
    if canonical.required or canonical.key:
        yield _Check(name, "missing", Severity.ERROR, column.isnull())
    if name in _FORMATS:
        yield _Check(name, "bad_format", Severity.WARNING, filled & ~column.re_search(_FORMATS[name]), filled)
    if name in _POSITIVE:
        sale = (table.kind != "refund").fill_null(True) if "kind" in table.columns else ibis.literal(value=True)
        yield _Check(name, "zero", Severity.WARNING, column == 0, filled)
        yield _Check(name, "negative", Severity.WARNING, sale & (column < 0), sale & filled)
    if canonical.kind in {schemas.ColumnKind.TIMESTAMP, schemas.ColumnKind.DATE}:
        yield from _of_moment(rows, name, params)


def _of_moment(rows: data_quality_rows.Rows, name: str, params: data_quality.DataQualityParams) -> Iterator[_Check]:
    column = rows.table[name]
    as_of = params.instant_of(params.as_of)
    # A day that is expected or agreed upon may well lie ahead.
    if as_of is not None and name not in {"expected_close_on", "ended_on"}:
        days = calendar.Calendar(params.timezone)
        now = facts.instant(as_of) if column.type().is_timestamp() else ibis.literal(days.day_of(as_of))
        yield _Check(name, "future", Severity.ERROR, column >= now, column.notnull())
    for first, second in _ORDERED.get(rows.schema.name, ()):
        if name == second:
            begun = rows.table[first]
            # A period that ends on the day it starts has no day.
            wrong = column <= begun if column.type().is_date() else column < begun
            yield _Check(name, "wrong_order", Severity.ERROR, wrong, column.notnull() & begun.notnull())


def of_references(rows: data_quality_rows.Rows, tables: Mapping[str, ir.Table]) -> Iterator[Finding]:
    """Look whether what a row refers to is there, where the other dataset is."""
    for name, other, other_name in _REFERENCES.get(rows.schema.name, ()):
        if other not in tables:
            continue
        known = tables[other].select(known=tables[other][other_name]).filter(lambda row: row.known.notnull()).distinct()
        values = rows.table.select(value=rows.table[name], key=rows.key()).filter(lambda row: row.value.notnull())
        joined = values.left_join(known, values.value == known.known)
        lost = joined.known.isnull()
        found = (
            joined.aggregate(
                lost=joined.count(where=lost),
                asked=joined.count(),
                first=joined.value.min(where=lost),
                last=joined.value.max(where=lost),
            )
            .to_pyarrow()
            .to_pylist()[0]
        )
        told = sample(found["first"], found["last"])
        yield Finding(rows.schema.name, name, "orphan", Severity.ERROR, found["lost"], found["asked"], told)


def sample(first: str | None, last: str | None) -> str | None:
    """Return the first and the last of what was found as one text."""
    if first is None or last is None:
        return None
    return first if first == last else f"{first}, {last}"
