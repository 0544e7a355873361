"""The rows that were not taken: written down so that they can be mended, and too many of them refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from analytics import errors
from analytics.datasets import batches, cleaning, footers, headers, merging, staging, wording

SAMPLES = 20


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
    mapping: headers.HeaderMapping,
    folder: Path,
) -> Rejects:
    """Rejects of the rows that `faulty` names, and those that never got so far, ordered by line.

    The column is named as the file names it; a column that the file lacks, as we do.
    """
    named = dict(zip(mapping.names, mapping.headers, strict=True))
    columns = _case(wording.quote_text(named.get(fault.column, fault.column)) for fault in faults)
    codes = _case(fault.code for fault in faults)
    values = _case(fault.value for fault in faults)
    path = folder / "rejects.parquet"
    connection.execute(
        f'COPY (SELECT t.{batches.LINE} AS line, {columns} AS "column", {codes} AS code, {values} AS value, '  # noqa: S608 - names and texts are quoted
        f"{_record_sql(len(mapping.headers))} AS row FROM {text.relation} AS t "
        f"JOIN {merging.FAULTY} AS b ON b.{batches.LINE} = t.{batches.LINE} "
        f"UNION ALL SELECT * FROM {text.misshapen} ORDER BY line) "
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
    # What is written below a table was never one of its rows, however few those are.
    bad = rejects.count - rejects.by_code.get(footers.CODE, 0)
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


def _record_sql(columns: int) -> str:
    """The row as a CSV record."""
    cells = (
        f"CASE WHEN regexp_matches({name}, '[,\"\\n\\r]') THEN '\"' || replace({name}, '\"', '\"\"') || '\"' "
        f"ELSE coalesce({name}, '') END"
        for name in map(batches.text_column, range(columns))
    )
    return f"concat_ws(',', {', '.join(cells)})"
