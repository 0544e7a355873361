"""When a schedule is due: five fields of cron, read in an IANA time zone. Pure: knows no clock and no database.

`cronsim` reads the fields; what a change of the clocks means is decided here. An expression that names hours of the day goes
by the clock on the wall: a local time that does not exist fires at the next one that does, and one that exists twice fires
once, the first time. An expression that takes every hour names no time of day, and goes by elapsed time: `*/15 * * * *` fires
four times in each hour that passes, the repeated one included.
"""

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

LONGEST = 200
FIELDS = ("minute", "hour", "day of month", "month", "day of week")
VALUES = (60, 24, 31, 12, 7)
ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 1,4,7,10 *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
EVERY_HOUR = frozenset(range(24))
# A schedule is asked about in windows that grow until they hold enough slots, so that years without an answer cost little.
FIRST_WINDOW = timedelta(hours=1)
WINDOW_GROWTH = 8
# Of this many slots in a row the closest two say how often an expression fires: more than a day of the most frequent ones.
SAMPLE = 2_000
SAMPLE_FROM = datetime(2024, 1, 1)  # noqa: DTZ001 - the clock on a wall has no zone
SAMPLE_UNTIL = datetime(2124, 1, 1)  # noqa: DTZ001 - as above

_STEP = re.compile(r"/(\d+)(?!\d)")
_QUARTZ = re.compile(r"\?|W(?!ED)|#\d-")


class CronError(ValueError):
    """An expression that is not cron, or never fires. The message is a sentence for a person."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True)
class Recurrence:
    """Slots in a time zone, between a start, which may be one of them, and an end, which may as well.

    Attributes:
        fields: five fields of cron, as `parse` returns them.
        zone: whose clock the fields are about.
        starts_at: nothing is due before.
        ends_at: nothing is due after.
    """

    fields: str
    zone: ZoneInfo
    starts_at: datetime | None = None
    ends_at: datetime | None = None

    @cached_property
    def by_elapsed_time(self) -> bool:
        """Whether every hour is taken, so that the expression names no time of day."""
        return set(_simulate(self.fields, SAMPLE_FROM).hours) == EVERY_HOUR

    def after(self, moment: datetime) -> Iterator[datetime]:
        """Yield the slots later than a moment, in UTC, in order, each once."""
        last = moment.astimezone(UTC)
        if self.starts_at is not None:
            # The start itself may be a slot.
            last = max(last, self.starts_at.astimezone(UTC) - timedelta(microseconds=1))
        for slot in self._elapsed(last) if self.by_elapsed_time else self._on_the_wall(last):
            if slot <= last:
                continue
            if self.ends_at is not None and slot > self.ends_at:
                return
            last = slot
            yield slot

    def next(self, moment: datetime) -> datetime | None:
        """Return the first slot later than a moment; None: there is none."""
        return next(self.after(moment), None)

    def is_slot(self, moment: datetime) -> bool:
        """Tell whether a moment is a slot, before the start or after the end as well."""
        unbounded = Recurrence(self.fields, self.zone)
        return unbounded.next(moment - timedelta(microseconds=1)) == moment

    def newest(self, after: datetime, until: datetime, *, limit: int) -> "Newest":
        """Return the latest slots in `(after, until]`, in order, at most so many, without going through all before them."""
        window = FIRST_WINDOW
        while True:
            since = max(after, until - window)
            found = deque(takewhile(lambda slot: slot <= until, self.after(since)), maxlen=limit + 1)
            if len(found) > limit:
                return Newest(tuple(islice(found, 1, None)), complete=False)
            if since == after:
                return Newest(tuple(found), complete=True)
            window *= WINDOW_GROWTH

    def _elapsed(self, moment: datetime) -> Iterator[datetime]:
        # A star is what makes it count by elapsed time, and says the same as any other way of writing every hour.
        minute, _, *days = self.fields.split()
        simulated = _simulate(" ".join((minute, "*", *days)), moment.astimezone(self.zone))
        return (local.astimezone(UTC) for local in simulated)

    def _on_the_wall(self, moment: datetime) -> Iterator[datetime]:
        wall = moment.astimezone(self.zone).replace(tzinfo=None)
        return (instant(local, self.zone) for local in _simulate(self.fields, wall))


@dataclass(frozen=True, slots=True)
class Newest:
    """Slots, and whether they are all there were."""

    slots: tuple[datetime, ...]
    complete: bool


def parse(text: str) -> str:
    """Return the five fields that an expression, or its alias, stands for.

    Raises:
        CronError: it is no cron expression of five fields, or never fires.
    """
    if len(text) > LONGEST:
        raise CronError("too-long", f"A cron expression has at most {LONGEST} characters.")
    fields = " ".join(text.split())
    if fields.startswith("@"):
        return _alias(fields)
    _check_shape(fields)
    try:
        first = next(_simulate(fields, SAMPLE_FROM), None)
    except CronSimError as error:
        raise _explained(fields, error) from error
    if first is None:
        raise CronError("never-fires", f"{fields!r} never fires: no such day comes within 50 years.")
    return fields


def shortest_interval(fields: str) -> timedelta:
    """Return the shortest time between two slots on the wall, as far as a sample of them tells."""
    slots = takewhile(lambda slot: slot < SAMPLE_UNTIL, islice(_simulate(fields, SAMPLE_FROM), SAMPLE))
    return min((later - earlier for earlier, later in pairwise(slots)), default=timedelta.max)


def instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return when a clock on the wall shows a time, in UTC: first, where it does twice; never, the moment it jumps past it."""
    local = wall.replace(tzinfo=zone, fold=0)
    found = local.astimezone(UTC)
    if found.astimezone(zone).replace(tzinfo=None) == wall:
        return found
    # Read with the offset before the jump, the time lies after it; with the offset after it, before.
    return _jump_between(local.replace(fold=1).astimezone(UTC), found, zone)


