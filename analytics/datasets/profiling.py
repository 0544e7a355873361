"""What the columns of a staged file look like, from all their values: the ground on which they are typed and read."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import duckdb
import pyarrow as pa

from analytics.datasets import batches, dates, headers, numbers, probe, reading, schemas, wording

SAMPLE_ROWS = 2000
COLUMNS_AT_ONCE = 16
INT_SHAPE = "0|-?[1-9][0-9]{0,17}"
ISO_SORTS = ("iso_date", "iso_naive", "iso_zoned")
COMMA_SHAPE = r"-?(0|[1-9][0-9]{0,13})(,[0-9]{1,4})?"
DECIMAL_SHAPE = r"-?(0|[1-9][0-9]{0,13})(\.[0-9]{1,4})?"


class TextRows(Protocol):
    """Rows as text: SQL for them, and the columns with values that have white space around them or exceed ASCII."""

    @property
    def relation(self) -> str: ...

    @property
    def padded(self) -> frozenset[str]: ...

    @property
    def wide(self) -> frozenset[str]: ...


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows of a file; see `TextRows`."""

    relation: str
    padded: frozenset[str]
    wide: frozenset[str]


@dataclass(frozen=True, slots=True)
class ColumnType:
    """The type a column has, or is to have, in the table."""

    kind: schemas.ColumnKind
    precision: int = schemas.MONEY[0]
    scale: int = schemas.MONEY[1]


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """Counts of the shapes of one column's values.

    Attributes:
        value: SQL of a cell's cleaned text.
        wide: whether values have characters outside ASCII.
        count: values that are not null; the other counts are of those.
        simple: numbers that can be cast as they are to the column's type (MONEY, for a further column);
            `clear`: those of them that cannot be read otherwise, counted for canonical columns that begin with such.
        pointed: values with a point; `ambiguous`: those whose point may separate thousands.
        iso_date, iso_naive, iso_zoned: dates, times without and times with a zone, in ISO 8601;
            `iso_plain`: those with a zone that can be cast as they are, counted like `clear`.
        ints, decimals, bools: of a further column, values with nothing to lose by that type.
        certain: of those counted as pointed, how many are in rows that were typed as they were read.
        commas: of a further column, decimals with a comma; counted where that is the file's decimal sign.
        exact: how many are numbers by the file's own word, whose sign is the point; all, or it is not said.
    """

    name: str
    header: str
    value: str
    wide: bool
    count: int
    simple: int = 0
    clear: int = 0
    pointed: int = 0
    ambiguous: int = 0
    iso_date: int = 0
    iso_naive: int = 0
    iso_zoned: int = 0
    iso_plain: int = 0
    ints: int = 0
    decimals: int = 0
    bools: int = 0
    certain: int = 0
    exact: int = 0
    commas: int = 0

    @property
    def numbers(self) -> numbers.NumberProfile:
        return numbers.NumberProfile(self.simple == self.count, self.pointed, self.ambiguous, self.certain)

    @property
    def is_iso(self) -> bool:
        return self.iso_date + self.iso_naive + self.iso_zoned == self.count

    @property
    def iso_plan(self) -> dates.DatePlan:
        plain = 0 < self.count == self.iso_plain
        return dates.DatePlan(naive=self.iso_date + self.iso_naive > 0, zoned=self.iso_zoned > 0, plain=plain)

    def probe(self, connection: duckdb.DuckDBPyConnection, relation: str) -> probe.Probe:
        return probe.Probe(connection, relation, self.value, self.header)


def profile_columns(
    connection: duckdb.DuckDBPyConnection,
    text: TextRows,
    *,
    mapping: headers.HeaderMapping,
    schema: schemas.DatasetSchema,
    null_values: Sequence[str],
) -> tuple[ColumnProfile, ...]:
    """Count over all values. The first rows only tell what to ask: where they mislead, all is asked after all."""
    names = [batches.text_column(position) for position in range(len(mapping.headers))]
    padded = _padded(connection, text)
    values = [
        wording.value_sql(
            names[position],
            padded=names[position] in padded,
            null_words=(*reading.NULL_WORDS, *null_values),
            keeps_na="country" in name,
        )
        for position, name in enumerate(mapping.names)
    ]
    columns = [schema.column(name) for name in mapping.names]
    counts = _count_all(connection, text, values, columns)
    return tuple(
        ColumnProfile(name, header, value, column in text.wide, **answers)
        for name, header, value, column, answers in zip(
            mapping.names, mapping.headers, values, names, counts, strict=True
        )
    )


