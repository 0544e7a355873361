"""Computes `product_affinity`: the engine gathers baskets, `analytics.stats.itemsets` finds what is frequent in them."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import ibis
import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import columns, product_affinity
from analytics.reports import affinity_baskets, affinity_rules, attributes, calendar, cells, charts, facts
from analytics.stats import itemsets

MAX_ITEMSETS = 500_000
MAX_SEGMENTS = 200
_PLOTTED = 25
_FEW_BASKETS = 5


@dataclass(frozen=True, slots=True)
class _Lines:
    """What was bought.

    Attributes:
        table: item, basket and the segments, both as text.
        count: how many lines.
        as_of: the end of what is known; None where no line has a date.
    """

    table: ir.Table
    segments: tuple[str, ...]
    count: int
    as_of: datetime | None
    rows_read: int
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Mined:
    """The rules of one segment.

    Attributes:
        lines: how many are in its baskets.
        items: how many there are in any basket, and `frequent` the frequent sets of them.
        least: in how many baskets a set must be.
        rules: the rules, best first.
    """

    segment: tuple[str | None, ...]
    lines: int
    baskets: int
    items: int
    frequent: int
    least: int
    rules: affinity_rules.Rules


def compute(tables: Mapping[str, ir.Table], params: product_affinity.ProductAffinityParams) -> result.Result:
    """Return one row per rule, by segment and falling lift, as `catalogue.product_affinity` defines.

    Raises:
        errors.Refusal: order lines or a column are not there, a filter value does not suit its column, or more sets of
            items are frequent than can be held.
    """
    lines = _lines(tables, params)
    described = cells.describe(product_affinity.TYPE.columns, params, currency=params.currency)
    found = [_mine(lines, segment, params) for segment in _segments(lines)]
    return result.Result(
        columns=described,
        rows=_rows(found, described),
        summary=_summary(lines, found, described),
        charts=_charts(found),
        warnings=tuple(_warnings(lines, found, params)),
        dropped=lines.dropped,
        invariants=_invariants(lines, found),
        rows_read={"order_lines": lines.rows_read},
    )


def _lines(tables: Mapping[str, ir.Table], params: product_affinity.ProductAffinityParams) -> _Lines:
    names = {"item": params.item, "basket": params.basket, "at": "ordered_at", "kind": "kind", "quantity": "quantity"}
    found = attributes.attach(tables, "order_lines", names, params)
    rows = found.table.mutate(item=_text(found.table.item), basket=_text(found.table.basket))
    tests = {
        "refunds": (rows.kind != "refund").fill_null(True),
        "not_bought": (rows.quantity > 0).fill_null(True),
        "no_item": rows.item.notnull(),
        "no_basket": rows.basket.notnull(),
        **_dated(rows.at, params),
        **({} if found.wanted is None else {"filtered": found.wanted}),
    }
    kinds = cells.frame(rows.group_by(**tests).aggregate(rows=rows.count(), last=rows.at.max()).to_pyarrow())
    total, last, dropped = int(kinds["rows"].sum()), kinds["last"].max(), {}
    for reason in tests:
        passed = kinds[reason].fillna(value=False)
        dropped[reason] = int(kinds["rows"][~passed].sum())
        kinds = kinds[passed]
    return _Lines(
        table=rows.filter(*tests.values()).select("item", "basket", *found.segments),
        segments=found.segments,
        count=int(kinds["rows"].sum()),
        as_of=_as_of(None if pd.isna(last) else last.to_pydatetime().astimezone(UTC), params),
        rows_read=total,
        dropped={reason: count for reason, count in dropped.items() if count},
    )


def _text(value: ir.Value) -> ir.StringValue:
    """Return a value as text; what is blank is null."""
    text = value.cast("string")
    return text.nullif("")


def _dated(at: ir.TimestampValue, params: product_affinity.ProductAffinityParams) -> dict[str, ir.BooleanValue]:
    """Return what the question's dates ask of a line; a line without a date cannot answer."""
    start, end, as_of = (params.instant_of(moment) for moment in (params.start, params.end, params.as_of))
    lower = [] if start is None else [at >= facts.instant(start)]
    upper = [at < facts.instant(moment) for moment in (end, as_of) if moment is not None]
    if not lower and not upper:
        return {}
    return {"no_date": at.notnull(), "outside_dates": ibis.and_(*lower, *upper)}


