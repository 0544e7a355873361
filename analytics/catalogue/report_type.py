"""The declaration of a report type: everything about it but the computation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analytics.catalogue.columns import Column
from analytics.catalogue.parameters import ReportParams


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

    def parse_params(self, raw: Mapping[str, Any], *, timezone: str, currency: str) -> ReportParams:
        """Validate parameters; a missing time zone or currency becomes the organisation's, as does the base of its rates.

        Raises:
            pydantic.ValidationError: a parameter is unknown, of the wrong type or out of range.
        """
        return self.params.model_validate(
            {"timezone": timezone, "currency": currency, "base_currency": currency, **raw}
        )
