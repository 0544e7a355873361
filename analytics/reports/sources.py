"""Chooses the table of facts a question is answered from, and brings every column it names onto one table."""

from collections.abc import Mapping
from dataclasses import dataclass

from ibis.expr import types as ir

from analytics import errors
from analytics.catalogue import filters, parameters

# A refund export may name the order it refunds; it is then kept as a further column.
ORIGINAL_ORDER = "original_order_id"
_FACT_COLUMNS = ("order_id", "customer_id", "ordered_at", "amount", "currency", "kind")
# What an order still knows when it has been summed from its lines.
_ORDER_COLUMNS = frozenset(_FACT_COLUMNS)


@dataclass(frozen=True, slots=True)
class Source:
    """Rows to be counted, before anything is left out.

    Attributes:
        table: the fact columns; `f_<name>` for each column a filter names; `seg_<i>` for each of `segment_by`.
        dataset: which dataset the rows are of.
        row_filters: what rows must satisfy.
        order_filters: what orders must satisfy once they are summed from lines.
        datasets: everything that was joined.
    """

    table: ir.Table
    dataset: str
    row_filters: tuple[filters.Filter, ...]
    order_filters: tuple[filters.Filter, ...]
    datasets: tuple[str, ...]

    @property
    def derived(self) -> bool:
        """Whether orders still have to be summed from lines."""
        return self.dataset == "order_lines"


def filter_column(name: str) -> str:
    return f"f_{name}"


def segment_column(position: int) -> str:
    return f"seg_{position}"


def choose(tables: Mapping[str, ir.Table], params: parameters.ReportParams) -> Source:
    """Pick orders where they were imported and know every column, else order lines; join what else is named.

    A name is looked for in the facts first, then in `customers`; with orders imported, a column that only lines
    have makes the lines the facts, so that it is applied before orders are summed.

    Raises:
        errors.Refusal: neither dataset is there, or no dataset has a column.
    """
    conjuncts = tuple(params.filter.conjuncts()) if params.filter is not None else ()
    named = tuple(dict.fromkeys([*(name for part in conjuncts for name in part.columns()), *params.segment_by]))
    dataset = _pick(tables, named)
    owners = {name: _owner(tables, dataset, name) for name in named}
    order_level = tuple(part for part in conjuncts if dataset == "order_lines" and _is_about_orders(part, owners))
    return Source(
        table=_widen(tables, dataset, owners, params),
        dataset=dataset,
        row_filters=tuple(part for part in conjuncts if part not in order_level),
        order_filters=order_level,
        datasets=tuple(dict.fromkeys([dataset, *owners.values()])),
    )


def _pick(tables: Mapping[str, ir.Table], named: tuple[str, ...]) -> str:
    present = [name for name in ("orders", "order_lines") if name in tables]
    if not present:
        raise errors.Refusal(
            "missing-dataset", "This report needs orders or order_lines; import one of them.", {"datasets": ["orders"]}
        )
    customers = tables["customers"].columns if "customers" in tables else ()
    only_lines = len(present) == 2 and any(
        name not in tables["orders"].columns and name not in customers and name in tables["order_lines"].columns
        for name in named
    )
    return "order_lines" if only_lines else present[0]


def _owner(tables: Mapping[str, ir.Table], dataset: str, name: str) -> str:
    candidates = [dataset, *(other for other in ("orders", "customers") if other in tables and other != dataset)]
    if dataset == "order_lines" and "orders" in tables and "customers" in tables:
        candidates = ["order_lines", "orders", "customers"]
    for candidate in candidates:
        if name in tables[candidate].columns:
            return candidate
    known = sorted({column for candidate in candidates for column in tables[candidate].columns})
    raise errors.Refusal(
        "unknown-column",
        f"No column '{name}' in {', '.join(candidates)}; there are: {', '.join(known)}.",
        {"column": name, "columns": known},
    )


def _is_about_orders(part: filters.Filter, owners: Mapping[str, str]) -> bool:
    names = set(part.columns())
    return "amount" in names and all(name in _ORDER_COLUMNS or owners[name] != "order_lines" for name in names)


def _widen(
    tables: Mapping[str, ir.Table], dataset: str, owners: Mapping[str, str], params: parameters.ReportParams
) -> ir.Table:
    """Return the fact columns and every named column, under names that cannot collide."""
    base = tables[dataset]
    kept = [*_FACT_COLUMNS, *([ORIGINAL_ORDER] if ORIGINAL_ORDER in base.columns else [])]
    wide = base.select(
        *[base[name] for name in kept],
        **{f"x_{name}": base[name] for name, owner in owners.items() if owner == dataset},
    )
    for other, key in (("orders", "order_id"), ("customers", "customer_id")):
        names = [name for name, owner in owners.items() if owner == other and other != dataset]
        if names:
            joined = tables[other].select(
                **{f"key_{other}": tables[other][key]}, **{f"x_{name}": tables[other][name] for name in names}
            )
            wide = wide.left_join(joined, wide[key] == joined[f"key_{other}"]).drop(f"key_{other}")
    filtered = [] if params.filter is None else dict.fromkeys(params.filter.columns())
    return wide.select(
        *kept,
        **{filter_column(name): wide[f"x_{name}"] for name in filtered},
        **{segment_column(i): wide[f"x_{name}"].cast("string") for i, name in enumerate(params.segment_by)},
    )