def _as_of(last: datetime | None, params: product_affinity.ProductAffinityParams) -> datetime | None:
    given, end = params.instant_of(params.as_of), params.instant_of(params.end)
    reach = None if last is None else calendar.Calendar(params.timezone).day_end(last)
    known = [at for at in (reach, end) if at is not None]
    return given or (min(known) if known else None)


def _segments(lines: _Lines) -> list[tuple[str | None, ...]]:
    """Return the segments there are, in order, those without a value last; one without columns."""
    if not lines.segments:
        return [()]
    found = lines.table.select(*lines.segments).distinct()
    ordered = found.order_by([ibis.asc(name, nulls_first=False) for name in lines.segments])
    rows = ordered.limit(MAX_SEGMENTS + 1).to_pyarrow().to_pylist()
    if len(rows) > MAX_SEGMENTS:
        raise errors.Refusal(
            "too-many-groups",
            f"More than {MAX_SEGMENTS} segments; choose a column with fewer values, or filter.",
            {"limit": MAX_SEGMENTS},
        )
    return [tuple(row[name] for name in lines.segments) for row in rows]


def _within(lines: _Lines, segment: Sequence[str | None]) -> ir.Table:
    tests = [
        lines.table[name].identical_to(ibis.literal(value, type="string"))
        for name, value in zip(lines.segments, segment, strict=True)
    ]
    return lines.table.filter(*tests) if tests else lines.table


def _mine(lines: _Lines, segment: tuple[str | None, ...], params: product_affinity.ProductAffinityParams) -> _Mined:
    table = _within(lines, segment)
    gathered = affinity_baskets.gather(table, lines.count)
    baskets = gathered.baskets
    least = max(1, math.ceil(baskets * affinity_rules.share(params.min_support)))
    try:
        found = itemsets.frequent(
            gathered.parts, len(gathered.names), min_count=least, max_length=params.max_length, limit=MAX_ITEMSETS
        )
    except itemsets.TooManyItemsetsError as error:
        raise errors.Refusal(
            "too-many-itemsets",
            f"More than {MAX_ITEMSETS:,} sets of items are in at least {least:,} of {baskets:,} baskets; raise "
            "min_support, or lower max_length.",
            {"limit": MAX_ITEMSETS, "min_count": least, "baskets": baskets},
        ) from error
    return _Mined(
        segment=segment,
        lines=gathered.lines,
        baskets=baskets,
        items=len(gathered.names),
        frequent=found.count,
        least=least,
        rules=affinity_rules.build(found, gathered.names.to_pylist(), params),
    )


def _rows(found: Sequence[_Mined], described: Sequence[columns.Column]) -> pa.Table:
    schema = pa.schema([(column.name, cells.ARROW_TYPES[column.type]) for column in described])
    own = len(product_affinity.TYPE.columns)
    parts = [schema.empty_table()]
    for mined in found:
        size = mined.rules.table.num_rows
        segments = [pa.array([value] * size, pa.string()) for value in mined.segment]
        whole = [mined.rules.table[name] for name in schema.names[:own]]
        parts.append(pa.table([*whole, *segments], names=schema.names).cast(schema))
    return pa.concat_tables(parts).combine_chunks()


