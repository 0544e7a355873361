"""What the types of a table's columns mean, as they are stored: the kinds that people read, and DuckDB's names."""

import pyarrow as pa

from analytics.datasets.schemas import ColumnKind

_KINDS = (
    (ColumnKind.DECIMAL, pa.types.is_decimal),
    (ColumnKind.INT, pa.types.is_integer),
    (ColumnKind.TIMESTAMP, pa.types.is_timestamp),
    (ColumnKind.DATE, pa.types.is_date),
    (ColumnKind.BOOL, pa.types.is_boolean),
)
_SQL_TYPES = {
    ColumnKind.INT: "BIGINT",
    ColumnKind.TIMESTAMP: "TIMESTAMPTZ",
    ColumnKind.DATE: "DATE",
    ColumnKind.BOOL: "BOOLEAN",
    ColumnKind.TEXT: "VARCHAR",
}


def columns(schema: pa.Schema) -> dict[str, str]:
    """The kind of each column, by its name."""
    return {field.name: str(kind(field.type)) for field in schema}


def kind(stored: pa.DataType) -> ColumnKind:
    return next((kind for kind, test in _KINDS if test(stored)), ColumnKind.TEXT)


def sql_type(stored: pa.DataType) -> str:
    """DuckDB's type for a column."""
    if pa.types.is_decimal(stored):
        return f"DECIMAL({stored.precision}, {stored.scale})"
    return _SQL_TYPES[kind(stored)]
