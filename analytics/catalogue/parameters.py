"""The parameters every report takes, validated and filled in with defaults."""

import re
import zoneinfo
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
)
from pydantic_core import PydanticCustomError

from analytics.catalogue.filters import ColumnName, Filter, check_size

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# They name whatever the machine happens to be set to, or nothing at all.
_NO_PLACE = frozenset({"localtime", "posixrules", "Factory"})


class Refunds(StrEnum):
    """When a refund counts against revenue."""

    ON_REFUND_DATE = "on_refund_date"
    ON_ORDER_DATE = "on_order_date"
    EXCLUDE = "exclude"


class WeekStart(StrEnum):
    """The first day of a week."""

    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


class Period(StrEnum):
    """A calendar period in the report's time zone."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    QUARTER = "quarter"
    YEAR = "year"


def _parse_moment(raw: Any) -> date | datetime:
    if isinstance(raw, datetime | date):
        return raw
    if not isinstance(raw, str):
        raise PydanticCustomError("moment_type", "Give a date (2026-11-22) or a timestamp (2026-11-22T10:00:00Z)")
    try:
        return date.fromisoformat(raw) if _DAY.fullmatch(raw) else datetime.fromisoformat(raw)
    except ValueError as error:
        raise PydanticCustomError(
            "moment_parsing", "Give a date (2026-11-22) or a timestamp (2026-11-22T10:00:00Z)"
        ) from error


def _canonical_moment(moment: date | datetime) -> date | datetime:
    if isinstance(moment, datetime) and moment.tzinfo is not None:
        return moment.astimezone(UTC)
    return moment


def _print_moment(moment: date | datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")


Moment = Annotated[
    date | datetime,
    BeforeValidator(_parse_moment),
    AfterValidator(_canonical_moment),
    PlainSerializer(_print_moment, return_type=str | None),
    WithJsonSchema({"anyOf": [{"type": "string", "format": "date"}, {"type": "string", "format": "date-time"}]}),
]


def _check_timezone(name: str) -> str:
    try:
        zone = zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        zone = None
    if zone is None or name in _NO_PLACE:
        raise PydanticCustomError("timezone", "'{name}' is not an IANA time zone such as Europe/London", {"name": name})
    return name


def _upper(raw: Any) -> Any:
    return raw.strip().upper() if isinstance(raw, str) else raw


TimeZone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(_check_timezone)]
Currency = Annotated[str, BeforeValidator(_upper), StringConstraints(pattern=r"^[A-Z]{3}$")]


def _organisation_fills_in(schema: dict[str, Any]) -> None:
    """Tell callers that these two may be left out, though a canonical set of parameters always has them."""
    schema["required"] = [name for name in schema.get("required", []) if name not in {"timezone", "currency"}]
    if not schema["required"]:
        del schema["required"]


class ReportParams(BaseModel):
    """What every report takes. Frozen and canonical: two equal questions dump to the same JSON."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, serialize_by_alias=True, json_schema_extra=_organisation_fills_in
    )

    timezone: TimeZone = Field(description="IANA time zone of days and periods. Default: the organisation's.")
    currency: Currency = Field(description="ISO 4217 code that money is reported in. Default: the organisation's.")
    base_currency: Currency | None = Field(
        None, description="Currency whose units fx_rates are in. Default: the organisation's."
    )
    start: Moment | None = Field(
        None, description="Read from here on. A date is its local midnight; a timestamp without offset is local."
    )
    end: Moment | None = Field(None, description="Read what lies before this; the moment itself is left out.")
    as_of: Moment | None = Field(
        None,
        description="The moment the report is made for: nothing at or after it is read. "
        "Default: the end of the last local day the data reach, or `end` if that is earlier.",
    )
    week_start: WeekStart = Field(WeekStart.MONDAY, description="The day on which periods of a week begin.")
    refunds: Refunds = Field(
        Refunds.ON_REFUND_DATE,
        description="Whether a refund counts on its own date, on the date of the order it refunds, or not at all. "
        "A refund never makes a customer, an order or a purchase.",
    )
    filter: Filter | None = Field(None, description="Which rows count; a tree at most 8 deep with at most 100 leaves.")
    segment_by: tuple[ColumnName, ...] = Field(
        (), max_length=4, description="Columns of the facts or of `customers` to break the numbers down by."
    )

    @field_validator("filter", mode="before")
    @classmethod
    def _filter_is_bounded(cls, raw: Any) -> Any:
        return check_size(raw)

    @field_validator("segment_by")
    @classmethod
    def _segments_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) != len(names):
            raise PydanticCustomError("segment_repeated", "Name each column once")
        return names

    @field_validator("end", "as_of")
    @classmethod
    def _after_start(cls, moment: date | datetime | None, info: ValidationInfo) -> date | datetime | None:
        start, zone = info.data.get("start"), info.data.get("timezone")
        if (
            moment is not None
            and start is not None
            and zone is not None
            and instant(moment, zone) <= instant(start, zone)
        ):
            raise PydanticCustomError("not_after_start", "Must be later than start")
        return moment

    def instant_of(self, moment: date | datetime | None) -> datetime | None:
        """Return the UTC instant that a date or timestamp of these parameters means."""
        return None if moment is None else instant(moment, self.timezone)


def instant(moment: date | datetime, zone: str) -> datetime:
    """Return the UTC instant of a local date's midnight, of a local timestamp, or of a timestamp with offset."""
    at = moment if isinstance(moment, datetime) else datetime.combine(moment, time.min)
    return (at if at.tzinfo is not None else at.replace(tzinfo=zoneinfo.ZoneInfo(zone))).astimezone(UTC)
