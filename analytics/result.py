"""What a report's computation returns."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from analytics.catalogue.columns import Column

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Chart:
    """A picture of the result: a title and a complete Vega-Lite specification with its data inside."""

    title: str
    spec: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ResultWarning:
    """Something a reader of the numbers must know: a stable code and a sentence."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True)
class Invariant:
    """A property every correct result has, and whether this one does."""

    name: str
    holds: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to a report.

    Attributes:
        columns: one per column of `rows`, in the same order.
        rows: the cells, in a total order, so that the same question on the same data gives the same bytes.
        summary: the few numbers one reads first; JSON values, money as decimal strings.
        charts: pictures of the rows or the summary.
        warnings: what a reader must know before trusting a number.
        dropped: rows of input left out, counted by reason.
        invariants: what was checked.
        rows_read: rows of each dataset that were read.
    """

    columns: tuple[Column, ...]
    rows: "pa.Table"
    summary: Mapping[str, Any]
    charts: tuple[Chart, ...] = ()
    warnings: tuple[ResultWarning, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    invariants: tuple[Invariant, ...] = ()
    rows_read: Mapping[str, int] = field(default_factory=dict)
