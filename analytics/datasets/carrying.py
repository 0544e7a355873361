"""Gives the rows of an order what its first row alone says: exports with a row per line name the order's customer once."""

import dataclasses
from pathlib import Path

import duckdb

from analytics import result
from analytics.datasets import batches, headers, staging, wording


def is_needed(mapping: headers.HeaderMapping) -> bool:
    """Whether the file is of a layout whose rows may lack what the first row of their group says."""
    return mapping.layout is not None and mapping.layout.group is not None


def carry(
    connection: duckdb.DuckDBPyConnection, text: staging.StagedText, *, mapping: headers.HeaderMapping, folder: Path
) -> tuple[staging.StagedText, tuple[result.ResultWarning, ...]]:
    """Return the text of a known layout with its empty cells filled from the first row of the same group.

    Only the headers that the layout names are filled, and only where a row follows another of the same group. Any other
    file is returned as it is. The second part says what was done, and what the layout's importer should know.
    """
    layout = mapping.layout
    if layout is None:
        return text, ()
    advice = (result.ResultWarning("layout-advice", f"{layout.title}. {layout.advice}"),) if layout.advice else ()
    normal = [headers.normalise(header) for header in mapping.headers]
    if layout.group is None or layout.group not in normal:
        return text, advice
    group = batches.text_column(normal.index(layout.group))
    followers = connection.execute(f"SELECT count({group}) - count(DISTINCT {group}) FROM {text.relation}").fetchone()  # noqa: S608 - names of ours
    if followers is None or not followers[0]:
        return text, advice
    carried = {batches.text_column(place) for place, header in enumerate(normal) if header in layout.carried}
    cells = ", ".join(
        _cell(name, group) if name in carried else name for name in map(batches.text_column, range(len(normal)))
    )
    target = wording.quote_text(str(folder / "carried.parquet"))
    connection.execute(
        f"COPY (SELECT {batches.LINE}, {cells} FROM {text.relation} "  # noqa: S608 - names of ours, the path is quoted
        f"WINDOW w AS (PARTITION BY {group} ORDER BY {batches.LINE})) TO {target} (FORMAT parquet, COMPRESSION lz4)"
    )
    done = result.ResultWarning(
        "order-fields-carried",
        f"{layout.title}. {int(followers[0]):,} rows follow the first row of their {mapping.headers[normal.index(layout.group)]}; "
        "what only that first row says of the order (customer, time, currency …) holds for them too.",
    )
    return dataclasses.replace(text, relation=f"read_parquet({target})"), (done, *advice)


def _cell(name: str, group: str) -> str:
    return f"CASE WHEN {group} IS NULL THEN {name} ELSE coalesce({name}, first_value({name}) OVER w) END AS {name}"
