"""The declaration of a report type: everything about it but the computation."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from analytics.catalogue.columns import Column
from analytics.catalogue.parameters import ReportParams


@dataclass(frozen=True, slots=True)
class Needs:
    """Which datasets a question reads.

    Attributes:
        required: each entry lists alternatives, best first; one of them has to be there.
        optional: what is also read where the organisation has it.
    """

    required: tuple[tuple[str, ...], ...]
    optional: tuple[str, ...] = ()

    @property
    def all(self) -> list[str]:
        """Every dataset that may be read, each once, in the order of the declaration."""
        return list(dict.fromkeys([*(name for names in self.required for name in names), *self.optional]))

    def missing(self, have: Collection[str]) -> list[tuple[str, ...]]:
        """Return what these datasets do not give: any one of each tuple would do."""
        return [names for names in self.required if not set(names).intersection(have)]


@dataclass(frozen=True, slots=True)
class ReportType:
    """What a report is, for people and for programs.

    Attributes:
        name: what is asked for; also the name of the file in `analytics/reports` that computes it.
        title: a few words for people.
        version: raised whenever the same data could give other numbers; part of what identifies a result.
        definition: what each number means, in words.
        source: where the definition comes from.
        params: the parameters, validated and filled in with defaults by pydantic.
        columns: the columns of the rows, in order, when no parameter changes them.
        datasets: what it reads. Each entry lists alternatives, best first: `(("orders", "order_lines"),)` takes
            orders, or derives them from order lines.
        optional_datasets: what it also reads where the organisation has it; its versions are part of the question too.
        needs_of: what a question with these parameters reads, where that depends on them.
    """

    name: str
    title: str
    version: int
    definition: str
    source: str
    params: type[ReportParams]
    columns: tuple[Column, ...]
    datasets: tuple[tuple[str, ...], ...]
    optional_datasets: tuple[str, ...] = ()
    needs_of: Callable[[Any], Needs] | None = None

    def needs(self, params: ReportParams) -> Needs:
        """Return what a question reads."""
        if self.needs_of is not None:
            return self.needs_of(params)
        return Needs(self.datasets, self.optional_datasets)

    def parse_params(self, raw: Mapping[str, Any], *, timezone: str, currency: str) -> ReportParams:
        """Validate parameters; a missing time zone or currency becomes the organisation's, as does the base of its rates.

        Raises:
            pydantic.ValidationError: a parameter is unknown, of the wrong type or out of range.
        """
        return self.params.model_validate(
            {"timezone": timezone, "currency": currency, "base_currency": currency, **raw}
        )
