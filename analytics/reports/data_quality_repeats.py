"""The checks of `data_quality` for what is there twice: rows that say the same, and values spelt in more than one way."""

from collections.abc import Iterator, Sequence

import ibis
import pyarrow as pa
from ibis.expr import types as ir

from analytics.reports import data_quality_rows
from analytics.reports.data_quality_checks import Finding, Severity, sample

_NO_LETTER_OR_DIGIT = r"[^\p{L}\p{N}]"


def of_rows(rows: data_quality_rows.Rows) -> Iterator[Finding]:
    """Look for order lines that say the same as another line."""
    if rows.schema.name != "order_lines":
        return
    same = [name for name in rows.columns if name != "line_no"]
    # No column of data is named like this.
    hashed = rows.table.mutate(**{"#hash": ibis.struct({name: rows.table[name] for name in same}).hash()})
    hashes = hashed.group_by(again=hashed["#hash"]).aggregate(copies=hashed.count())
    # Rows with a hash of their own have no copy; the hashes of ten million rows take far less memory than the rows do.
    again = hashes.filter(hashes.copies > 1).select("again").to_pyarrow()
    count, told = _repeated(rows, hashed, same, again) if again.num_rows else (0, None)
    yield Finding(rows.schema.name, None, "repeated_row", Severity.WARNING, count, rows.count, told)


def _repeated(
    rows: data_quality_rows.Rows, hashed: ir.Table, same: Sequence[str], again: pa.Table
) -> tuple[int, str | None]:
    """Count rows that are another's copy, among those whose hash is there again."""
    suspects = ibis.memtable(again)
    some = hashed.semi_join(suspects, hashed["#hash"] == suspects.again)
    groups = some.group_by(same).aggregate(**{"#copies": some.count(), "#key": rows.key_of(some).min()})
    copies, key = groups["#copies"], groups["#key"]
    several = copies > 1
    asked = groups.aggregate(
        copies=(copies - 1).sum(where=several), first=key.min(where=several), last=key.max(where=several)
    )
    found = asked.to_pyarrow().to_pylist()[0]
    return int(found["copies"] or 0), sample(found["first"], found["last"])


def of_values(rows: data_quality_rows.Rows) -> Iterator[Finding]:
    """Look for texts that are another's in other letters; each finding is of as many values as the column has."""
    for name in rows.columns:
        if rows.table[name].type().is_string():
            yield _blurred(rows, name)


def _blurred(rows: data_quality_rows.Rows, name: str) -> Finding:
    """Values that are the same as another once case, spaces and punctuation are gone: all but one of each such set."""
    values = rows.table.select(value=rows.table[name]).filter(lambda row: row.value.notnull()).distinct()
    plain = values.value.lower().re_replace(_NO_LETTER_OR_DIGIT, "")
    counts = values.aggregate(of=values.count(), plain=plain.hash().nunique()).to_pyarrow().to_pylist()[0]
    # As many hashes as values prove that no two values are alike, and need far less memory than the values.
    extra, told = (0, None) if counts["of"] == counts["plain"] else _alike(values, plain)
    return Finding(rows.schema.name, name, "blurred", Severity.WARNING, extra, counts["of"], told, unit_is_rows=False)


def _alike(values: ir.Table, plain: ir.StringValue) -> tuple[int, str | None]:
    groups = values.group_by(plain=plain).aggregate(
        spellings=values.count(), least=values.value.min(), most=values.value.max()
    )
    several = (groups.spellings > 1) & (groups.plain != "")
    asked = groups.aggregate(
        extra=(groups.spellings - 1).sum(where=several),
        first=groups.least.min(where=several),
        other=groups.most.argmin(groups.least, where=several),
    )
    found = asked.to_pyarrow().to_pylist()[0]
    return int(found["extra"] or 0), sample(found["first"], found["other"])
