"""SQL for dates and times: ISO first, otherwise the one format that fits a column's values, found over all of them."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import probe, wording

ISO_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
ISO_NAIVE = ISO_DATE + r"[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}([.,][0-9]{1,9})?)?"
ISO_ZONED = ISO_NAIVE + r" ?(Z|z|UTC|[+-][0-9]{2}(:?[0-9]{2})?)"
# What a cast understands as it is; the other spellings of a zone have to be rewritten for it.
ISO_PLAIN = ISO_NAIVE.replace("[.,]", "[.]") + r"(Z|[+-][0-9]{2}(:?[0-9]{2})?)"
PREPONDERANCE = 10
# What is stored lies in these years, so that every calendar can reckon with it and every zone still shows it as a day.
FIRST_YEAR = 1000
LAST_YEAR = 2999

TIMES = ("", "%H:%M", "%H:%M:%S", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%I:%M%p", "%I:%M:%S%p")
JOINS = (" ", "T", ", ")
# By how a pattern of digits begins; four digits of a year say themselves what they are.
ORDERS = {"DMY": "%d", "MDY": "%m", "YMD": "%y"}
NAMED = (
    *(f"%d{sign}{month}{sign}{year}" for sign in " -/." for month in ("%b", "%B") for year in ("%Y", "%y")),
    *(f"{month} %d{sign}%Y" for month in ("%b", "%B") for sign in (", ", " ")),
    *(f"%a{comma} %d %b %Y" for comma in (",", "")),
    *(f"%A{comma} %d %B %Y" for comma in (",", "")),
)


@dataclass(frozen=True, slots=True)
class DatePlan:
    """How a column's dates are read.

    Attributes:
        formats: strptime patterns with the same date and different or no times; empty: ISO.
        naive: whether there may be values without a zone; `zoned`: whether there may be some with one.
        plain: whether all have a zone and are `ISO_PLAIN`.
        epoch: units in a second, where the column counts from 1970.
    """

    formats: tuple[str, ...] = ()
    naive: bool = True
    zoned: bool = False
    plain: bool = False
    epoch: int | None = None

    @property
    def description(self) -> str:
        if self.epoch:
            return "seconds since 1970" if self.epoch == 1 else "milliseconds since 1970"
        return self.formats[0] if self.formats else "ISO 8601"


def find_plan(column: probe.Probe, *, declared: str | None) -> DatePlan:
    """The format of a column that is not ISO as a whole.

    Raises:
        errors.Refusal: `ambiguous-date-order` where day and month could be either way round.
    """
    if declared and declared not in ORDERS:
        return DatePlan(formats=(declared,))
    signatures = _signatures(column)
    if signatures == {"9"} and (epoch := _epoch(column)) is not None:
        return epoch
    families = _families(signatures)
    if declared:
        families = {date: formats for date, formats in families.items() if _order(date) in (declared, None)}
    fits = {date: _count(column, formats) for date, formats in families.items()}
    best = max(fits, key=lambda date: (fits[date], _order(date) == "DMY"), default="")
    if not best or _count_iso(column) >= fits[best]:
        return DatePlan(zoned=True)
    orders = [best, *_rivals(best, families)]
    possible = [date for date in orders if fits[date] and fits[date] * PREPONDERANCE >= fits[best]]
    for rival in orders[1:]:
        best = _decide_order(column, (families[best], families[rival]), orders=(best, rival), possible=possible)
    return DatePlan(formats=families[best])


def timestamp_sql(value: str, plan: DatePlan, zone: str) -> str:
    """UTC; null where the value is no time. A time that the clocks skipped is an hour later, one they repeated is the second."""
    if plan.epoch:
        return f"CASE WHEN {_is_epoch(value)} THEN make_timestamptz(TRY_CAST({value} AS BIGINT) * {1_000_000 // plan.epoch}) END"
    if plan.formats:
        return in_zone(_strptime(value, plan.formats), zone)
    if plan.plain:
        return f"TRY_CAST({value} AS TIMESTAMPTZ)"
    value = _with_point(value)
    naive = in_zone(f"TRY_CAST({value} AS TIMESTAMP)", zone)
    if not plan.zoned:
        return naive
    zoned = f"TRY_CAST(regexp_replace(regexp_replace({value}, ' ?(z|UTC)$', 'Z'), ' ([+-])', '\\1') AS TIMESTAMPTZ)"
    local = f"CASE WHEN regexp_full_match({value}, '{ISO_DATE}|{ISO_NAIVE}') THEN {naive} END" if plan.naive else "NULL"
    return f"CASE WHEN regexp_full_match({value}, '{ISO_ZONED}') THEN {zoned} ELSE {local} END"


def date_sql(value: str, plan: DatePlan, zone: str) -> str:
    """The calendar day; a time with a zone falls on the day it has in the import's zone."""
    if plan.epoch or plan.zoned:
        return f"CAST(timezone({wording.quote_text(zone)}, {timestamp_sql(value, plan, zone)}) AS DATE)"
    if plan.formats:
        return f"CAST({_strptime(value, plan.formats)} AS DATE)"
    return f"CAST(TRY_CAST({_with_point(value)} AS TIMESTAMP) AS DATE)"


def _with_point(value: str) -> str:
    """ISO 8601 has a comma or a point before the fraction of a second, a cast only a point."""
    return f"replace({value}, ',', '.')"


def far_sql(value: str) -> str:
    """Whether a date or a moment lies outside of the years that are stored."""
    return f"({value} < DATE '{FIRST_YEAR}-01-01' OR {value} >= DATE '{LAST_YEAR + 1}-01-01')"


