"""Finds out whether a file is an export that is known as a whole. Light: it knows names only.

docs/importing.md names the sources. A header that no layout mentions may still be a usual name: see `aliases`.
"""

from collections.abc import Collection

from analytics.datasets import layouts_of_crms, layouts_of_shops
from analytics.datasets.layout import Layout

ALL: tuple[Layout, ...] = (*layouts_of_crms.LAYOUTS, *layouts_of_shops.LAYOUTS)


def recognise(headers: Collection[str]) -> tuple[Layout, ...]:
    """Return the layouts whose telltales are all among these normalised headers, the most telling first."""
    seen = frozenset(headers)
    return tuple(sorted((one for one in ALL if one.telltales <= seen), key=lambda one: -len(one.telltales)))


def of_dataset(headers: Collection[str], dataset: str) -> Layout | None:
    """Return the most telling layout of a file whose rows are to belong to a dataset."""
    return next((one for one in recognise(headers) if one.dataset == dataset), None)
