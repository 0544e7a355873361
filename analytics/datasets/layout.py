"""What is known of one export of one system: by which headers it is recognised, and which of them is which column."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Layout:
    """One export of one system. Headers are written as `headers.normalise` writes them.

    Attributes:
        dataset: what its rows are.
        telltales: headers that a file of this layout has, all of them.
        columns: canonical column to the headers it is taken from, best first; none: the export does not have it,
            whatever a header may be called.
        group: the header that names what several rows belong to, such as an order with one row for each of its lines.
        carried: headers whose value stands on the first row of a group only, and belongs to all its rows.
        advice: what somebody who imports such a file should know.
    """

    title: str
    dataset: str
    telltales: frozenset[str]
    columns: Mapping[str, tuple[str, ...]]
    group: str | None = None
    carried: frozenset[str] = field(default_factory=frozenset)
    advice: str | None = None

    @property
    def system(self) -> str:
        return self.title.partition(":")[0]


def known(  # noqa: PLR0913 - a table is easier to read by position
    title: str,
    dataset: str,
    telltales: str,
    columns: str,
    *,
    group: str | None = None,
    carried: str = "",
    advice: str | None = None,
) -> Layout:
    """Read a layout as it is written down: columns as `column<header,header`, everything separated by blanks."""
    pairs = (entry.partition("<") for entry in columns.split())
    taken = {column: tuple(filter(None, words.split(","))) for column, _, words in pairs}
    return Layout(
        title, dataset, frozenset(telltales.split()), taken, group, carried=frozenset(carried.split()), advice=advice
    )
