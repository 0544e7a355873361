"""What all the values of a file together say: its decimal sign, and the order of day and month in each of its columns."""

from collections.abc import Mapping, Sequence

import duckdb

from analytics import errors
from analytics.datasets import (
    batches,
    cleaning,
    currencies,
    dates,
    headers,
    numbers,
    options,
    profiling,
    schemas,
    staging,
    typed_numbers,
    wording,
)


def check_pattern(connection: duckdb.DuckDBPyConnection, pattern: str | None) -> None:
    """Refuse a pattern that the engine does not understand.

    Raises:
        errors.Refusal: `bad-refund-pattern`.
    """
    if pattern is None:
        return
    try:
        connection.execute(f"SELECT regexp_matches('', {wording.quote_text(pattern)})")
    except duckdb.InvalidInputException as error:
        raise errors.Refusal(
            "bad-refund-pattern",
            f"refund_pattern {pattern!r} is not a regular expression of RE2: {error}",
            {"refund_pattern": pattern},
        ) from error


def find_reading(
    connection: duckdb.DuckDBPyConnection,
    text: staging.StagedText,
    *,
    options: options.ImportOptions,
    mapping: headers.HeaderMapping,
    typed: Mapping[str, batches.NumberCells],
) -> cleaning.Reading:
    """Decide, from all values, which decimal sign a file uses and how each column of dates is written.

    Raises:
        errors.Refusal: the values can be read in more than one way.
    """
    schema = schemas.DATASETS[options.dataset]
    profiles = profiling.profile_columns(
        connection, text, mapping=mapping, schema=schema, null_values=options.null_values
    )
    if text.plain is not None:
        profiles = text.plain.add_to(profiles)
    profiles = typed_numbers.mark(profiles, typed)
    numeric = [
        (profile.probe(connection, text.relation), profile.numbers)
        for profile in profiles
        if _kind_of(schema, profile.name) in (schemas.ColumnKind.DECIMAL, schemas.ColumnKind.INT) and not profile.exact
    ]
    sign = numbers.decide_sign(numeric, declared=options.decimal)
    typed_numbers.check(profiles, typed, sign=sign)
    if sign == ",":
        profiles = profiling.count_commas(connection, text.relation, profiles, schema=schema)
    plans: dict[str, dates.DatePlan] = {}
    for profile in profiles:
        if _kind_of(schema, profile.name) not in (schemas.ColumnKind.TIMESTAMP, schemas.ColumnKind.DATE):
            continue
        plans[profile.name] = (
            profile.iso_plan
            if profile.is_iso
            else dates.find_plan(profile.probe(connection, text.relation), declared=options.date_format)
        )
    units = _units(connection, text.relation, profiles, options)
    return cleaning.Reading(schema, options, mapping, profiles, sign, plans, units)


def _units(
    connection: duckdb.DuckDBPyConnection,
    relation: str,
    profiles: Sequence[profiling.ColumnProfile],
    options: options.ImportOptions,
) -> Mapping[str, currencies.Units]:
    """The currencies that are written in amounts, by column; of none where all values are numbers and nothing else."""
    said = next((profile.value for profile in profiles if profile.name == "currency"), None)
    found = {
        profile.name: currencies.find(profile.probe(connection, relation), said=said, ours=options.currency)
        for profile in profiles
        if profile.name in currencies.MONEY.get(options.dataset, ()) and profile.simple != profile.count
    }
    return {name: units for name, units in found.items() if units is not None}


def _kind_of(schema: schemas.DatasetSchema, name: str) -> schemas.ColumnKind | None:
    column = schema.column(name)
    return column.kind if column else None
