"""Which of a file's first records is its header: reports have titles above it that are no part of the table."""

import re
from collections import Counter
from collections.abc import Sequence

# So many records are looked at, and so many may be titles.
LOOKED_AT = 200
MOST_TITLES = 30
SHOWN = 80
VALUE = re.compile(r"[-+(]?\W?[\d.,]*\d[\d.,]*\)?\s?%?|\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*|true|false", re.IGNORECASE)


def find(records: Sequence[Sequence[str]]) -> int:
    """The position of the header: the first record that is not blank, or the one below titles where that is plain."""
    filled = [sum(1 for value in record if value.strip()) for record in records[:LOOKED_AT]]
    first = next((position for position, count in enumerate(filled) if count), 0)
    wide = Counter(count for count in filled if count > 1)
    if not wide:
        return first
    # Of equally frequent widths the larger one is the table's.
    typical = max(wide, key=lambda count: (wide[count], count))
    if filled[first] > _of_title(typical):
        return first
    for position in range(first, min(first + MOST_TITLES, len(filled))):
        if filled[position] > _of_title(typical):
            # Two columns may be made by commas in a list of sentences; there only a blank line tells titles from it.
            is_apart = typical > 2 or not filled[position - 1]
            return position if is_apart and _is_header(records[position], filled[position], typical) else first
    return first


def describe(titles: Sequence[Sequence[str]]) -> str:
    """What was passed over, for people."""
    seen = " ".join(value.strip() for record in titles for value in record if value.strip())
    count = sum(1 for record in titles if any(value.strip() for value in record))
    return f"{count} line{'s' * (count > 1)} above the headers passed over: {seen[:SHOWN]!r}."


def _of_title(typical: int) -> int:
    """How many values a title may have beside a table so wide."""
    return max(1, typical // 2)


def _is_header(record: Sequence[str], filled: int, typical: int) -> bool:
    names = [value.strip() for value in record if value.strip()]
    return filled * 5 >= typical * 3 and len(set(names)) == len(names) and not any(map(VALUE.fullmatch, names))
