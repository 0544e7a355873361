"""Lines below a table that are no rows of it: totals, and what report programs write at the end.

A real row may be called `Total`, too. It tells itself by what else it has: a total is a label with figures, and leaves
cells empty that the rows above have.
"""

import itertools
import re
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import pyarrow as pa

from analytics.datasets import batches, cells, csv_head

CODE = "footer-line"
MISSHAPEN = "wrong-column-count"
# So many of the last lines are looked at, and only as long as each is a footer.
LOOKED_AT = 40
# What this share of the rows above has, another row would have as well.
USUAL = 0.9
TOTAL = re.compile(
    r"((grand|sub|report|overall|net)[ -]?)?totals?( \(\d+[^)]*\))?:?|(gesamt(summe)?|summe|sum|totaal|totale|suma):?"
    r"|total g[eé]n[eé]ral:?",
    re.IGNORECASE,
)
# What a line may go on with only if it is a notice: `Page 1 Books` and `Created Equal Ltd` are names.
NOTICE = re.compile(
    r"confidential information\b.*|(copyright )?(©|\(c\)).*|copyright( by)?:?( \d.*)?|(.* )?all rights reserved.*"
    r"|(report |file )?(generated|exported|printed|created|run)(( by| on| at| from)\b.*|:.*| [^a-z]*\d[^a-z]*)?"
    r"|page \d+( of \d+)?|end of (report|file)[ .]*|(record|row) count:?( \d.*)?"
    r"|[\d,.]+ (rows?|records?)( (exported|found|shown|in total|total|returned|selected)\b.*)?"
    r"|(accrual|cash) basis.*|.*\b(accrual|cash) basis|filtered by.*|as of:?( .*\d.*| today| now)?"
    r"|total (records|rows):?( \d.*)?",
    re.IGNORECASE,
)
# A number, a day, a code such as EUR; words are none.
FIGURE = re.compile(r".*\d.*|[^\w]*|[A-Z]{3}", re.DOTALL)

Record = Sequence[str | None]


def count(last: Sequence[Record], columns: int, *, usual: Callable[[int], Sequence[int]]) -> int:
    """How many of the last records, the very last first, say something about the table above them.

    `usual` finds the columns that most rows have, all but so many of the last.
    """
    likely = _leading(_is_likely(record, columns) for record in last)
    expected = usual(likely) if likely else ()
    return _leading(_is_certain(record) or _lacks(record, expected, columns) for record in last[:likely])


def _leading(answers: Iterable[bool]) -> int:
    return sum(itertools.takewhile(bool, answers))


def _filled(record: Record) -> list[str]:
    return [value.strip() for value in record if value is not None and value.strip()]


def _is_likely(record: Record, columns: int) -> bool:
    filled = _filled(record)
    if not filled or columns < 2:
        return False
    if TOTAL.fullmatch(filled[0]):
        has_figures = _is_certain(record) or all(map(FIGURE.fullmatch, filled[1:]))
        return has_figures and len(filled) <= max(3, columns // 2)
    return len(filled) <= (1 if columns < 4 else 2) and NOTICE.fullmatch(filled[0]) is not None


def _is_certain(record: Record) -> bool:
    """Whether it is a footer whatever the rows have: a single word such as Total may be a name, Grand Total is none."""
    filled = _filled(record)
    return not filled[0].isalpha() if TOTAL.fullmatch(filled[0]) else len(filled) == 1


def _lacks(record: Record, expected: Sequence[int], columns: int) -> bool:
    """Whether it has other cells than a row of the table would have."""
    return len(record) != columns or not all((record[at] or "").strip() for at in expected)


def usual_columns(filled: Sequence[int], rows: int) -> list[int]:
    """The columns, by position, that have a value in most of the rows; with no rows all are expected to."""
    return [position for position, number in enumerate(filled) if number >= USUAL * rows]


def take_out(
    rows: pa.Table, rejects: list[dict[str, object]], *, columns: int
) -> tuple[pa.Table, list[dict[str, object]]]:
    """The last rows of a file without those that are footers, which are rejects then; so are misshapen ones that are."""
    lines = rows[batches.LINE].to_numpy()
    last = np.argsort(lines, kind="stable")[-LOOKED_AT:]
    records: dict[int, Record] = {}
    for row in rows.take(pa.array(last)).to_pylist():
        line = row.pop(batches.LINE)
        records[line] = list(row.values())
    fitting = set(records)
    for each in rejects[-LOOKED_AT:]:
        if each["code"] == MISSHAPEN:
            records[int(str(each["line"]))] = csv_head.read_record(str(each["row"]), ",")
    looked_at = sorted(records, reverse=True)[:LOOKED_AT]

    def usual(likely: int) -> Sequence[int]:
        above = rows.filter(pa.array(~np.isin(lines, looked_at[:likely])))
        return usual_columns([len(column) - column.null_count for column in above.columns[1:]], above.num_rows)

    footers = set(looked_at[: count([records[line] for line in looked_at], columns, usual=usual)])
    if not footers:
        return rows, rejects
    rejects = [each | {"code": CODE, "value": None} if each["line"] in footers else each for each in rejects]
    taken = sorted(footers & fitting)
    rejects += [cells.reject(line, CODE, None, row=cells.record(records[line])) for line in taken]
    return rows.filter(pa.array(~np.isin(lines, taken))), rejects
