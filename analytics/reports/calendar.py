"""Days and calendar periods in a report's time zone: as engine expressions, and as plain dates."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import ibis
from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import parameters
from analytics.reports import local_time

MAX_PERIODS = 20_000
_MONTHS = {parameters.Period.MONTH: 1, parameters.Period.QUARTER: 3, parameters.Period.YEAR: 12}
_UNITS = {
    parameters.Period.DAY: "D",
    parameters.Period.WEEK: "W",
    parameters.Period.MONTH: "M",
    parameters.Period.QUARTER: "Q",
    parameters.Period.YEAR: "Y",
}
_YEAR_BACK_WEEKS = timedelta(weeks=52)


def local_date(at: ir.TimestampValue, zone: str) -> ir.DateValue:
    """Return the local calendar date of an instant: zone first, then truncation."""
    return local_time.wall_clock(zone, at, None).date()


@dataclass(frozen=True, slots=True)
class Calendar:
    """The periods of one length in one zone, each known by its first local day.

    Attributes:
        reach: bounds of the instants that are asked about, where they are known: their periods are then found faster.
    """

    zone: str
    period: parameters.Period = parameters.Period.DAY
    week_start: parameters.WeekStart = parameters.WeekStart.MONDAY
    reach: local_time.Reach | None = None

    def period_of(self, at: ir.TimestampValue) -> ir.DateValue:
        """Return, as an expression, the first local day of the period an instant falls into."""
        return self._truncated(local_time.wall_clock(self.zone, at, self.reach))

    def period_of_day(self, day: ir.DateValue) -> ir.DateValue:
        """Return, as an expression, the first day of the period that a day without a zone falls into."""
        return self._truncated(day.cast("timestamp"))

    def _truncated(self, local: ir.TimestampValue) -> ir.DateValue:
        # Truncating the local timestamp and taking its date last is twice as fast as truncating dates.
        shift = self._week_shift() if self.period is parameters.Period.WEEK else 0
        if shift:
            moved = (local - ibis.interval(days=shift)).truncate("W").date()
            return (moved + ibis.interval(days=shift)).cast("date")
        return (local if self.period is parameters.Period.DAY else local.truncate(_UNITS[self.period])).date()

    def first_day(self, day: date) -> date:
        """Return the first day of the period a local date falls into."""
        if self.period is parameters.Period.DAY:
            return day
        if self.period is parameters.Period.WEEK:
            return day - timedelta(days=(day.weekday() - self._week_shift()) % 7)
        months = _MONTHS[self.period]
        return date(day.year, (day.month - 1) // months * months + 1, 1)

    def step(self, start: date, count: int) -> date:
        """Return the first day of the period that lies `count` periods after the one starting at `start`."""
        if self.period is parameters.Period.DAY:
            return start + timedelta(days=count)
        if self.period is parameters.Period.WEEK:
            return start + timedelta(weeks=count)
        years, month = divmod(start.month - 1 + count * _MONTHS[self.period], 12)
        return date(start.year + years, month + 1, 1)

    def year_before(self, start: date) -> date | None:
        """Return the period a year before, or None where there is no such day."""
        if self.period is parameters.Period.WEEK:
            return start - _YEAR_BACK_WEEKS
        try:
            return start.replace(year=start.year - 1)
        except ValueError:
            return None

    def between(self, first: date, last: date) -> Iterator[date]:
        """Yield the periods from one to the other, both included.

        Raises:
            errors.Refusal: there are more than can be shown.
        """
        for count in range(MAX_PERIODS):
            start = self.step(first, count)
            if start > last:
                return
            yield start
        raise errors.Refusal(
            "too-many-periods",
            f"The data span more than {MAX_PERIODS} periods of a {self.period}; choose a longer period, or start and end.",
            {"limit": MAX_PERIODS},
        )

    def instant(self, day: date) -> datetime:
        """Return the UTC instant at which a local day begins."""
        return parameters.instant(day, self.zone)

    def day_of(self, at: datetime) -> date:
        """Return the local date of an instant."""
        return at.astimezone(ZoneInfo(self.zone)).date()

    def day_end(self, at: datetime) -> datetime:
        """Return the UTC instant at which the local day of an instant ends."""
        return datetime.combine(self.day_of(at) + timedelta(days=1), time.min, ZoneInfo(self.zone)).astimezone(UTC)

    def _week_shift(self) -> int:
        return list(parameters.WeekStart).index(self.week_start)
