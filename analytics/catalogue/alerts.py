"""Alerts: which figure of a result is watched, and when it is worth telling somebody. Light: the web asks here."""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from analytics.catalogue import thresholds
from analytics.catalogue.filters import MAX_TEXT, ColumnName, Filter, check_size

MOST_ALERTS = 20
MOST_KEYS = 10_000
MOST_KEY_COLUMNS = 10
LONGEST_NAME = 100
MOST_RUNS = 100
LARGEST_SHARE = 1_000_000

_SHARE = re.compile(r"(\d{1,7}(?:\.\d{1,6})?)\s*%")
_AGE = re.compile(r"(\d{1,4}) (minute|hour|day|week)s?")


class Take(StrEnum):
    """How the cells of a column become one figure."""

    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    FIRST = "first"
    LAST = "last"


class Kind(StrEnum):
    """What an alert asks of its figure."""

    THRESHOLD = "threshold"
    CHANGE = "change"
    MISSING = "missing"
    AGE = "age"


# --- Values ---


def _number(raw: Any) -> Any:
    """Let numbers through, and texts that are some; a bool is none."""
    if isinstance(raw, bool) or not isinstance(raw, int | float | str | Decimal):
        raise PydanticCustomError("number", "Give a number, or an exact one as text")
    return str(raw) if isinstance(raw, float) else raw


def printed(number: Decimal) -> int | str:
    is_small = number == number.to_integral_value() and abs(number) < 1 << 53
    return int(number) if is_small else format(number, "f")


_NUMBER_SCHEMA = {"anyOf": [{"type": "number"}, {"type": "string"}], "description": "A number, or an exact one as text"}
Number = Annotated[
    Decimal,
    BeforeValidator(_number),
    Field(max_digits=38, decimal_places=15, allow_inf_nan=False),
    PlainSerializer(printed),
    WithJsonSchema(_NUMBER_SCHEMA),
]


def _scalar(raw: Any) -> Any:
    """Return what a cell is compared with: a text, a truth, or a number, kept as it was given."""
    if not isinstance(raw, str | bool | int | float):
        raise PydanticCustomError("scalar", "Give a text, a number, true or false")
    if isinstance(raw, str) and len(raw) > MAX_TEXT:
        raise PydanticCustomError("scalar", "A text has at most {most} characters", {"most": MAX_TEXT})
    if isinstance(raw, float) and raw - raw != 0:
        raise PydanticCustomError("scalar", "The number must be finite")
    return raw


_SCALAR_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
Scalar = Annotated[Any, BeforeValidator(_scalar), WithJsonSchema(_SCALAR_SCHEMA)]


def _amount(raw: Any) -> str | int:
    """Return a change as it is kept: a share of the previous value as text with %, or an amount."""
    if isinstance(raw, str) and raw.strip().endswith("%"):
        found = _SHARE.fullmatch(raw.strip())
        if found is None or not 0 < Decimal(found[1]) <= LARGEST_SHARE:
            raise PydanticCustomError("change", "A share is a positive number with %, such as 20%")
        return f"{found[1]}%"
    try:
        number = Decimal(str(_number(raw)))
    except ArithmeticError as error:
        raise PydanticCustomError("change", "Give an amount, or a share of the previous value such as 20%") from error
    if not number.is_finite() or not 0 < number < Decimal(10) ** 23:
        raise PydanticCustomError("change", "A change is positive")
    return printed(number)


Amount = Annotated[
    str | int,
    BeforeValidator(_amount),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number"}, {"type": "string"}],
            "description": "A share of the previous value as text with %, such as `20%`, or an amount. From a previous value of 0 "
            "every share is exceeded",
        }
    ),
]


def _ordered(bounds: tuple[Decimal, Decimal]) -> tuple[Decimal, Decimal]:
    if bounds[0] > bounds[1]:
        raise PydanticCustomError("bounds", "The first bound is greater than the second")
    return bounds


Bounds = Annotated[tuple[Number, Number], AfterValidator(_ordered)]


def _age(text: str) -> str:
    found = _AGE.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise PydanticCustomError("age", "An age is a count of minutes, hours, days or weeks, such as 2 days")
    return text


# --- What is watched ---


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _left_out(value: Any) -> bool:
    return value is None


class _OfRows(_Part):
    where: Filter | None = Field(
        default=None, exclude_if=_left_out, description="Which rows of the result count, by its columns; left out: all"
    )

    @field_validator("where", mode="before")
    @classmethod
    def _where_is_bounded(cls, raw: Any) -> Any:
        return check_size(raw)


class OfSummary(_Part):
    """One figure of the summary."""

    summary: str = Field(
        min_length=1,
        max_length=200,
        description="Its name; within an object of the summary after a dot: `totals.orders`",
        examples=["totals.orders"],
    )


class OfCount(_OfRows):
    """How many rows there are."""

    rows: Literal["count"]


class OfColumn(_OfRows):
    """One figure of all rows."""

    column: ColumnName = Field(description="A column of the result")
    take: Take = Field(
        description="How its cells become one figure. Empty ones do not count, but for first and last; the sum of none is 0"
    )


class OfEach(_OfRows):
    """A column of every row: each row is judged for itself, and is known again by its key columns."""

    column: ColumnName = Field(description="A column of the result")
    each: tuple[ColumnName, ...] = Field(
        min_length=1,
        max_length=MOST_KEY_COLUMNS,
        description="The columns that tell the rows apart, such as `customer_id`",
    )

    @field_validator("each")
    @classmethod
    def _each_is_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if len(set(names)) < len(names):
            raise PydanticCustomError("each", "A column is named twice")
        return names