def _count_all(
    connection: duckdb.DuckDBPyConnection,
    text: TextRows,
    values: Sequence[str],
    columns: Sequence[schemas.DatasetColumn | None],
) -> list[dict[str, int]]:
    """The counts of each column, by the attribute of `ColumnProfile`."""
    all_questions = [_questions(column) for column in columns]
    sample = _count(connection, f"(SELECT * FROM {text.relation} LIMIT {SAMPLE_ROWS})", values, all_questions)  # noqa: S608 - a name of ours
    questions = [
        _open_questions(column, asked, seen) for column, asked, seen in zip(columns, all_questions, sample, strict=True)
    ]
    counts = _count(connection, text.relation, values, questions)
    misled = [position for position, answers in enumerate(counts) if not _complete(answers)]
    if misled:
        asked_again = [all_questions[position] for position in misled]
        again = _count(connection, text.relation, [values[position] for position in misled], asked_again)
        for position, answers in zip(misled, again, strict=True):
            counts[position] = answers
    return counts


def _count(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    values: Sequence[str],
    questions: Sequence[Mapping[str, str]],
) -> list[dict[str, int]]:
    """The answers to each column's questions, of a few columns at a time: every expression of a query takes memory."""
    answers: list[dict[str, int]] = []
    for start in range(0, len(values), COLUMNS_AT_ONCE):
        some = slice(start, start + COLUMNS_AT_ONCE)
        answers += _count_some(connection, relation, values[some], questions[some])
    return answers


def _count_some(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    values: Sequence[str],
    questions: Sequence[Mapping[str, str]],
) -> list[dict[str, int]]:
    select = ", ".join(
        aggregate.replace("{v}", f"v{position}")
        for position, asked in enumerate(questions)
        for aggregate in asked.values()
    )
    inner = ", ".join(f"{value} AS v{position}" for position, value in enumerate(values))
    answers = connection.execute(f"SELECT {select} FROM (SELECT {inner} FROM {relation})").fetchone() or ()  # noqa: S608 - no caller's text is in it unquoted
    rest = iter(answers)
    return [{question: int(next(rest) or 0) for question in asked} for asked in questions]


def _open_questions(
    column: schemas.DatasetColumn | None, asked: Mapping[str, str], seen: Mapping[str, int]
) -> dict[str, str]:
    """The questions that the first rows leave open.

    A type that does not fit some of a further column's values does not fit all of them. A canonical column whose first
    values are all of one sort is asked for that sort; `_complete` sees whether others follow.
    """
    count = seen["count"]
    is_iso = ISO_SORTS[0] in asked and sum(seen[sort] for sort in ISO_SORTS) == count
    if column is None:
        closed = {question for question in ("ints", "decimals", "bools") if seen[question] < count}
        closed |= set() if is_iso else set(ISO_SORTS)
        closed |= set() if {"ints", "decimals"} - closed else {"simple", "pointed", "ambiguous"}
    elif count and seen.get("clear") == count:
        closed = {"simple", "ambiguous"}
    elif count and seen.get("iso_plain") == count:
        closed = set(ISO_SORTS)
    else:
        closed = {"clear", "iso_plain"}
        closed |= {sort for sort in ISO_SORTS if not seen[sort]} if is_iso and count else set()
    return {question: aggregate for question, aggregate in asked.items() if question not in closed}


def _complete(answers: dict[str, int]) -> bool:
    """Add what follows where one sort of value was asked for and all are of it. Whether nothing else has to be asked."""
    count = answers["count"]
    if "clear" in answers and "simple" not in answers:
        answers |= {"simple": answers["clear"], "ambiguous": 0}
        return answers["clear"] == count
    if "iso_plain" in answers and "iso_zoned" not in answers:
        answers |= {"iso_zoned": answers["iso_plain"]}
        return answers["iso_plain"] == count
    sorts = [answers[sort] for sort in ISO_SORTS if sort in answers]
    return len(sorts) in (0, len(ISO_SORTS)) or sum(sorts) == count


def _padded(connection: duckdb.DuckDBPyConnection, text: TextRows) -> frozenset[str]:
    """The columns that have values with white space around them; of white space outside ASCII nobody has asked yet."""
    unclear = sorted(text.wide - text.padded)
    if not unclear:
        return text.padded
    spaces = wording.quote_text(wording.WHITESPACE)
    select = ", ".join(f"bool_or({name} <> trim({name}, {spaces}))" for name in unclear)
    row = connection.execute(f"SELECT {select} FROM {text.relation}").fetchone() or ()  # noqa: S608 - names of ours
    return text.padded | {name for name, is_padded in zip(unclear, row, strict=True) if is_padded}


