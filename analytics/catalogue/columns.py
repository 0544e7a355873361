"""The columns of a result, and the types their cells may have."""

from dataclasses import dataclass
from enum import StrEnum


class ColumnType(StrEnum):
    """Types of a result's cells; the JSON form of each is beside it."""

    TEXT = "text"  # string
    INTEGER = "integer"  # number
    DECIMAL = "decimal"  # string: money and other exact numbers are never a binary float
    NUMBER = "number"  # number: rates, scores, means; a binary float
    BOOLEAN = "boolean"  # true, false
    DATE = "date"  # "2026-11-22"
    TIMESTAMP = "timestamp"  # "2026-11-22T10:00:00Z"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a result: what it is called, what it holds, in which unit, what it means.

    The columns with `key` tell the rows apart: two runs of a report are compared row by row by them.
    """

    name: str
    type: ColumnType
    description: str
    unit: str | None = None
    key: bool = False