def _summary(lines: _Lines, found: Sequence[_Mined], described: Sequence[columns.Column]) -> dict[str, Any]:
    names = [column.name for column in described[len(product_affinity.TYPE.columns) :]]
    segments = [
        {
            **dict(zip(names, mined.segment, strict=True)),
            "baskets": mined.baskets,
            "items": mined.items,
            "itemsets": mined.frequent,
            "rules": mined.rules.table.num_rows,
            "min_count": mined.least,
        }
        for mined in found
    ]
    whole = {
        "as_of": None if lines.as_of is None else lines.as_of.isoformat().replace("+00:00", "Z"),
        "baskets": sum(mined.baskets for mined in found),
        "items": max((mined.items for mined in found), default=0),
        "itemsets": sum(mined.frequent for mined in found),
        "rules": sum(mined.rules.table.num_rows for mined in found),
        "lines": lines.count,
    }
    return {**whole, "segments": segments} if names else whole


def _charts(found: Sequence[_Mined]) -> tuple[result.Chart, ...]:
    best = sorted(
        (
            {"rule": f"{row['antecedent']} \N{RIGHTWARDS ARROW} {row['consequent']}", **row}
            for mined in found
            for row in mined.rules.table.slice(0, _PLOTTED).to_pylist()
        ),
        key=lambda row: (-row["lift"], -row["count"], row["rule"]),
    )[:_PLOTTED]
    if not best:
        return ()
    named = [{name: row[name] for name in ("rule", "lift", "support", "confidence", "count")} for row in best]
    order = list(dict.fromkeys(row["rule"] for row in named))
    return (
        charts.bars("Rules of the best lift", named, label="rule", value="lift", order=order),
        charts.points("Support and confidence of these rules", named, x="support", y="confidence", size="lift"),
    )


def _warnings(
    lines: _Lines, found: Sequence[_Mined], params: product_affinity.ProductAffinityParams
) -> Iterator[result.ResultWarning]:
    if not lines.count and lines.dropped.get("no_item"):
        detail = f"No line has a value in {params.item}; name the column with the products in `item`."
        yield result.ResultWarning("no-items", detail)
    shown = [count for mined in found for count in mined.rules.table["count"].to_pylist()]
    if lines.count and not shown:
        detail = "Nothing is bought together that often; lower min_support or min_confidence."
        yield result.ResultWarning("no-rules", detail)
    few = sum(count < _FEW_BASKETS for count in shown)
    if few:
        detail = f"{few} rules rest on fewer than {_FEW_BASKETS} baskets and may be chance; raise min_support."
        yield result.ResultWarning("few-baskets", detail)


def _invariants(lines: _Lines, found: Sequence[_Mined]) -> tuple[result.Invariant, ...]:
    gathered = sum(mined.lines for mined in found)
    inside = all(bool(mined.rules.within(mined.baskets)) for mined in found)
    made = [
        result.Invariant(
            "every_line_is_in_a_basket", gathered == lines.count, f"in baskets {gathered:,}; lines {lines.count:,}"
        ),
        result.Invariant(
            "no_rule_is_more_frequent_than_its_sides", inside, "count <= each side's count <= baskets in every row"
        ),
    ]
    best = next((mined for mined in found if mined.rules.best is not None), None)
    if best is not None and best.rules.best is not None:
        counted = _recount(_within(lines, best.segment), *best.rules.best.sides)
        made.append(
            result.Invariant(
                "best_rule_recounted",
                counted == best.rules.best.counts,
                f"both, antecedent, consequent: rules {best.rules.best.counts}; asked of the lines {counted}",
            )
        )
    return tuple(made)


def _recount(table: ir.Table, antecedent: Sequence[str], consequent: Sequence[str]) -> tuple[int, int, int]:
    """Count the baskets with all items of a rule and of its sides, in the engine and for these items only."""
    some = table.filter(table.item.isin([*antecedent, *consequent]))
    before = some.item.nunique(where=some.item.isin(list(antecedent))) == len(antecedent)
    after = some.item.nunique(where=some.item.isin(list(consequent))) == len(consequent)
    baskets = some.group_by("basket").aggregate(before=before, after=after)
    counted = baskets.aggregate(
        both=(baskets.before & baskets.after).sum(), before=baskets.before.sum(), after=baskets.after.sum()
    )
    row = counted.to_pyarrow().to_pylist()[0]
    return int(row["both"]), int(row["before"]), int(row["after"])
