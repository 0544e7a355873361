"""Further columns whose type in the table is too narrow for a file: the column becomes wider, and the table is written anew.

Nobody promised what a further column holds, so a row is not rejected for it. A whole number may become a decimal, a day a
moment, and anything text. Canonical columns never change their type: there a value that does not fit rejects its row.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analytics import result
from analytics.datasets import cleaning, dates, merging, numbers, profiling, schemas, spellings, wording

KINDS = schemas.ColumnKind
TEXT = profiling.ColumnType(KINDS.TEXT)
# Wide enough for every whole number of a column before: nineteen digits, and four behind the point.
WIDE_DECIMAL = profiling.ColumnType(KINDS.DECIMAL, 23, 4)
# A leading zero is lost in a number, and with it what a postcode or an article number is.
LEADING_ZERO = r"[+-]?0[0-9].*"


@dataclass(frozen=True, slots=True)
class Widening:
    """A column that becomes wider: the type before and after, and how many values of the file do not fit the one before."""

    column: str
    before: profiling.ColumnType
    after: profiling.ColumnType
    misfits: int
    example: str

    @property
    def warning(self) -> result.ResultWarning:
        return result.ResultWarning(
            "column-widened",
            f"The column {self.column} was {self.before.kind} and is {self.after.kind} from now on: {self.misfits:,} "
            f"{'value' if self.misfits == 1 else 'values'} of the file, such as {spellings.shown(self.example)}, did not fit. "
            "Its values so far were kept.",
        )


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table whose columns take the values of a file.

    Attributes:
        types: the columns of its next version.
        files: its files; where columns became wider, local ones that take the place of `replaced`.
    """

    types: Mapping[str, profiling.ColumnType]
    files: tuple[str, ...]
    replaced: tuple[str, ...] = ()
    warnings: tuple[result.ResultWarning, ...] = ()

    def exchanged(self, merged: merging.Merge) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """The files that join the table and those that leave it, after a merge with `files`."""
        if not self.replaced:
            return merged.added, merged.removed
        kept = (Path(file) for file in self.files if file not in merged.removed)
        return (*kept, *merged.added), self.replaced


def fit(  # noqa: PLR0913 - a file, a table and a place
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    *,
    relation: str,
    before: Fitted,
    stored: Mapping[str, profiling.ColumnType],
    folder: Path,
) -> Fitted:
    """Make the further columns that the table has, `stored`, as wide as the text of the file in `relation` needs them.

    Where one has to grow, the table is written anew into `folder`.
    """
    wider = {widening.column: widening for widening in _find_all(connection, reading, relation, stored)}
    if not wider:
        return before
    zone = reading.options.timezone or "UTC"
    files = _rewrite(connection, before.files, cells=_cells(stored, wider, zone), folder=folder)
    types = {**before.types, **{name: widening.after for name, widening in wider.items()}}
    return Fitted(types, files, before.files, tuple(widening.warning for widening in wider.values()))


def _cells(stored: Iterable[str], wider: Mapping[str, Widening], zone: str) -> str:
    """SQL of all columns that the table has; a day that becomes a moment begins in the zone."""
    cells = {name: wording.quote_name(name) for name in stored}
    cells |= {name: _wider_sql(cells[name], widening, zone) for name, widening in wider.items()}
    return ", ".join(f"{cell} AS {wording.quote_name(name)}" for name, cell in cells.items())


def _rewrite(
    connection: duckdb.DuckDBPyConnection, files: Sequence[str], *, cells: str, folder: Path
) -> tuple[str, ...]:
    if not files:
        return ()
    names = ", ".join(map(wording.quote_text, files))
    target = folder / "widened"
    target.mkdir(parents=True)
    connection.execute(
        f"COPY (SELECT {cells} FROM read_parquet([{names}], union_by_name = true)) "  # noqa: S608 - names and addresses are quoted
        f"TO {wording.quote_text(str(target))} ({merging.PARQUET}, FILE_SIZE_BYTES {merging.FILE_BYTES})"
    )
    return tuple(str(path) for path in sorted(target.glob("*.parquet")))


def _find_all(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    relation: str,
    stored: Mapping[str, profiling.ColumnType],
) -> Iterator[Widening]:
    for profile in reading.profiles:
        before = stored.get(profile.name)
        if before is None or before.kind is KINDS.TEXT or reading.schema.column(profile.name) is not None:
            continue
        if _fits_by_count(profile, before, _sign(reading, profile)):
            continue
        after = _narrowest(connection, reading, profile, before, relation)
        if after != before:
            misfits, example = _misfits(connection, reading, profile, before, relation)
            yield Widening(profile.name, before, after, misfits, example)