def _jump_between(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment in `(before, after]` at which the offset changes, to the second."""
    offset = before.astimezone(zone).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == offset:
            before = middle
        else:
            after = middle
    return after


def _simulate(fields: str, moment: datetime) -> CronSim:
    return CronSim(fields, moment)


def _alias(text: str) -> str:
    if text.lower() in ALIASES:
        return ALIASES[text.lower()]
    if text.lower().startswith("@every"):
        raise CronError("unknown-alias", "There is no `@every`; for every five minutes write `*/5 * * * *`.")
    raise CronError("unknown-alias", f"There is no {text!r}; there are {', '.join(ALIASES)}.")


def _check_shape(fields: str) -> None:
    count = len(fields.split())
    if count == len(FIELDS) + 1:
        raise CronError(
            "seconds",
            "A schedule has no field of seconds. Give five fields: minute, hour, day of month, month, day of week.",
        )
    if count != len(FIELDS):
        raise CronError(
            "field-count",
            f"Cron has five fields, not {count}: minute, hour, day of month, month, day of week, as in `0 6 * * MON`.",
        )
    for text, name, values in zip(fields.split(), FIELDS, VALUES, strict=True):
        step = max((int(found) for found in _STEP.findall(text)), default=0)
        if step > values:
            raise CronError(
                "step-too-long",
                f"{text!r} goes beyond the {values} values of the {name}, and would fire at the first of them only: "
                "steps begin anew with each round of the field.",
            )


def _explained(fields: str, error: CronSimError) -> CronError:
    """Say which field is wrong, and how."""
    names = dict(zip(("minute", "hour", "day-of-month", "month", "day-of-week"), range(len(FIELDS)), strict=True))
    position = names.get(str(error).removeprefix("Bad "))
    if position is None:
        return CronError("not-cron", f"{fields!r} is not a cron expression.")
    text = fields.split()[position]
    if position == names["day-of-month"] and re.fullmatch(r"[\d,/-]+", text) and _days_exist(text):
        return CronError("never-fires", f"{fields!r} never fires: none of its months has such a day.")
    hint = " `?` and `W` are not known here: write `*`, or `LW` for the last weekday." if _QUARTZ.search(text) else ""
    return CronError("not-cron", f"{text!r} is no {FIELDS[position]}.{hint}")


def _days_exist(text: str) -> bool:
    """Tell whether a field of days is sound by itself, so that it is the months that it does not suit."""
    try:
        CronSim(f"0 0 {text} * *", SAMPLE_FROM)
    except CronSimError:
        return False
    return True