def near_sql(value: str) -> str:
    """Whether a date or a moment lies inside of those years, in whichever zone it may be."""
    return f"({value} >= DATE '{FIRST_YEAR}-01-02' AND {value} < DATE '{LAST_YEAR}-12-31')"


def in_zone(naive: str, zone: str) -> str:
    """The moment at which clocks of a zone show a time."""
    return f"timezone({wording.quote_text(zone)}, {naive})"


def _strptime(value: str, formats: Sequence[str]) -> str:
    patterns = ", ".join(wording.quote_text(pattern) for pattern in formats)
    parsed = f"try_strptime({value}, [{patterns}])"
    # Two digits fit the pattern of four, as a year of antiquity.
    return f"CASE WHEN year({parsed}) >= {FIRST_YEAR} THEN {parsed} END"


def _signatures(column: probe.Probe) -> set[str]:
    """The shapes of a column's values: `9/9/9 9:9` for `31/12/2011 08:26`."""
    shape = "regexp_replace(regexp_replace(v, '[0-9]+', '9', 'g'), '\\p{L}+', 'a', 'g')"
    rows = column.rows(f"{shape} AS s", "WHERE v IS NOT NULL GROUP BY s ORDER BY count(*) DESC, s LIMIT 100")
    return {row[0] for row in rows}


def _families(signatures: set[str]) -> dict[str, tuple[str, ...]]:
    """Patterns whose shape occurs, by the pattern of their date."""
    found: dict[str, tuple[str, ...]] = {}
    for date in (*_numeric_dates(), *NAMED):
        formats = dict.fromkeys(
            f"{date}{join}{time}" if time else date for time, join in itertools.product(TIMES, JOINS)
        )
        if fitting := tuple(pattern for pattern in formats if _shape_of(pattern) in signatures):
            found[date] = fitting
    if "9" in signatures:
        found["%Y%m%d"] = ("%Y%m%d",)
    return found


def _numeric_dates() -> list[str]:
    years_last = [order for year in ("%Y", "%y") for order in (("%d", "%m", year), ("%m", "%d", year))]
    orders = (*years_last, ("%Y", "%m", "%d"), ("%y", "%m", "%d"))
    return [sign.join(order) for sign in "/.- " for order in orders]


def _shape_of(pattern: str) -> str:
    return re.sub("%[abBAp]", "a", re.sub("%[dmYyHIMSf]", "9", pattern))


def _order(date: str) -> str | None:
    """Which way round day, month and a year of two digits are, where it could be another."""
    if "%m" not in date:
        return None
    return next((order for order, first in ORDERS.items() if date.startswith(first)), None)


def _rivals(best: str, families: Mapping[str, Sequence[str]]) -> list[str]:
    """The other orders in which the same digits may be read."""
    if _order(best) is None:
        return []
    shape = (best[2], "%Y" in best)
    return [date for date in families if date != best and _order(date) and (date[2], "%Y" in date) == shape]


def _count(column: probe.Probe, formats: Sequence[str]) -> int:
    return int(column.ask(f"count({_strptime('v', formats)})")[0])


def _count_iso(column: probe.Probe) -> int:
    shapes = f"{ISO_DATE}|{ISO_NAIVE}|{ISO_ZONED}"
    return int(column.ask(f"count(*) FILTER (WHERE regexp_full_match(v, '{shapes}'))")[0])


def _decide_order(
    column: probe.Probe,
    formats: tuple[Sequence[str], Sequence[str]],
    *,
    orders: tuple[str, str],
    possible: Sequence[str],
) -> str:
    """The one of two orders that the values settle; `possible` are all to choose from where they do not."""
    first, second = (_strptime("v", some) for some in formats)
    only_first, only_second, differing, example = column.ask(
        f"count(*) FILTER (WHERE {first} IS NOT NULL AND {second} IS NULL), "
        f"count(*) FILTER (WHERE {second} IS NOT NULL AND {first} IS NULL), "
        f"count(*) FILTER (WHERE {first} <> {second}), min(v) FILTER (WHERE {first} <> {second})"
    )
    if not differing or (only_first and only_first >= PREPONDERANCE * only_second):
        return orders[0]
    if only_second and only_second >= PREPONDERANCE * only_first:
        return orders[1]
    raise errors.Refusal(
        "ambiguous-date-order",
        f"In the column {column.header!r} {_doubted(possible)}, as in {example!r}. Say which with `date_format`: "
        f"{_choices(possible)}.",
        {"header": column.header, "example": example, "formats": sorted(possible), "values": differing},
    )


def _doubted(dates: Sequence[str]) -> str:
    if "YMD" in map(_order, dates):
        return "the year could be first or last"
    return "day and month could be either way round"


def _choices(dates: Sequence[str]) -> str:
    return " or ".join(order for order in ORDERS if order in map(_order, dates))


def _is_epoch(value: str) -> str:
    return f"regexp_full_match({value}, '-?[0-9]{{1,15}}')"


def _epoch(column: probe.Probe) -> DatePlan | None:
    """Seconds (ten digits, from 2001 on) or milliseconds (thirteen) since 1970, where all values are that."""
    total, seconds, milliseconds = column.ask(
        "count(v), count(*) FILTER (WHERE regexp_full_match(v, '[0-9]{10}')), "
        "count(*) FILTER (WHERE regexp_full_match(v, '[0-9]{13}'))"
    )
    if not total or total not in (seconds, milliseconds):
        return None
    return DatePlan(epoch=1 if seconds else 1000)