def _sign(reading: cleaning.Reading, profile: profiling.ColumnProfile) -> str:
    """The decimal sign of a column; numbers that the format itself calls so have a point."""
    return "." if profile.exact else reading.sign


def _fits_by_count(profile: profiling.ColumnProfile, column: profiling.ColumnType, sign: str) -> bool:
    """Whether the counts say already that all values fit, which spares a look at them."""
    fitting = {
        KINDS.INT: profile.ints,
        KINDS.DECIMAL: profile.decimals if sign == "." else profile.commas,
        KINDS.DATE: profile.iso_date,
        KINDS.TIMESTAMP: profile.iso_date + profile.iso_naive + profile.iso_zoned,
        KINDS.BOOL: profile.bools,
    }
    return fitting[column.kind] == profile.count


def _narrowest(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    profile: profiling.ColumnProfile,
    before: profiling.ColumnType,
    relation: str,
) -> profiling.ColumnType:
    """The first type, from the one before on, that takes all values."""
    wider = {KINDS.INT: (before, WIDE_DECIMAL), KINDS.DATE: (before, profiling.ColumnType(KINDS.TIMESTAMP))}
    for candidate in wider.get(before.kind, (before,)):
        misfits, _ = _misfits(connection, reading, profile, candidate, relation)
        if not misfits:
            return candidate
    return TEXT


def _misfits(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    profile: profiling.ColumnProfile,
    column: profiling.ColumnType,
    relation: str,
) -> tuple[int, str]:
    """How many values do not fit a type, and the first of them in order."""
    values = reading.values_sql(profile.name, relation)
    misfit = _misfit_sql(column, _sign(reading, profile))
    row = connection.execute(
        f"SELECT coalesce(sum(n), 0), min(value) FROM ({values}) WHERE {misfit}"  # noqa: S608 - names and texts are quoted
    ).fetchone()
    return (int(row[0]), str(row[1])) if row else (0, "")


def _misfit_sql(column: profiling.ColumnType, sign: str) -> str:
    loses = f"regexp_full_match(value, '{LEADING_ZERO}') AND regexp_full_match(value, '[+-]?[0-9]+')"
    match column.kind:
        case KINDS.INT:
            typed, _ = numbers.int_sql("value", sign)
            return f"({typed}) IS NULL OR ({loses})"
        case KINDS.DECIMAL:
            typed, _ = numbers.decimal_sql("value", sign, precision=column.precision, scale=column.scale)
            return f"({typed}) IS NULL OR ({loses})"
        case KINDS.DATE:
            return f"NOT regexp_full_match(value, '{dates.ISO_DATE}') OR TRY_CAST(value AS DATE) IS NULL"
        case KINDS.TIMESTAMP:
            shapes = f"{dates.ISO_DATE}|{dates.ISO_NAIVE}|{dates.ISO_ZONED}"
            return f"NOT regexp_full_match(value, '{shapes}') OR TRY_CAST(value AS TIMESTAMPTZ) IS NULL"
        case KINDS.BOOL:
            return "lower(value) NOT IN ('true', 'false')"
        case KINDS.TEXT:
            return "false"


def _wider_sql(value: str, widening: Widening, zone: str) -> str:
    """SQL of a value of the table in the wider type; as text it is what somebody would have written."""
    if widening.after.kind is not KINDS.TEXT:
        if widening.before.kind is KINDS.DATE:
            return f"timezone({wording.quote_text(zone)}, CAST({value} AS TIMESTAMP))"
        return f"CAST({value} AS {cleaning.sql_type(widening.after)})"
    match widening.before.kind:
        case KINDS.DECIMAL:
            return f"regexp_replace(CAST({value} AS VARCHAR), '\\.?0+$', '')"
        case KINDS.TIMESTAMP:
            moment = f"timezone('UTC', {value})"
            whole, fine = (f"strftime({moment}, '%Y-%m-%dT%H:%M:%S{fraction}Z')" for fraction in ("", ".%f"))
            return f"CASE WHEN date_trunc('second', {moment}) = {moment} THEN {whole} ELSE {fine} END"
        case _:
            return f"CAST({value} AS VARCHAR)"
