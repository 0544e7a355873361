"""Relative dates: what `today`, `start_of_quarter - 1 year` or the last complete month mean for one slot of a schedule.

They are resolved at the slot's nominal time in the schedule's zone, never by a clock, so that a slot that is made up for asks
what it would have asked on time. What comes out are the ordinary parameters of the report. docs/schedules.md has the grammar.
"""

import dataclasses
import re
from calendar import monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from typing import Any, get_args
from zoneinfo import ZoneInfo

import pydantic

from analytics.catalogue.parameters import ReportParams, WeekStart
from workers import field_errors, refusals
from workers.field_errors import FieldError
from workers.refusals import RefusedError
from workers.schedules import recurrence

RANGE = "range"
RANGE_EXAMPLES = 'A range is {"last": "1 month", "complete": true} or {"this": "month"}.'
MOST_TERMS = 8

# A date is a day of the schedule's zone; a datetime is an instant.
Moment = date | datetime


class Anchor(StrEnum):
    NOW = "now"
    TODAY = "today"
    YESTERDAY = "yesterday"
    TOMORROW = "tomorrow"
    START_OF_WEEK = "start_of_week"
    START_OF_MONTH = "start_of_month"
    START_OF_QUARTER = "start_of_quarter"
    START_OF_YEAR = "start_of_year"


class Unit(StrEnum):
    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


_MONTHS = {Unit.MONTH: 1, Unit.QUARTER: 3, Unit.YEAR: 12}
_DAYS = {Unit.DAY: 1, Unit.WEEK: 7}
_AMOUNT = re.compile(r"(?:(\d{1,4})\s+)?([a-z]+?)s?")
_MOMENT = re.compile(r"([a-z_]+)((?:\s*[+-]\s*\d{1,4}\s+[a-z]+)*)")
_TERM = re.compile(r"([+-])\s*(\d{1,4})\s+([a-z]+?)s?(?![a-z])")


class _Last(pydantic.BaseModel):
    """The periods before the slot: whole ones of the calendar, or as long a time up to the slot itself."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    last: str
    complete: bool = False


class _This(pydantic.BaseModel):
    """From the beginning of the period that goes on just before the slot, up to the slot."""

    model_config = pydantic.ConfigDict(extra="forbid", frozen=True, strict=True)

    this: str


@dataclass(frozen=True, slots=True)
class Slot:
    """The moment that dates are relative to, and whose calendar they are of."""

    due_at: datetime
    zone: ZoneInfo
    week_start: WeekStart = WeekStart.MONDAY

    @property
    def today(self) -> date:
        return self.due_at.astimezone(self.zone).date()


def resolve(raw: Mapping[str, Any], *, model: type[ReportParams], due_at: datetime, zone: ZoneInfo) -> dict[str, Any]:
    """Return the parameters of a report for one slot: relative dates resolved, the zone filled in where none is given.

    Args:
        raw: the parameters as they were given.
        model: what the report type takes; only what it declares as a date or timestamp is looked at, and `range`.
        due_at: the slot.
        zone: the schedule's.

    Raises:
        refusals.RefusedError: a relative date cannot be understood.
    """
    slot = slot_of(raw, due_at=due_at, zone=zone)
    found = {"timezone": zone.key, **raw}
    wrong = []
    for name in sorted(_moments(model) & raw.keys()):
        try:
            found[name] = resolved(raw[name], slot)
        except NotRelativeError as error:
            wrong.append(FieldError(f"#/params/{name}", error.code, str(error)))
    try:
        found |= _bounds(raw, slot)
    except NotRelativeError as error:
        wrong.append(FieldError(f"#/params/{RANGE}{error.below}", error.code, str(error)))
    if wrong:
        raise refusals.invalid(*wrong)
    found.pop(RANGE, None)
    return found


def slot_of(raw: Mapping[str, Any], *, due_at: datetime, zone: ZoneInfo) -> Slot:
    """Return a slot with the first day of a week as the report's parameters have it."""
    return Slot(due_at, zone, _week_start(raw))


