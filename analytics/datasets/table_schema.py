"""The columns of a table: those of its dataset, then the further ones, each with its type."""

from collections.abc import Mapping

import pyarrow as pa

from analytics.datasets import cleaning, profiling, schemas


def arrow(types: Mapping[str, profiling.ColumnType]) -> pa.Schema:
    return pa.schema([(name, profiling.arrow_type(column)) for name, column in types.items()])


def stored(schema: pa.Schema) -> Mapping[str, profiling.ColumnType]:
    """The columns that a table has."""
    return {field.name: _column_type(field.type) for field in schema}


def of_reading(
    found: cleaning.Reading, stored: Mapping[str, profiling.ColumnType] | None
) -> Mapping[str, profiling.ColumnType]:
    """The canonical columns, then the further ones the table has, then the new ones; a type the table has stays."""
    types = {column.name: profiling.type_of(column) for column in found.schema.columns}
    for name, column in (stored or {}).items():
        types.setdefault(name, column)
    for profile in found.profiles:
        types.setdefault(profile.name, profiling.guess_type(profile, found.sign))
    return types


def _column_type(arrow: pa.DataType) -> profiling.ColumnType:
    kinds = schemas.ColumnKind
    if pa.types.is_decimal(arrow):
        return profiling.ColumnType(kinds.DECIMAL, arrow.precision, arrow.scale)
    tests = (
        (kinds.INT, pa.types.is_integer),
        (kinds.TIMESTAMP, pa.types.is_timestamp),
        (kinds.DATE, pa.types.is_date),
        (kinds.BOOL, pa.types.is_boolean),
    )
    return profiling.ColumnType(next((kind for kind, test in tests if test(arrow)), kinds.TEXT))
