"""Filters over the rows of a result: which columns they may name, and what their values mean. Light: the web asks here."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import pydantic

from analytics.catalogue import aggregate, parameters, registry
from analytics.catalogue.columns import ColumnType
from analytics.catalogue.filters import LIST_OPS, TEXT_OPS, Filter, Op

NUMERIC = frozenset({ColumnType.INTEGER, ColumnType.DECIMAL, ColumnType.NUMBER})
_DAY_LENGTH = len("2026-11-22")

# Of each column its type; None: that is known once there is a result.
Kinds = Mapping[str, ColumnType | None]


class UnfitError(ValueError):
    """A filter that does not suit the rows; a sentence."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """What is wrong with a filter: where in its tree, a stable code, a sentence."""

    path: str
    code: str
    detail: str


def kinds(type_name: str, params: Mapping[str, Any]) -> Kinds | None:
    """Return the columns that a question's result will have; None: they cannot be told before it is there.

    Raises:
        UnfitError: the rows of this question can be shared out to nobody.
    """
    declared = registry.REPORT_TYPES.get(type_name)
    if declared is None:
        return None
    if type_name == aggregate.TYPE.name:
        return _of_aggregate(params)
    found: dict[str, ColumnType | None] = {column.name: column.type for column in declared.columns}
    segments = params.get("segment_by")
    named = [name for name in segments if isinstance(name, str)] if isinstance(segments, list | tuple) else []
    return found | {(f"by_{name}" if name in found else name): ColumnType.TEXT for name in named}


def refuse_pivot(params: Mapping[str, Any]) -> None:
    """Refuse rows whose columns are named by values: each row has the figures of all of them.

    Raises:
        UnfitError: these are such.
    """
    if params.get("pivot") is not None:
        raise UnfitError("With `pivot` each row has figures of every value; such rows cannot be shared out.")


def _of_aggregate(params: Mapping[str, Any]) -> Kinds | None:
    refuse_pivot(params)
    try:
        dimensions = [aggregate.Dimension.model_validate(raw) for raw in params.get("dimensions") or ()]
        measures = [aggregate.Measure.model_validate(raw) for raw in params.get("measures") or ()]
    except (pydantic.ValidationError, TypeError):
        return None  # Whoever plans the report says what is wrong with its parameters.
    names = [*(dimension.label for dimension in dimensions), *(params.get("segment_by") or ())]
    return dict.fromkeys(map(str, names)) | {measure.label: None for measure in measures}


def misfits(node: Filter, known: Kinds, *, zone: str, path: str = "") -> Iterator[Misfit]:
    """Yield what is wrong with a filter over these columns."""
    for name, children in (("and", node.and_), ("or", node.or_)):
        for number, child in enumerate(children or ()):
            yield from misfits(child, known, zone=zone, path=f"{path}/{name}/{number}")
    if node.not_ is not None:
        yield from misfits(node.not_, known, zone=zone, path=f"{path}/not")
    if node.column is None:
        return
    if node.column not in known:
        listed = ", ".join(known)
        yield Misfit(f"{path}/column", "unknown-column", f"The result has no column {node.column!r}; it has: {listed}")
        return
    kind = known[node.column]
    try:
        if kind is not None:
            wanted(node, kind, zone=zone)
    except UnfitError as error:
        yield Misfit(f"{path}/value", "filter-type", str(error))


def wanted(leaf: Filter, kind: ColumnType, *, zone: str) -> Any:
    """Return the value of a comparison as cells of this type are: exact numbers stay exact.

    Raises:
        UnfitError: it is of another kind.
    """
    op = Op(str(leaf.op))
    if op is Op.IS_NULL:
        return leaf.value
    if op in TEXT_OPS and kind is not ColumnType.TEXT:
        raise UnfitError(f"{op} compares text, and column '{leaf.column}' is of type {kind}.")
    if op in LIST_OPS or op is Op.BETWEEN:
        return _all_of(leaf.value, leaf, kind, zone=zone)
    return _cell(leaf.value, leaf, kind, zone=zone)


def _all_of(values: Sequence[Any], leaf: Filter, kind: ColumnType, *, zone: str) -> tuple[Any, ...]:
    return tuple(_cell(value, leaf, kind, zone=zone) for value in values)


def _cell(value: Any, leaf: Filter, kind: ColumnType, *, zone: str) -> Any:
    try:
        found = _converted(value, kind, zone=zone)
    except (ValueError, InvalidOperation, OverflowError) as error:
        raise _unfit(value, leaf, kind) from error
    if found is None:
        raise _unfit(value, leaf, kind)
    return found


def _converted(value: Any, kind: ColumnType, *, zone: str) -> Any:
    """Return the value as a cell of this type; None: it cannot be one."""
    if kind is ColumnType.BOOLEAN or isinstance(value, bool):
        return value if kind is ColumnType.BOOLEAN and isinstance(value, bool) else None
    if kind is ColumnType.NUMBER:
        number = float(value)
        return number if math.isfinite(number) else None
    if kind in NUMERIC:
        exact = Decimal(str(value))
        return exact if exact.is_finite() else None
    return _of_text(value, kind, zone=zone) if isinstance(value, str) else None


def _of_text(text: str, kind: ColumnType, *, zone: str) -> str | date | datetime:
    if kind is ColumnType.DATE:
        return date.fromisoformat(text)
    if kind is ColumnType.TIMESTAMP:
        is_day = len(text) == _DAY_LENGTH
        return parameters.instant(date.fromisoformat(text) if is_day else datetime.fromisoformat(text), zone)
    return text


def _unfit(value: Any, leaf: Filter, kind: ColumnType) -> UnfitError:
    return UnfitError(f"The filter compares column '{leaf.column}' ({kind}) with {value!r}; give a value of that type.")