def pointed_at_range(refusal: RefusedError) -> RefusedError:
    """Let what is wrong with the start or the end of a range be said of the range, which is what was given."""
    ends = {"#/params/start", "#/params/end"}
    errors = [
        FieldError(f"#/params/{RANGE}", one.code, one.detail) if one.pointer in ends else one for one in refusal.errors
    ]
    detail = field_errors.summary(errors) if errors else refusal.detail
    return RefusedError(refusal.why, detail, errors=errors, facts=refusal.facts)


class NotRelativeError(ValueError):
    """Something is not a relative date; the message is a sentence for a person."""

    def __init__(self, detail: str, *, code: str = "relative-date", below: str = "") -> None:
        super().__init__(detail)
        self.code = code
        self.below = below


@cache
def _moments(model: type[ReportParams]) -> frozenset[str]:
    """Return the names of the parameters that are dates or timestamps."""
    return frozenset(name for name, field in model.model_fields.items() if _is_moment(field.annotation))


def _is_moment(annotation: Any) -> bool:
    return annotation is date or any(_is_moment(part) for part in get_args(annotation))


def _week_start(raw: Mapping[str, Any]) -> WeekStart:
    """Return the first day of a week; what is none is refused with the other parameters."""
    given = raw.get("week_start")
    return WeekStart(given) if given in set(WeekStart) else WeekStart.MONDAY


def resolved(value: Any, slot: Slot) -> Any:
    """Return what a date is at a slot; what is none is left to whoever validates the parameters.

    Raises:
        NotRelativeError: it is a text that cannot be understood.
    """
    if isinstance(value, Mapping):
        raise NotRelativeError(f'A single date cannot be a range. Give `"{RANGE}"` instead of `start` and `end`.')
    # Dates and timestamps begin with a digit, and are what they are.
    if not isinstance(value, str) or value[:1].isdigit():
        return value
    return _printed(_moment(value.strip(), slot))


def _moment(text: str, slot: Slot) -> Moment:
    found = _MOMENT.fullmatch(text)
    anchor = found and next((one for one in Anchor if one == found[1]), None)
    if found is None or anchor is None:
        word = re.split(r"\W", text, maxsplit=1)[0]
        guess = field_errors.closest(word, [one.value for one in Anchor]) if anchor is None else None
        hint = f" Did you mean {guess!r}?" if guess and guess != word else ""
        raise NotRelativeError(
            f"{text!r} is neither a date nor relative to one, such as `today`, `start_of_month` or `today - 7 days`.{hint}"
        )
    terms = _TERM.findall(found[2])
    if len(terms) > MOST_TERMS:
        raise NotRelativeError(f"A relative date has at most {MOST_TERMS} offsets.")
    moment = _anchored(anchor, slot)
    for sign, count, unit in terms:
        moment = _shifted(moment, int(sign + count), _unit(unit), slot.zone)
    return moment


def _anchored(anchor: Anchor, slot: Slot) -> Moment:
    match anchor:
        case Anchor.NOW:
            return slot.due_at
        case Anchor.TODAY:
            return slot.today
        case Anchor.YESTERDAY:
            return slot.today - timedelta(days=1)
        case Anchor.TOMORROW:
            return slot.today + timedelta(days=1)
        case Anchor.START_OF_WEEK | Anchor.START_OF_MONTH | Anchor.START_OF_QUARTER | Anchor.START_OF_YEAR:
            return _start_of(Unit(anchor.removeprefix("start_of_")), slot)


def _bounds(raw: Mapping[str, Any], slot: Slot) -> dict[str, str]:
    """Return the start and the end that a range stands for; nothing where there is no range."""
    given = raw.get(RANGE)
    if given is None:
        return {}
    others = [name for name in ("start", "end") if raw.get(name) is not None]
    if others:
        raise NotRelativeError(f"`{RANGE}` stands for `start` and `end`; give it or them.", code="range-and-bounds")
    if not isinstance(given, Mapping):
        raise NotRelativeError(RANGE_EXAMPLES, code="range")
    model: type[_This | _Last] = _This if "this" in given else _Last
    try:
        asked = model.model_validate(given)
    except pydantic.ValidationError as error:
        first = field_errors.of_validation(error, given, known=model.model_fields)[0]
        raise NotRelativeError(
            f"{first.detail} {RANGE_EXAMPLES}", code=first.code, below=first.pointer.removeprefix("#")
        ) from error
    start, end = _this(asked, slot) if isinstance(asked, _This) else _last(asked, slot)
    return {"start": _printed(start), "end": _printed(end)}