# Not words that are members as well: a pointer to what is wrong with a member would lead to another.
_FORMS = {"summary": "of a summary", "rows": "of a count", "take": "of a column", "each": "of each row"}


def _form(raw: Any) -> str | None:
    names = raw if isinstance(raw, Mapping) else type(raw).model_fields if isinstance(raw, _Part) else ()
    return next((form for name, form in _FORMS.items() if name in names), None)


Of = Annotated[
    Annotated[OfSummary, Tag(_FORMS["summary"])]
    | Annotated[OfCount, Tag(_FORMS["rows"])]
    | Annotated[OfColumn, Tag(_FORMS["take"])]
    | Annotated[OfEach, Tag(_FORMS["each"])],
    Discriminator(
        _form,
        custom_error_type="of_form",
        custom_error_message="Give summary; or rows; or column with take; or column with each",
    ),
]


# --- When it is told ---


class _OneOf(_Part):
    @model_validator(mode="after")
    def _says_one_thing(self) -> Self:
        if len(self.model_fields_set) != 1 or getattr(self, self.name) is None:
            raise PydanticCustomError(
                "one_condition", "Give exactly one of {names}", {"names": ", ".join(type(self).model_fields)}
            )
        return self

    @property
    def name(self) -> str:
        return next(iter(self.model_fields_set))

    @property
    def value(self) -> Any:
        return getattr(self, self.name)


def _member(description: str) -> Any:
    return Field(default=None, exclude_if=_left_out, description=description)


class Threshold(_OneOf):
    """A bound that the figure is on one side of. Give exactly one."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    above: Number | None = _member("Greater than this")
    at_least: Number | None = _member("This or greater")
    below: Number | None = _member("Less than this")
    at_most: Number | None = _member("This or less")
    outside: Bounds | None = _member("Less than the first or greater than the second")
    inside: Bounds | None = _member("From the first to the second, both included")
    equals: Scalar | None = _member("Exactly this, be it a number, a text or a truth")
    differs_from: Scalar | None = _member("Anything but this")


class Condition(Threshold):
    """What makes an alert fire. Give exactly one."""

    rises_by: Amount | None = _member("Greater than in the previous run by this or more")
    falls_by: Amount | None = _member("Less than in the previous run by this or more")
    changes_by: Amount | None = _member("Greater or less than in the previous run by this or more")
    missing: Literal[True] | None = _member(
        "There is no such row or value, or there is no report, because it failed or could not be asked for"
    )
    older_than: Annotated[str, AfterValidator(_age)] | None = _member(
        "The date or time lies further before the slot than this: `36 hours`, `2 days`"
    )

    @property
    def kind(self) -> Kind:
        if self.name in {"rises_by", "falls_by", "changes_by"}:
            return Kind.CHANGE
        return {"missing": Kind.MISSING, "older_than": Kind.AGE}.get(self.name, Kind.THRESHOLD)


Runs = Annotated[int, Field(strict=True, ge=1, le=MOST_RUNS)]
_EXAMPLE: dict[str, Any] = {
    "name": "A country collapses",
    "of": {"column": "net", "each": ["country"]},
    "when": {"below": 1000},
    "recovers": {"above": 1200},
}


class Alert(_Part):
    """A figure of a schedule's reports that somebody wants to be told of when it crosses a line, and when it is back."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    name: Annotated[str, StringConstraints(min_length=1, max_length=LONGEST_NAME, pattern=r"^[^\x00-\x1f\x7f]*$")] = (
        Field(description="What people call it; each alert of a schedule has its own")
    )
    of: Of = Field(default=OfCount(rows="count"), description="What is watched; left out: how many rows there are")
    when: Condition
    recovers: Threshold | None = Field(
        default=None,
        exclude_if=_left_out,
        description="What it takes to recover once it has fired, so that a figure close to the line is not told of again and "
        "again; of thresholds only. Left out: as soon as `when` does not hold any more",
    )
    after: Runs = Field(default=1, description="So many runs in a row must show it before it fires")
    recovers_after: Runs = Field(default=1, description="So many runs in a row must show that it is over")

    @field_validator("recovers")
    @classmethod
    def _recovery_is_another_state(cls, recovers: Threshold | None, info: ValidationInfo) -> Threshold | None:
        when = info.data.get("when")
        if recovers is None or when is None:
            return recovers
        if when.kind is not Kind.THRESHOLD:
            raise PydanticCustomError("recovers", "Only thresholds have `recovers`")
        if thresholds.overlap(when.name, when.value, recovers.name, recovers.value):
            raise PydanticCustomError("recovers", "`recovers` must not hold where `when` does")
        return recovers

    @property
    def is_of_each(self) -> bool:
        return isinstance(self.of, OfEach)

    def as_json(self) -> dict[str, Any]:
        """Return it as it is kept: canonical, so that two that say the same are equal."""
        return self.model_dump(mode="json")


def share(amount: str | int) -> Decimal | None:
    """Return a change as a share of 1; None: it is an amount."""
    text = str(amount)
    return Decimal(text[:-1]) / 100 if text.endswith("%") else None


def age(text: str) -> timedelta:
    """Return how long `older_than` is."""
    found = _AGE.fullmatch(text)
    if found is None:
        raise ValueError(text)
    return timedelta(**{f"{found[2]}s": int(found[1])})


def repeated_names(declared: tuple[Alert, ...] | list[Alert]) -> Iterator[int]:
    """Yield the places of alerts whose name an earlier one has."""
    seen: set[str] = set()
    for place, alert in enumerate(declared):
        if alert.name in seen:
            yield place
        seen.add(alert.name)