def _questions(column: schemas.DatasetColumn | None) -> dict[str, str]:
    """SQL aggregates by the attribute of `ColumnProfile` they answer; `{v}` stands for the value."""
    asked = {"count": "count({v})"}
    kind = column.kind if column else None
    if column is not None and kind in (schemas.ColumnKind.DECIMAL, schemas.ColumnKind.INT):
        scale = column.scale if kind is schemas.ColumnKind.DECIMAL else 0
        precision = column.precision if scale else numbers.DIGITS_OF_INT
        asked |= _number_questions(numbers.simple_shape(precision, scale))
        asked["clear"] = _matching(numbers.clear_shape(precision, scale))
    if column is None:
        asked |= _number_questions(DECIMAL_SHAPE)
        asked |= {"ints": _matching(INT_SHAPE), "decimals": _matching(DECIMAL_SHAPE)}
        asked |= {"bools": "count(*) FILTER (WHERE lower({v}) IN ('true', 'false'))"}
    if kind in (None, schemas.ColumnKind.TIMESTAMP, schemas.ColumnKind.DATE):
        # Nobody promised that a further column has dates, so 2011-02-30 or 9999-12-31 makes it text instead of rejecting the row.
        valid = f" AND {dates.near_sql('TRY_CAST({v} AS TIMESTAMPTZ)')}" if column is None else ""
        asked |= {
            "iso_date": _matching(dates.ISO_DATE, valid),
            "iso_naive": _matching(dates.ISO_NAIVE, valid),
            "iso_zoned": _matching(dates.ISO_ZONED, valid),
        }
        asked |= {"iso_plain": _matching(dates.ISO_PLAIN)} if column is not None else {}
    return asked


def _number_questions(simple: str) -> dict[str, str]:
    return {
        "simple": _matching(simple),
        "pointed": "count(*) FILTER (WHERE contains({v}, '.'))",
        "ambiguous": _matching(numbers.AMBIGUOUS),
    }


def _matching(shape: str, also: str = "") -> str:
    return f"count(*) FILTER (WHERE regexp_full_match({{v}}, {wording.quote_text(shape)}){also})"


def type_of(column: schemas.DatasetColumn) -> ColumnType:
    """The type of a canonical column."""
    return ColumnType(column.kind, column.precision, column.scale)


def arrow_type(column: ColumnType) -> pa.DataType:
    """The same type for Arrow."""
    kinds = schemas.ColumnKind
    return {
        kinds.TEXT: pa.string(),
        kinds.INT: pa.int64(),
        kinds.DECIMAL: pa.decimal128(column.precision, column.scale),
        kinds.TIMESTAMP: pa.timestamp("us", "UTC"),
        kinds.DATE: pa.date32(),
        kinds.BOOL: pa.bool_(),
    }[column.kind]


def count_commas(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    profiles: Sequence[ColumnProfile],
    *,
    schema: schemas.DatasetSchema,
) -> tuple[ColumnProfile, ...]:
    """Look at the further columns of a file whose decimal sign is the comma, which nobody knew when they were profiled."""
    further = [profile for profile in profiles if schema.column(profile.name) is None and profile.count]
    if not further:
        return tuple(profiles)
    answers = _count(
        connection,
        relation,
        [profile.value for profile in further],
        [{"commas": _matching(COMMA_SHAPE)}] * len(further),
    )
    counts = {profile.name: answer["commas"] for profile, answer in zip(further, answers, strict=True)}
    return tuple(dataclasses.replace(profile, commas=counts.get(profile.name, 0)) for profile in profiles)


def guess_type(profile: ColumnProfile, sign: str) -> ColumnType:
    """The type of a further column: what all its values are, text when in doubt."""
    kinds = schemas.ColumnKind
    fits = (
        (kinds.INT, profile.ints == profile.count),
        (kinds.DECIMAL, profile.decimals == profile.count and (sign == "." or profile.exact)),
        (kinds.DECIMAL, profile.commas == profile.count),
        (kinds.DATE, profile.iso_date == profile.count),
        (kinds.TIMESTAMP, profile.is_iso),
        (kinds.BOOL, profile.bools == profile.count),
    )
    return ColumnType(next((kind for kind, all_fit in fits if all_fit and profile.count), kinds.TEXT))