def _this(asked: _This, slot: Slot) -> tuple[Moment, Moment]:
    # Nothing of a period that begins at the slot has happened yet: at midnight of the first it is the month that has ended.
    return _start_of(_unit(asked.this, below="/this"), _just_before(slot.due_at, slot)), slot.due_at


def _last(asked: _Last, slot: Slot) -> tuple[Moment, Moment]:
    found = _AMOUNT.fullmatch(asked.last.strip())
    count = int(found[1] or 1) if found else 0
    if found is None or count == 0:
        raise NotRelativeError(f"{asked.last!r} is no length of time such as `1 month` or `7 days`.", below="/last")
    unit = _unit(found[2], below="/last")
    if asked.complete and unit is Unit.HOUR:
        return _hours_before(count, slot)
    end = _start_of(unit, slot) if asked.complete else slot.due_at
    return _shifted(end, -count, unit, slot.zone), end


def _hours_before(count: int, slot: Slot) -> tuple[datetime, datetime]:
    """Return where so many whole local hours begin and end. Where a clock is put back by half an hour one of them is longer."""
    start = end = _start_of_hour(slot)
    for _ in range(count):
        start = _start_of_hour(_just_before(start, slot))
    return start, end


def _just_before(at: datetime, slot: Slot) -> Slot:
    return dataclasses.replace(slot, due_at=at - timedelta(microseconds=1))


def _unit(word: str, *, below: str = "") -> Unit:
    unit = next((one for one in Unit if one == word), None)
    if unit is None:
        raise NotRelativeError(f"{word!r} is no unit of time; there are {', '.join(Unit)}.", below=below)
    return unit


def _start_of(unit: Unit, slot: Slot) -> Moment:
    today = slot.today
    match unit:
        case Unit.HOUR:
            return _start_of_hour(slot)
        case Unit.DAY:
            return today
        case Unit.WEEK:
            return today - timedelta(days=(today.weekday() - list(WeekStart).index(slot.week_start)) % 7)
        case Unit.MONTH:
            return today.replace(day=1)
        case Unit.QUARTER:
            return today.replace(month=today.month - (today.month - 1) % 3, day=1)
        case Unit.YEAR:
            return today.replace(month=1, day=1)


def _start_of_hour(slot: Slot) -> datetime:
    local = slot.due_at.astimezone(slot.zone)
    return local.replace(minute=0, second=0, microsecond=0).astimezone(UTC)


def _shifted(moment: Moment, count: int, unit: Unit, zone: ZoneInfo) -> Moment:
    """Go on by so many units: hours that pass, or days and months of the calendar."""
    try:
        if unit is Unit.HOUR:
            at = moment if isinstance(moment, datetime) else recurrence.instant(datetime.combine(moment, time()), zone)
            return at + timedelta(hours=count)
        if not isinstance(moment, datetime):
            return _day_shifted(moment, count, unit)
        wall = moment.astimezone(zone).replace(tzinfo=None)
        return recurrence.instant(datetime.combine(_day_shifted(wall.date(), count, unit), wall.time()), zone)
    except (ValueError, OverflowError) as error:
        raise NotRelativeError("This lies outside the calendar.", code="out-of-range") from error


def _day_shifted(day: date, count: int, unit: Unit) -> date:
    if unit in _DAYS:
        return day + timedelta(days=count * _DAYS[unit])
    month = day.year * 12 + day.month - 1 + count * _MONTHS[unit]
    first = date(month // 12, month % 12 + 1, 1)
    # A month after the 31st of January is the last day of February.
    return first.replace(day=min(day.day, monthrange(first.year, first.month)[1]))


def _printed(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return moment.isoformat()
