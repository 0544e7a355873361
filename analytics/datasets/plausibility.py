"""What looks wrong about a file's rows without being wrong: dates far away, columns without values, rows that repeat."""

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from analytics import result
from analytics.datasets import batches, cleaning, schemas, wording

EARLIEST = dt.date(1970, 1, 1)
# What has happened cannot be later than now; a year is left for what is booked ahead.
MOST_DAYS_AHEAD = 366
# What is planned may be far ahead, but 9999-12-31 means something else.
MOST_DAYS_PLANNED = 20 * 366
PLANNED = frozenset({"ended_on", "expected_close_on"})


def find_far_dates(
    connection: duckdb.DuckDBPyConnection,
    schema: schemas.DatasetSchema,
    *,
    clean: str,
    today: dt.date,
    added: Sequence[Path],
) -> Iterator[result.ResultWarning]:
    """Warn of dates before 1970 and of dates ahead of the import's day.

    `added` are the files written for the rows: their statistics say at no cost that nothing has to be looked for.
    """
    for column in schema.columns:
        if column.kind not in (schemas.ColumnKind.DATE, schemas.ColumnKind.TIMESTAMP):
            continue
        days = MOST_DAYS_PLANNED if column.name in PLANNED else MOST_DAYS_AHEAD
        latest = min(today.toordinal() + days, dt.date.max.toordinal())
        latest_day = dt.date.fromordinal(latest)
        if _may_lie_outside(added, column.name, latest_day):
            yield from _far(connection, clean, column.name, latest_day)


def find_empty_columns(reading: cleaning.Reading) -> Iterator[result.ResultWarning]:
    """Warn of columns of the dataset that the file has, without any value."""
    headers: Mapping[str, str] = reading.mapping.canonical
    for profile in reading.profiles:
        if profile.count == 0 and profile.name in headers:
            yield result.ResultWarning(
                "empty-column", f"The column {headers[profile.name]!r} ({profile.name}) has no value in any row."
            )


def find_repeated_rows(
    connection: duckdb.DuckDBPyConnection, reading: cleaning.Reading, *, relation: str
) -> Iterator[result.ResultWarning]:
    """Warn of rows that are the same as one before, where only their place in the file gave each a key of its own."""
    derived = next((name for name in reading.schema.key if name not in reading.mapping.names), None)
    if derived is None:
        return
    cells = ", ".join(batches.text_column(position) for position in range(len(reading.mapping.headers)))
    row = connection.execute(f"SELECT count(*) - count(DISTINCT hash({cells})) FROM {relation}").fetchone()  # noqa: S608 - names of ours
    if row and row[0]:
        yield result.ResultWarning(
            "repeated-rows",
            f"{row[0]:,} {'row is' if row[0] == 1 else 'rows are'} the same in every column as one before. The file has no "
            f"column for {derived}, so each was numbered by its place and kept.",
        )


def _may_lie_outside(files: Sequence[Path], column: str, latest: dt.date) -> bool:
    for file in files:
        metadata = pq.read_metadata(file)
        position = metadata.schema.to_arrow_schema().get_field_index(column)
        for group in range(metadata.num_row_groups):
            statistics = metadata.row_group(group).column(position).statistics
            if statistics is None or not statistics.has_min_max:
                if statistics is None or statistics.null_count != metadata.row_group(group).num_rows:
                    return True
            elif not _lies_within(statistics, latest):
                return True
    return False


def _lies_within(statistics: pq.Statistics, latest: dt.date) -> bool:
    try:
        first, last = _day(statistics.min), _day(statistics.max)
    except (OverflowError, ValueError):
        # Rows of older versions may have dates that Python has not.
        return False
    return first >= EARLIEST and last <= latest


def _day(value: dt.date | dt.datetime) -> dt.date:
    return value.date() if isinstance(value, dt.datetime) else value


def _far(
    connection: duckdb.DuckDBPyConnection, clean: str, column: str, latest: dt.date
) -> Iterator[result.ResultWarning]:
    name = wording.quote_name(column)
    rows = connection.execute(
        f"SELECT {name} < $earliest AS early, count(*), CAST(min(CAST({name} AS DATE)) AS VARCHAR), "  # noqa: S608 - names are quoted
        f"CAST(max(CAST({name} AS DATE)) AS VARCHAR) FROM ({clean}) WHERE {cleaning.BAD} IS NULL "
        f"AND ({name} < $earliest OR {name} >= $latest) GROUP BY early ORDER BY early DESC",
        {"earliest": EARLIEST, "latest": latest + dt.timedelta(days=1)},
    ).fetchall()
    for early, count, first, last in rows:
        far = f"before {EARLIEST}, as early as {first}" if early else f"after {latest}, as late as {last}"
        yield result.ResultWarning(
            "far-dates", f"{count:,} {'row has' if count == 1 else 'rows have'} {column} {far}. They were kept."
        )
