"""Lines below a table that are no rows of it: totals, and what report programs write at the end."""

import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from analytics.datasets import batches, cells, csv_head

CODE = "footer-line"
MISSHAPEN = "wrong-column-count"
# So many of the last lines are looked at, and only as long as each is a footer.
LOOKED_AT = 40
TOTAL = re.compile(
    r"((grand|sub|report|overall|net)[ -]?)?totals?( \(\d+[^)]*\))?:?|(gesamt(summe)?|summe|sum|totaal|totale|suma):?"
    r"|total g[eé]n[eé]ral:?",
    re.IGNORECASE,
)
NOTICE = re.compile(
    r"confidential information\b.*|copyright\b.*|©.*|\(c\) \d{4}.*|all rights reserved.*"
    r"|(report |file )?(generated|exported|printed|created|run)( by| on| at| from)?:?( .*)?"
    r"|page \d+( of \d+)?|end of (report|file).*|(record|row) count:?( .*)?|[\d,.]+ (rows?|records?)( .*)?"
    r"|(accrual|cash) basis.*|.*\b(accrual|cash) basis|filtered by.*|as of .*|total (records|rows)\b.*",
    re.IGNORECASE,
)


def is_footer(values: Sequence[str | None], columns: int) -> bool:
    """Whether a record says something about the table above it."""
    filled = [value.strip() for value in values if value is not None and value.strip()]
    if not filled or columns < 2:
        return False
    if TOTAL.fullmatch(filled[0]):
        return len(filled) <= max(3, columns // 2)
    return len(filled) <= (1 if columns < 4 else 2) and NOTICE.fullmatch(filled[0]) is not None


def take_out(
    rows: pa.Table, rejects: list[dict[str, object]], *, columns: int
) -> tuple[pa.Table, list[dict[str, object]]]:
    """The last rows of a file without those that are footers, which are rejects then; so are misshapen ones that are."""
    lines = rows[batches.LINE].to_numpy()
    last = np.argsort(lines, kind="stable")[-LOOKED_AT:]
    records: dict[int, Sequence[str | None]] = {}
    for row in rows.take(pa.array(last)).to_pylist():
        line = row.pop(batches.LINE)
        records[line] = list(row.values())
    fitting = set(records)
    for each in rejects[-LOOKED_AT:]:
        if each["code"] == MISSHAPEN:
            records[int(str(each["line"]))] = csv_head.read_record(str(each["row"]), ",")
    footers = set()
    for line in sorted(records, reverse=True)[:LOOKED_AT]:
        if not is_footer(records[line], columns):
            break
        footers.add(line)
    if not footers:
        return rows, rejects
    rejects = [each | {"code": CODE, "value": None} if each["line"] in footers else each for each in rejects]
    taken = sorted(footers & fitting)
    rejects += [cells.reject(line, CODE, None, row=cells.record(records[line])) for line in taken]
    return rows.filter(pa.array(~np.isin(lines, taken))), rejects
