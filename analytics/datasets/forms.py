"""The plain forms of values: a block's values are typed at once where all are plain, one by one in SQL where some are not.

The SQL is made of the expressions that clean staged text, so that a value is the same whichever way it went.
"""

import datetime as dt
import enum
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import dates, letters, numbers, profiling, schemas, wording

ENGINE_MEMORY = "128MB"
NAIVE = pa.timestamp("us")
UTC = pa.timestamp("us", "UTC")
# The same days as those of `dates.near_sql`.
FIRST_NEAR, LAST_NEAR = dt.date(dates.FIRST_YEAR, 1, 2), dt.date(dates.LAST_YEAR, 12, 31)


class Screen(enum.Enum):
    """What is to be seen at once of all the characters of a block's values."""

    NONE = enum.auto()
    TEXT = enum.auto()
    NUMBER = enum.auto()
    FURTHER_NUMBER = (
        enum.auto()
    )  # of a further column: nothing of what was written may be lost, such as a zero in front
    TIME = enum.auto()


@dataclass(frozen=True, slots=True)
class Form:
    """How the plain values of a column are written.

    Attributes:
        value: SQL of the cleaned text of a cell `v`; `typed`: of its value, null where it is not plain.
        parsed: what the text is cast to first, if that is not the type.
        avoided: first and last of characters that the text has not, as it is; `na`: whether NA is a value of it.
        choices: the texts there are, where they are few.
    """

    screen: Screen
    type: pa.DataType
    value: str
    typed: str
    parsed: pa.DataType | None = None
    avoided: tuple[str, str] | None = None
    na: bool = False
    choices: tuple[str, ...] = ()

    def convert(self, text: pa.StringArray, engine: "Engine") -> tuple[pa.Array, pa.BooleanArray | None]:
        """The values, and which are there and not plain; None where all are plain."""
        quick = self._at_once(text)
        if quick is not None:
            return quick, None
        typed, value = engine.ask(text, self.typed, self.value)
        odd = pc.and_(pc.is_valid(value), pc.is_null(typed))
        return typed.cast(self.type), odd if odd.true_count else None

    def _at_once(self, text: pa.StringArray) -> pa.Array | None:
        seen = letters.of(text)
        try:
            match self.screen:
                case Screen.TEXT:
                    return text if self._is_clean(text, seen) else None
                case Screen.NUMBER | Screen.FURTHER_NUMBER:
                    return pc.cast(text, self.type) if self._are_numbers(seen) else None
                case Screen.TIME:
                    times = pc.cast(text, self.parsed or self.type) if seen.all_have_minutes() else None
                    return times.cast(self.type) if times is not None and _are_near(times) else None
                case Screen.NONE:
                    return None
        except pa.ArrowInvalid:
            return None

    def _is_clean(self, text: pa.StringArray, seen: letters.Letters) -> bool:
        if self.choices:
            return bool(pc.all(pc.is_in(text, pa.array([*self.choices, None]))).as_py() is not False)
        if any(seen.edges()) or (not self.na and seen.any_is(wording.NOT_APPLICABLE)):
            return False
        return self.avoided is None or not seen.any_between(*self.avoided)

    def _are_numbers(self, seen: letters.Letters) -> bool:
        point = pa.types.is_decimal(self.type)
        if not seen.may_be_numbers(point=point):
            return False
        if self.screen is Screen.FURTHER_NUMBER:
            return not seen.any_leading_zero()
        return not (point and seen.any_thousandths())


class Engine:
    """A small DuckDB of one thread, opened when it is first needed."""

    def __init__(self) -> None:
        self._connection: duckdb.DuckDBPyConnection | None = None

    def ask(self, values: pa.Array, *expressions: str) -> Sequence[pa.Array]:
        """The expressions of each value `v`, in order."""
        if self._connection is None:
            self._connection = duckdb.connect(":memory:", config={"threads": 1, "memory_limit": ENGINE_MEMORY})
            self._connection.execute("SET TimeZone = 'UTC'")
        select = ", ".join(f"{sql} AS x{number}" for number, sql in enumerate(expressions))
        self._connection.register("block", pa.table({"v": values}))
        found = self._connection.sql(f"SELECT {select} FROM block").to_arrow_table()  # noqa: S608 - our own words
        return [column.combine_chunks() for column in found.columns]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()


def of_text(value: str, column: str, choices: Sequence[str], *, na: bool) -> Form:
    """The form of a text column, whose every value is plain but words that mean none of its choices."""
    if choices:
        return Form(Screen.TEXT, pa.string(), value, wording.choice_sql(value, column, choices), choices=tuple(choices))
    if column == "phone":
        return Form(Screen.NONE, pa.string(), value, wording.phone_sql(value))
    avoided = {"email": ("A", "Z"), "currency": ("a", "z")}.get(column)
    typed = wording.text_sql(value, column=column, wide=True)
    return Form(Screen.TEXT, pa.string(), value, typed, avoided=avoided, na=na)


def of_number(value: str, type_: profiling.ColumnType, *, further: bool) -> Form:
    is_int = type_.kind is schemas.ColumnKind.INT
    if further:
        shape = profiling.INT_SHAPE if is_int else profiling.DECIMAL_SHAPE
    else:
        scale = 0 if is_int else type_.scale
        shape = numbers.clear_shape(numbers.DIGITS_OF_INT if is_int else type_.precision, scale)
    sql = "BIGINT" if is_int else f"DECIMAL({type_.precision}, {type_.scale})"
    return Form(
        Screen.FURTHER_NUMBER if further else Screen.NUMBER,
        pa.int64() if is_int else pa.decimal128(type_.precision, type_.scale),
        value,
        _where_shaped(value, shape, f"CAST({value} AS {sql})"),
    )


def _are_near(times: pa.Array) -> bool:
    """Whether all lie inside of the years that are stored, in whichever zone; compared as numbers, for Python has not all."""
    first, last = (pa.scalar(day, pa.date32()).cast(times.type).value for day in (FIRST_NEAR, LAST_NEAR))
    least, most = pc.min_max(times).values()
    return not least.is_valid or bool(first <= least.value and most.value < last)


def of_time(value: str, *, zoned: bool, zone: str) -> Form:
    """Times in ISO 8601, with a zone or without; those without keep the clock they were written by, if it is not UTC's."""
    if zoned:
        return Form(Screen.TIME, UTC, value, _time_where_shaped(value, dates.ISO_PLAIN, "TIMESTAMPTZ"))
    shape = f"{dates.ISO_DATE}|{dates.ISO_NAIVE}"
    naive = _time_where_shaped(value, shape, "TIMESTAMP")
    return Form(Screen.TIME, UTC if zone == "UTC" else NAIVE, value, naive, parsed=NAIVE)


def of_date(value: str) -> Form:
    return Form(Screen.TIME, pa.date32(), value, _time_where_shaped(value, dates.ISO_DATE, "DATE"))


def of_bool(value: str) -> Form:
    typed = f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    return Form(Screen.NONE, pa.bool_(), value, typed)


def _time_where_shaped(value: str, shape: str, sql_type: str) -> str:
    typed = f"TRY_CAST({value} AS {sql_type})"
    return _where_shaped(value, shape, f"CASE WHEN {dates.near_sql(typed)} THEN {typed} END")


def _where_shaped(value: str, shape: str, typed: str) -> str:
    return f"CASE WHEN regexp_full_match({value}, {wording.quote_text(shape)}) THEN {typed} END"
