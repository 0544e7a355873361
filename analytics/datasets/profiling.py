"""What the columns of a staged file look like, from all their values: the ground on which they are typed and read."""

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from analytics.datasets import batches, dates, headers, numbers, probe, reading, schemas, wording

INT_SHAPE = "0|-?[1-9][0-9]{0,17}"
DECIMAL_SHAPE = r"-?(0|[1-9][0-9]{0,13})(\.[0-9]{1,4})?"


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
        count: values that are not null; the other counts are of those.
        wide: whether there are characters outside ASCII.
        simple: numbers that can be cast as they are to the column's type (MONEY, for a further column).
        pointed: values with a point; `ambiguous`: those whose point may separate thousands.
        iso_date, iso_naive, iso_zoned: dates, times without and times with a zone, in ISO 8601.
        ints, decimals, bools: of a further column, values with nothing to lose by that type.
    """

    name: str
    header: str
    value: str
    count: int
    wide: bool
    simple: int = 0
    pointed: int = 0
    ambiguous: int = 0
    iso_date: int = 0
    iso_naive: int = 0
    iso_zoned: int = 0
    ints: int = 0
    decimals: int = 0
    bools: int = 0

    @property
    def numbers(self) -> numbers.NumberProfile:
        return numbers.NumberProfile(self.simple == self.count, self.pointed, self.ambiguous)

    @property
    def is_iso(self) -> bool:
        return self.iso_date + self.iso_naive + self.iso_zoned == self.count

    @property
    def iso_plan(self) -> dates.DatePlan:
        return dates.DatePlan(naive=self.iso_date + self.iso_naive > 0, zoned=self.iso_zoned > 0)

    def probe(self, connection: duckdb.DuckDBPyConnection, relation: str) -> probe.Probe:
        return probe.Probe(connection, relation, self.value, self.header)


def profile_columns(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    *,
    mapping: headers.HeaderMapping,
    schema: schemas.DatasetSchema,
    null_values: Sequence[str],
) -> tuple[ColumnProfile, ...]:
    """Read all values once or, where a column has white space around some, twice."""
    padded = _padded(connection, relation, len(mapping.headers))
    questions = []
    values = []
    for position, name in enumerate(mapping.names):
        values.append(
            wording.value_sql(
                batches.text_column(position),
                padded=padded[position],
                null_words=(*reading.NULL_WORDS, *null_values),
                keeps_na="country" in name,
            )
        )
        questions.append(_questions(schema.column(name)))
    select = ", ".join(
        f"{aggregate.replace('{v}', f'v{position}')}"
        for position, column in enumerate(questions)
        for aggregate in column.values()
    )
    inner = ", ".join(f"{value} AS v{position}" for position, value in enumerate(values))
    answers = connection.execute(f"SELECT {select} FROM (SELECT {inner} FROM {relation})").fetchone() or ()  # noqa: S608 - no caller's text is in it unquoted
    return _profiles(mapping, values, questions, answers)


def _profiles(
    mapping: headers.HeaderMapping,
    values: Sequence[str],
    questions: Sequence[dict[str, str]],
    answers: Sequence[int],
) -> tuple[ColumnProfile, ...]:
    rest = iter(answers)
    profiles = []
    for position, name in enumerate(mapping.names):
        counts = {question: next(rest) or 0 for question in questions[position]}
        wide = bool(counts.pop("wide"))
        profiles.append(ColumnProfile(name, mapping.headers[position], values[position], wide=wide, **counts))
    return tuple(profiles)


def _padded(connection: duckdb.DuckDBPyConnection, relation: str, columns: int) -> tuple[bool, ...]:
    spaces = wording.quote_text(wording.WHITESPACE)
    select = ", ".join(
        f"bool_or({name} <> trim({name}, {spaces}))" for name in map(batches.text_column, range(columns))
    )
    row = connection.execute(f"SELECT {select} FROM {relation}").fetchone() or ()  # noqa: S608 - names of ours
    return tuple(bool(value) for value in row)


def _questions(column: schemas.DatasetColumn | None) -> dict[str, str]:
    """SQL aggregates by the attribute of `ColumnProfile` they answer; `{v}` stands for the value."""
    asked = {"count": "count({v})", "wide": "bool_or(strlen({v}) <> length({v}))"}
    kind = column.kind if column else None
    if column is not None and kind in (schemas.ColumnKind.DECIMAL, schemas.ColumnKind.INT):
        scale = column.scale if kind is schemas.ColumnKind.DECIMAL else 0
        precision = column.precision if scale else numbers.DIGITS_OF_INT
        asked |= _number_questions(numbers.simple_shape(precision, scale))
    if column is None:
        asked |= _number_questions(DECIMAL_SHAPE)
        asked |= {"ints": _matching(INT_SHAPE), "decimals": _matching(DECIMAL_SHAPE)}
        asked |= {"bools": "count(*) FILTER (WHERE lower({v}) IN ('true', 'false'))"}
    if kind in (None, schemas.ColumnKind.TIMESTAMP, schemas.ColumnKind.DATE):
        # Nobody promised that a further column has dates, so 2011-02-30 makes it text instead of rejecting the row.
        valid = " AND TRY_CAST({v} AS TIMESTAMPTZ) IS NOT NULL" if column is None else ""
        asked |= {
            "iso_date": _matching(dates.ISO_DATE, valid),
            "iso_naive": _matching(dates.ISO_NAIVE, valid),
            "iso_zoned": _matching(dates.ISO_ZONED, valid),
        }
    return asked


def _number_questions(simple: str) -> dict[str, str]:
    return {
        "simple": _matching(simple),
        "pointed": "count(*) FILTER (WHERE contains({v}, '.'))",
        "ambiguous": _matching(numbers.AMBIGUOUS),
    }


def _matching(shape: str, also: str = "") -> str:
    return f"count(*) FILTER (WHERE regexp_full_match({{v}}, {wording.quote_text(shape)}){also})"


def guess_type(profile: ColumnProfile, sign: str) -> ColumnType:
    """The type of a further column: what all its values are, text when in doubt."""
    kinds = schemas.ColumnKind
    fits = (
        (kinds.INT, profile.ints == profile.count),
        (kinds.DECIMAL, profile.decimals == profile.count and sign == "."),
        (kinds.DATE, profile.iso_date == profile.count),
        (kinds.TIMESTAMP, profile.is_iso),
        (kinds.BOOL, profile.bools == profile.count),
    )
    return ColumnType(next((kind for kind, all_fit in fits if all_fit and profile.count), kinds.TEXT))
