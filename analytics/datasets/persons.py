"""How a customer is found in each dataset: by which column a row names them, and by which it belongs to a record of theirs."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from analytics.datasets import wording


@dataclass(frozen=True, slots=True)
class Link:
    """A column whose value says that a row belongs to a record of another dataset.

    Attributes:
        column: the column of this dataset.
        parent: the dataset of the record, and `key` its column there.
    """

    column: str
    parent: str
    key: str


@dataclass(frozen=True, slots=True)
class Trace:
    """How one dataset refers to people.

    Attributes:
        column: names the customer; None where no column does.
        links: what makes a row the customer's although it does not name them. A row that names somebody else stays theirs.
    """

    column: str | None
    links: tuple[Link, ...] = ()


# An order and its lines are known by each other: exports name the customer in one of the two or in both.
TRACES: Mapping[str, Trace] = MappingProxyType(
    {
        "customers": Trace("customer_id"),
        "orders": Trace("customer_id", (Link("order_id", "order_lines", "order_id"),)),
        "order_lines": Trace("customer_id", (Link("order_id", "orders", "order_id"),)),
        "deals": Trace("customer_id"),
        "deal_stages": Trace(None, (Link("deal_id", "deals", "deal_id"),)),
        "leads": Trace("customer_id"),
        # Before somebody is a customer they are reached as a lead.
        "touches": Trace("person_id", (Link("person_id", "leads", "lead_id"),)),
        "activities": Trace("customer_id", (Link("deal_id", "deals", "deal_id"),)),
        "subscriptions": Trace("customer_id"),
    }
)
NOBODYS = frozenset({"fx_rates"})
"""Datasets that are about no person."""

# Whose own records are looked for by the rows of other datasets, and the column that identifies them.
PARENTS: Mapping[str, str] = MappingProxyType(
    {link.parent: link.key for trace in TRACES.values() for link in trace.links}
)


def canonical(customer_id: str) -> str:
    """Return an id as the cleaning of an import leaves it: trimmed, and in the composed form of Unicode.

    Other white space than an import trims is a part of the id, or another customer would be found.
    """
    return unicodedata.normalize("NFC", customer_id.strip(wording.WHITESPACE))
