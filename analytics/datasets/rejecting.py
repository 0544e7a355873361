"""The rows that were not taken: written down so that they can be mended, and too many of them refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from analytics import errors
from analytics.datasets import batches, cleaning, footers, merging, repeated_headers, staging, wording

SAMPLES = 20
# Columns of keys that are made of a row's position among others of its file, where the file lacks them.
POSITIONED = {"orders": "order_id", "order_lines": "line_no"}


@dataclass(frozen=True, slots=True)
class Rejects:
    """A Parquet file of rejected rows and how many there are, by code."""

    path: Path
    count: int
    by_code: Mapping[str, int]


def write(
    connection: duckdb.DuckDBPyConnection,
    text: staging.StagedText,
    *,
    faults: Sequence[cleaning.Fault],
    reading: cleaning.Reading,
    folder: Path,
) -> Rejects:
    """Rejects of the rows that `faulty` names, and those that never got so far, ordered by line.

    The column is named as the file names it; a column that the file lacks, as we do.
    """
    mapping = reading.mapping
    named = dict(zip(mapping.names, mapping.headers, strict=True))
    columns = _case(wording.quote_text(named.get(fault.column, fault.column)) for fault in faults)
    codes = _case(fault.code for fault in faults)
    values = _case(fault.value for fault in faults)
    path = folder / "rejects.parquet"
    connection.execute(
        f'COPY (SELECT t.{batches.LINE} AS line, {columns} AS "column", {codes} AS code, {values} AS value, '  # noqa: S608 - names and texts are quoted
        f"{_record_sql(reading)} AS row FROM {text.relation} AS t "
        f"JOIN {merging.FAULTY} AS b ON b.{batches.LINE} = t.{batches.LINE} "
        f"UNION ALL {_misshapen_sql(reading, text.misshapen)} ORDER BY line) "
        f"TO {wording.quote_text(str(path))} (FORMAT parquet)"
    )
    counted = connection.execute(
        f"SELECT code, count(*) FROM read_parquet({wording.quote_text(str(path))}) GROUP BY code ORDER BY 2 DESC, 1"  # noqa: S608 - quoted
    ).fetchall()
    by_code = {str(code): int(count) for code, count in counted}
    return Rejects(path, sum(by_code.values()), by_code)


def refuse_too_many(rejects: Rejects, *, read: int, share: float) -> None:
    """Stop an import of which more than the share is bad.

    Raises:
        errors.Refusal: `too-many-rejects`, with counts by code and the first samples.
    """
    # What is written below a table, and its headers, were never rows of it, however few those are.
    bad = rejects.count - sum(rejects.by_code.get(code, 0) for code in (footers.CODE, repeated_headers.CODE))
    if not bad or bad <= share * read:
        return
    first = next(pq.ParquetFile(rejects.path).iter_batches(batch_size=SAMPLES)).to_pylist()
    reasons = ", ".join(f"{count:,} {code}" for code, count in rejects.by_code.items())
    raise errors.Refusal(
        "too-many-rejects",
        f"{bad:,} of {read:,} rows are bad ({reasons}), more than the {share:.0%} allowed by max_rejects; "
        f"nothing was written. The first is on line {first[0]['line']}.",
        {"read": read, "rejected": rejects.count, "by_code": dict(rejects.by_code), "samples": first},
    )


def _case(arms: Iterable[str]) -> str:
    """What holds for the fault that a row has, by the fault's number."""
    cases = " ".join(f"WHEN {number} THEN {arm}" for number, arm in enumerate(arms, start=1))
    return f"CASE b.{cleaning.BAD} {cases} END"


def headers_of(reading: cleaning.Reading) -> tuple[str, ...]:
    """The headers of the records of rejected rows.

    A key made of positions goes before them, because a row that is imported without the others has another position.
    """
    made = _positioned(reading)
    return (*reading.mapping.headers,) if made is None else (made, *reading.mapping.headers)


def _positioned(reading: cleaning.Reading) -> str | None:
    column = POSITIONED.get(reading.schema.name)
    return None if column in reading.mapping.names else column


def _record_sql(reading: cleaning.Reading) -> str:
    """The row as a CSV record under these headers."""
    cells = list(map(batches.text_column, range(len(reading.mapping.headers))))
    if (made := _positioned(reading)) is not None:
        # A place among rows of which it is not known that they are its own is none.
        known = " AND ".join(f"b.{wording.quote_name(name)} IS NOT NULL" for name in reading.schema.key)
        cells.insert(0, f"(CASE WHEN {known} THEN CAST(b.{wording.quote_name(made)} AS VARCHAR) END)")
    return f"concat_ws(',', {', '.join(map(_cell_sql, cells))})"


def _cell_sql(value: str) -> str:
    return (
        f"CASE WHEN regexp_matches({value}, '[,\"\\n\\r]') THEN '\"' || replace({value}, '\"', '\"\"') || '\"' "
        f"ELSE coalesce({value}, '') END"
    )


def _misshapen_sql(reading: cleaning.Reading, relation: str) -> str:
    """Rows of which nobody knows their place: they are not counted among the others."""
    cells = "* REPLACE (',' || row AS row)" if _positioned(reading) is not None else "*"
    return f"SELECT {cells} FROM {relation}"  # noqa: S608 - names of ours
