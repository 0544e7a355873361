"""The beginning of a CSV file: its delimiter, its headers, and the lines above them that are no part of the table."""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import headings, limits, text_formulas

DELIMITERS = (",", ";", "\t", "|")
# Excel writes and obeys a first line that names the delimiter.
DELIMITER_LINE = re.compile(r'"?sep=(.)"?\r?(?:\n|$)', re.IGNORECASE)
VOTING_LINES = 1000
# Titles are looked for where fewer of the first lines than this have as many values as the very first.
AGREEING = 0.5


@dataclass(frozen=True, slots=True)
class Head:
    """What a file begins with.

    Attributes:
        lines: how many lines it takes until the first row.
        passed_over: titles above the headers, for people.
    """

    delimiter: str
    headers: tuple[str, ...]
    lines: int
    passed_over: str | None


def read(text: str, delimiter: str | None) -> Head:
    """Understand the first lines of a file; `delimiter` is the one that was declared.

    Raises:
        errors.Refusal: `not-csv`, `too-many-columns`, `header-too-long`.
    """
    lines = 0
    if (said := DELIMITER_LINE.match(text)) is not None:
        delimiter, text, lines = said[1], text[said.end() :], 1
    delimiter = delimiter or find_delimiter(text)
    records = list(_records(text, delimiter, most=headings.LOOKED_AT))
    if not records:
        raise errors.Refusal("not-csv", "The first line of the file cannot be read as CSV headers.")
    position = headings.find([record for record, _ in records])
    record, end = records[position]
    if len(record) == 1 and delimiter in record[0]:
        record = read_record(record[0], delimiter)
    limits.check_columns(len(record))
    headers = tuple(text_formulas.value(value).strip() for value in record)
    for header in headers:
        limits.check_header(header)
    titles = [record for record, _ in records[:position] if any(value.strip() for value in record)]
    return Head(delimiter, headers, lines + end, headings.describe(titles) if titles else None)


def find_delimiter(text: str) -> str:
    """The delimiter under which the most of the first lines have as many fields as the header, and more than one."""
    parsed = {
        delimiter: [record for record, _ in _records(text, delimiter, most=VOTING_LINES) if record]
        for delimiter in DELIMITERS
    }
    best = max((_vote(records, 0, delimiter) for delimiter, records in parsed.items()), key=lambda vote: vote[:2])
    if best[0] >= AGREEING:
        return best[2]
    below = (_vote(records, headings.find(records), delimiter) for delimiter, records in parsed.items())
    return max((best, *below), key=lambda vote: vote[:2])[2]


def read_record(text: str, delimiter: str) -> list[str]:
    """The values of one record; none where it is damaged."""
    try:
        return next(csv.reader([text], delimiter=delimiter), [])
    except csv.Error:
        return []


def _vote(records: Sequence[Sequence[str]], header: int, delimiter: str) -> tuple[float, int, str]:
    """How well the records agree with the header, how many fields it has, and the delimiter."""
    fields = len(records[header]) if records else 0
    if fields < 2:
        return 0.0, 0, ","
    below = records[header:]
    share = sum(len(record) == fields for record in below) / len(below)
    # A comma that happens to stand once in each line loses against a delimiter that makes more columns of them.
    return round(share, 1), fields, delimiter


def _records(text: str, delimiter: str, *, most: int) -> Iterator[tuple[list[str], int]]:
    """The first records, each with the number of its last line; blank lines are empty records."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        for count, record in enumerate(reader, start=1):
            yield record, reader.line_num
            if count == most:
                return
    except csv.Error:
        # Arrow judges the rows; here they only vote.
        return
