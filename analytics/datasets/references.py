"""Values that refer to rows of another dataset which has no such row: what an import says about them."""

from collections.abc import Iterator, Mapping, Sequence

import duckdb

from analytics import result
from analytics.datasets import cleaning, spellings, wording

# Dataset and column, to the dataset and column where the value should be.
REFERENCES: Mapping[tuple[str, str], tuple[str, str]] = {
    ("orders", "customer_id"): ("customers", "customer_id"),
    ("order_lines", "customer_id"): ("customers", "customer_id"),
    ("deals", "customer_id"): ("customers", "customer_id"),
    ("deals", "product"): ("order_lines", "product"),
    ("deal_stages", "deal_id"): ("deals", "deal_id"),
    ("leads", "customer_id"): ("customers", "customer_id"),
    ("activities", "customer_id"): ("customers", "customer_id"),
    ("activities", "deal_id"): ("deals", "deal_id"),
    ("subscriptions", "customer_id"): ("customers", "customer_id"),
}
UNMATCHED = "unmatched_values"
SAMPLES = 5
# Above so many known values none is proposed: comparing would cost more than the import.
MOST_COMPARED = 200_000
# Shorter values resemble each other by chance.
SHORTEST_COMPARED = 4
LONG_VALUE = 8


def datasets_referred_to(dataset: str) -> frozenset[str]:
    """The other datasets that rows of this one refer to."""
    return frozenset(other for (name, _), (other, _) in REFERENCES.items() if name == dataset)


def find(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    *,
    relation: str,
    others: Mapping[str, Sequence[str]],
) -> Iterator[result.ResultWarning]:
    """Warn of references into the void; `relation` is the staged text, `others` has the files of other datasets."""
    for (dataset, column), (other, key) in REFERENCES.items():
        if dataset != reading.schema.name or column not in reading.mapping.names or not others.get(other):
            continue
        files = ", ".join(map(wording.quote_text, others[other]))
        known = f"SELECT {key} AS k FROM read_parquet([{files}], union_by_name = true) WHERE {key} IS NOT NULL"  # noqa: S608 - quoted
        counted = reading.values_sql(column, relation)
        yield from _unmatched(connection, counted, column=column, other=other, known=known)


def _unmatched(
    connection: duckdb.DuckDBPyConnection, counted: str, *, column: str, other: str, known: str
) -> Iterator[result.ResultWarning]:
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {UNMATCHED} AS SELECT *, value NOT IN ({known}) AS gone "  # noqa: S608 - put together above
        f"FROM ({counted})"
    )
    rows, gone, values = connection.execute(
        f"SELECT sum(n), sum(n) FILTER (WHERE gone), count(*) FILTER (WHERE gone) FROM {UNMATCHED}"  # noqa: S608 - a name of ours
    ).fetchone() or (0, 0, 0)
    if not gone:
        return
    samples = connection.execute(
        f"SELECT value, n FROM {UNMATCHED} WHERE gone ORDER BY n DESC, value LIMIT {SAMPLES}"  # noqa: S608 - as above
    ).fetchall()
    near = _nearest(connection, [value for value, _ in samples], known=known)
    shown = ", ".join(_shown(value, count, near.get(value)) for value, count in samples)
    yield result.ResultWarning(
        "unmatched-references",
        f"{gone:,} of {rows:,} rows ({_percent(gone, rows)}) with a {column} have one that {other} does not have; "
        f"{values:,} {'value' if values == 1 else 'values'}: {shown}{', …' if values > len(samples) else ''}. "
        "The rows were imported as they are.",
    )


def _shown(value: str, count: int, near: str | None) -> str:
    closest = f"; nearest known: {spellings.shown(near)}" if near is not None else ""
    return f"{spellings.shown(value)} ({count:,}{closest})"


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 1 else "less than 1 %"


def _nearest(connection: duckdb.DuckDBPyConnection, values: Sequence[str], *, known: str) -> dict[str, str]:
    """The closest known value of each, where one is close: the same but for case, blanks and punctuation, or a slip or two.

    Numbers that differ are different things, however alike they look, so digits must be the same.
    """
    few = f"SELECT DISTINCT k FROM ({known}) LIMIT {MOST_COMPARED + 1}"  # noqa: S608 - as above
    digits = "regexp_replace({}, '[^0-9]', '', 'g')"
    slips = f"CASE WHEN length(v) < {LONG_VALUE} THEN 1 ELSE 2 END"
    found = connection.execute(
        f"""
        WITH known AS ({few}), asked AS (SELECT unnest($values) AS v), compared AS (
            SELECT v, k, CASE WHEN {spellings.normal_sql("v")} = {spellings.normal_sql("k")} THEN 0
                ELSE damerau_levenshtein(lower(v), lower(k)) END AS distance
            FROM asked JOIN known ON abs(length(v) - length(k)) <= 3 AND {digits.format("v")} = {digits.format("k")}
            WHERE (SELECT count(*) FROM known) <= {MOST_COMPARED} AND length(v) >= {SHORTEST_COMPARED}
        )
        SELECT v, min_by(k, (distance, k)) FROM compared WHERE distance <= {slips} GROUP BY v
        """,  # noqa: S608 - as above
        {"values": list(values)},
    ).fetchall()
    return {str(value): str(close) for value, close in found}
