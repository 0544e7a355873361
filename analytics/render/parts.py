"""The part of a result that somebody may see: the rows a filter lets through, and of all else only what tells of no other row."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.catalogue import row_filters
from analytics.catalogue.columns import ColumnType
from analytics.catalogue.filters import Filter
from analytics.render import chunks, row_masks


@dataclass(frozen=True, slots=True)
class Part:
    """Some of a result's rows, and what may be said of them."""

    header: dict[str, Any]
    pieces: list[bytes]
    row_count: int


@dataclass(slots=True)
class Unseen:
    """The rows that none of the filters lets through: how many, and how often each value of some columns is among them."""

    row_count: int = 0
    values: dict[str, dict[str | None, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many rows each filter lets through, and what none does."""

    of_filter: list[int]
    unseen: Unseen


# Words about the report type, which are the same for every result of it.
_OF_THE_TYPE = ("type", "version", "title", "definition", "source", "columns")
# Of the summary: what the question was about. It counts nobody.
_OF_THE_QUESTION = ("as_of", "currency")


def header(whole: Mapping[str, Any], *, row_count: int) -> dict[str, Any]:
    """Return what may be said about so many of a result's rows.

    Summary, charts, warnings, checks and the manifest are about all rows, and so left out, as are the parameters, which may
    name others.
    """
    summary, params = whole.get("summary") or {}, whole.get("params") or {}
    return {
        **{name: whole[name] for name in _OF_THE_TYPE if name in whole},
        "params": {"timezone": params["timezone"]} if "timezone" in params else {},
        "row_count": row_count,
        "summary": {"rows": row_count, **{name: summary[name] for name in _OF_THE_QUESTION if name in summary}},
        "charts": [],
        "warnings": [],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }


def fitting(raw_filter: Mapping[str, Any], whole: Mapping[str, Any]) -> Filter:
    """Return a filter that suits the rows of a result.

    Raises:
        row_filters.UnfitError: it does not. Nobody gets anything by it.
    """
    node = Filter.model_validate(raw_filter)
    row_filters.refuse_pivot(whole.get("params") or {})
    for misfit in row_filters.misfits(node, _kinds(whole), zone=_zone(whole)):
        raise row_filters.UnfitError(misfit.detail)
    return node


def of(stored: Iterable[bytes], raw_filter: Mapping[str, Any], whole: Mapping[str, Any]) -> Part:
    """Return the rows that a filter lets through, in their order, as chunks of their own.

    Raises:
        row_filters.UnfitError: the filter does not suit the rows. Nobody gets anything by it.
    """
    node = fitting(raw_filter, whole)
    kept = [rows for _, rows in divided(stored, [node], whole)]
    row_count = sum(table.num_rows for table in kept)
    made = [piece.data for piece in chunks.encode(pa.concat_tables(kept))] if kept else []
    return Part(header(whole, row_count=row_count), made, row_count)


def divided(stored: Iterable[bytes], nodes: list[Filter], whole: Mapping[str, Any]) -> Iterator[tuple[int, pa.Table]]:
    """Yield, chunk by chunk, the rows that each filter lets through, with the filter's number; none, where there are none.

    The filters are those of `fitting`. Each chunk is read once for all of them.
    """
    for data in stored:
        rows = row_masks.Rows(chunks.decode(data), _kinds(whole), _zone(whole))
        for number, node in enumerate(nodes):
            mask = rows.mask(node)
            if mask.any():
                yield number, _plain(rows.table.filter(pa.array(mask)))


def counted(
    stored: Iterable[bytes],
    nodes: list[Filter],
    whole: Mapping[str, Any],
    *,
    reached: int | None = None,
    values_of: Iterable[str] = (),
) -> Counted:
    """Count the rows that each filter lets through, and look at those that none does: which values of these columns they have.

    With `reached` only so many of the filters, the first ones, count as letting anything through to anybody.
    """
    counts, unseen = [0] * len(nodes), Unseen()
    for data in stored:
        rows = row_masks.Rows(chunks.decode(data), _kinds(whole), _zone(whole))
        masks = [rows.mask(node) for node in nodes]
        counts = [count + int(mask.sum()) for count, mask in zip(counts, masks, strict=True)]
        nobodys = ~np.logical_or.reduce([np.zeros(rows.table.num_rows, np.bool_), *masks[:reached]])
        _note(unseen, rows.table.filter(pa.array(nobodys)), values_of)
    return Counted(counts, unseen)


def _note(unseen: Unseen, table: pa.Table, values_of: Iterable[str]) -> None:
    unseen.row_count += table.num_rows
    for name in values_of:
        known = unseen.values.setdefault(name, {})
        for entry in table[name].value_counts().to_pylist():
            value = None if entry["values"] is None else str(entry["values"])
            known[value] = known.get(value, 0) + entry["counts"]


def _plain(table: pa.Table) -> pa.Table:
    """Return rows without what would come with them: a dictionary has every value of the whole, and so may a schema."""
    columns = [
        column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column
        for column in table.columns
    ]
    return pa.table(columns, names=table.column_names)


def _kinds(whole: Mapping[str, Any]) -> dict[str, ColumnType]:
    return {column["name"]: ColumnType(column["type"]) for column in whole["columns"]}


def _zone(whole: Mapping[str, Any]) -> str:
    return str((whole.get("params") or {}).get("timezone") or "UTC")
