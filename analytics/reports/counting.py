"""What there is to count before it is grouped: rows, those left out by reason, their time, currencies and money."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

import pandas as pd
from ibis.expr import types as ir

from analytics.reports import cells, local_time


@dataclass(frozen=True, slots=True)
class Totals:
    """Money of a question as a whole; `unattributed` is that of nobody in particular."""

    gross: Decimal
    refunds: Decimal
    unattributed: Decimal

    @classmethod
    def of(cls, sums: pd.DataFrame) -> "Totals":
        """Add up `value` by `is_sale` and `known`."""
        sales, known = sums["is_sale"], sums["known"]
        value = sums["value"]
        return cls(cells.total(value[sales]), -cells.total(value[~sales]), cells.total(value[~known]))

    @property
    def net(self) -> Decimal:
        return self.gross - self.refunds


@dataclass(frozen=True, slots=True)
class Presence:
    """Which cells of a fact table are filled in every row: files say this of themselves, so it costs no reading."""

    dated_and_priced: bool
    attributed: bool

    @classmethod
    def of(cls, table: ir.Table) -> "Presence":
        """Look at a table as it is stored, before anything is joined to it."""
        names = ("ordered_at", "amount", "customer_id")
        found = table.aggregate(rows=table.count(), **{name: table[name].count() for name in names})
        counts = found.to_pyarrow().to_pylist()[0]
        dated, priced, attributed = (counts[name] == counts["rows"] for name in names)
        return cls(dated and priced, attributed)


@dataclass(frozen=True, slots=True)
class Profile:
    """What there is to count.

    Attributes:
        total: all rows.
        dropped: rows left out, by reason.
        reach: the first and the last moment of all rows; None without any.
        currencies: the least and the greatest code among the rows used; None without rows.
        totals: the money of the rows used, in whichever currencies; None where it may be another once rows are
            summed to orders.
        attributed: whether every row has a customer: only then is the money of nobody that of rows without one, because
            an order that has a customer in one line has this customer in all.
    """

    total: int
    dropped: Mapping[str, int]
    reach: local_time.Reach | None
    currencies: tuple[str, str] | None
    totals: Totals | None
    attributed: bool

    @property
    def last(self) -> datetime | None:
        return None if self.reach is None else self.reach.last


def profile(
    rows: ir.Table, tests: Mapping[str, ir.BooleanValue], presence: Presence, *, currency: str, summed: bool
) -> Profile:
    """Count rows by what they are and which tests they pass, in one scan; the counts are added up here.

    `currency` is that of rows which name none; `summed` says that rows are lines, which become orders later.
    """
    keys = {**({} if presence.attributed else {"known": rows.customer_id.notnull()}), **tests}
    kinds = rows.group_by("kind", "currency", **keys).aggregate(
        rows=rows.count(),
        first=rows.ordered_at.min(),
        last=rows.ordered_at.max(),
        amount=rows.amount.sum(),
        least=rows.amount.min(),
        most=rows.amount.max(),
    )
    used = every = cells.frame(kinds.to_pyarrow())
    dropped = {}
    for reason in tests:
        # A comparison with null is null; the engine's filter leaves such rows out too.
        passed = used[reason].fillna(value=False)
        dropped[reason] = int(used["rows"][~passed].sum())
        used = used[passed]
    codes = used["currency"].fillna(currency)
    return Profile(
        total=int(every["rows"].sum()),
        dropped={reason: count for reason, count in dropped.items() if count},
        reach=_reach(every),
        currencies=None if used.empty else (codes.min(), codes.max()),
        totals=_totals(used, summed=summed),
        attributed=presence.attributed or not summed,
    )


def _reach(every: pd.DataFrame) -> local_time.Reach | None:
    first, last = every["first"].min(), every["last"].max()
    if pd.isna(last):
        return None
    return local_time.Reach(*(at.to_pydatetime().astimezone(UTC) for at in (first, last)))


def _totals(used: pd.DataFrame, *, summed: bool) -> Totals | None:
    """Return the money of the rows, if it can be told from sums of amounts.

    A refund takes its amount away whichever sign it has, so where signs are mixed a sum does not tell.
    """
    is_sale = (used["kind"] != "refund").fillna(value=True)
    down, up = used["most"] <= 0, used["least"] >= 0
    given, taken = used[~is_sale & ~up], used[~is_sale & ~down]
    if not (is_sale | down | up).all() or (summed and not given.empty and not taken.empty):
        return None
    value = used["amount"].where(is_sale | down, -used["amount"])
    known = used["known"] if "known" in used.columns else is_sale | True
    return Totals.of(pd.DataFrame({"is_sale": is_sale, "known": known, "value": value}))
