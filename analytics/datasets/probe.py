"""Asks questions about all the values of one column of a file."""

from dataclasses import dataclass
from typing import Any

import duckdb


@dataclass(frozen=True, slots=True)
class Probe:
    """One column of staged text.

    Attributes:
        relation: the SQL name of the staged rows.
        value: SQL of the cleaned text of a cell.
        header: what the file calls the column.
    """

    connection: duckdb.DuckDBPyConnection
    relation: str
    value: str
    header: str

    def ask(self, aggregates: str) -> tuple[Any, ...]:
        """The aggregates of all values `v`."""
        rows = self.rows(aggregates)
        return rows[0]

    def rows(self, select: str, rest: str = "") -> list[tuple[Any, ...]]:
        return self.rows_with(select, "NULL", rest)

    def rows_with(self, select: str, other: str, rest: str = "") -> list[tuple[Any, ...]]:
        """The same, with `beside` for what stands in another column of the row."""
        query = f"SELECT {select} FROM (SELECT {self.value} AS v, {other} AS beside FROM {self.relation}) {rest}"  # noqa: S608 - all of it is ours or quoted
        return self.connection.execute(query).fetchall()
