"""The rows of a result in pages, as pydantic models."""

from typing import Any

from pydantic import Field

from web import schemas

MOST_ROWS = 1000


class RowQuery(schemas.Request):
    limit: int = Field(default=100, ge=1, le=MOST_ROWS, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")


class RowColumn(schemas.Answer):
    """A column of a result."""

    name: str
    type: str
    unit: str | None = None
    description: str | None = None


class RowPage(schemas.Answer):
    """Some consecutive rows of a result, whose order never changes."""

    columns: list[RowColumn]
    data: list[list[Any]] = Field(description="Rows; their cells follow `columns`, money and decimals are strings")
    row_count: int = Field(description="Rows of the whole result")
    next: str | None = Field(description="Address of the next page; null on the last")
