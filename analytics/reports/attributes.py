"""Brings the columns a question names onto the rows of one dataset: its own first, then those of what it refers to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import parameters
from analytics.reports import filters, sources

# Where else a name may be, and the column that leads there.
_REFERRED = {"orders": "order_id", "customers": "customer_id"}


@dataclass(frozen=True, slots=True)
class Attached:
    """Rows of a dataset with what the question names.

    Attributes:
        table: the columns asked for; `f_<name>` per column of the filter; `seg_<i>` per column of `segment_by`, as text.
        own: of the segment columns, those that are the dataset's own and not of what it refers to.
        wanted: what the filter asks of a row; None without a filter.
    """

    table: ir.Table
    segments: tuple[str, ...]
    own: tuple[str, ...]
    wanted: ir.BooleanValue | None


def attach(
    tables: Mapping[str, ir.Table], dataset: str, columns: Mapping[str, str], params: parameters.ReportParams
) -> Attached:
    """Return the rows with the given columns (new name to the dataset's own name) and the named ones.

    Raises:
        errors.Refusal: the dataset is not there, no dataset has a column, or a filter value does not suit its column.
    """
    if dataset not in tables:
        raise errors.Refusal("missing-dataset", f"This report needs {dataset}; import it.", {"datasets": [dataset]})
    base = tables[dataset]
    filtered = () if params.filter is None else tuple(dict.fromkeys(params.filter.columns()))
    named = tuple(dict.fromkeys([*filtered, *params.segment_by]))
    for name in columns.values():
        _find(tables, [dataset], name)
    owners = {name: _owner(tables, dataset, name) for name in named}
    keys = {other: key for other, key in _REFERRED.items() if other != dataset and other in owners.values()}
    wide = base.select(
        **{f"c_{new}": base[name] for new, name in columns.items()},
        **{f"x_{name}": base[name] for name in named if owners[name] == dataset},
        **{f"k_{other}": base[key] for other, key in keys.items()},
    )
    for other, key in keys.items():
        names = [name for name in named if owners[name] == other]
        wide = _join(wide, tables[other], other, key=key, names=names)
    segments = tuple(sources.segment_column(i) for i in range(len(params.segment_by)))
    table = wide.select(
        **{new: wide[f"c_{new}"] for new in columns},
        **{sources.filter_column(name): wide[f"x_{name}"] for name in filtered},
        **{column: wide[f"x_{name}"].cast("string") for column, name in zip(segments, params.segment_by, strict=True)},
    )
    own = tuple(column for column, name in zip(segments, params.segment_by, strict=True) if owners[name] == dataset)
    wanted = None
    if params.filter is not None:
        cells = {name: table[sources.filter_column(name)] for name in filtered}
        wanted = filters.condition(params.filter, cells, zone=params.timezone)
    return Attached(table, segments, own, wanted)


def _join(wide: ir.Table, table: ir.Table, other: str, *, key: str, names: Sequence[str]) -> ir.Table:
    there = table.select(**{f"there_{other}": table[key]}, **{f"x_{name}": table[name] for name in names})
    return wide.left_join(there, wide[f"k_{other}"] == there[f"there_{other}"])


def _owner(tables: Mapping[str, ir.Table], dataset: str, name: str) -> str:
    own = tables[dataset].columns
    others = [other for other, key in _REFERRED.items() if other != dataset and other in tables and key in own]
    return _find(tables, [dataset, *others], name)


def _find(tables: Mapping[str, ir.Table], candidates: Sequence[str], name: str) -> str:
    """Return the first dataset that has a column.

    Raises:
        errors.Refusal: none has it.
    """
    for candidate in candidates:
        if name in tables[candidate].columns:
            return candidate
    known = sorted({column for candidate in candidates for column in tables[candidate].columns})
    raise errors.Refusal(
        "unknown-column",
        f"No column '{name}' in {', '.join(candidates)}; there are: {', '.join(known)}.",
        {"column": name, "columns": known},
    )
