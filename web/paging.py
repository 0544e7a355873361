"""Pages of lists. One row more than a page holds is fetched, which tells whether there is a next page."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from urllib.parse import urlencode

import pydantic

Row = TypeVar("Row")


class Asked(Protocol):
    """What every list can be asked."""

    @property
    def limit(self) -> int: ...

    def model_dump(self, *, mode: str, exclude_none: bool, exclude_defaults: bool) -> dict[str, pydantic.JsonValue]: ...


def to_fetch(asked: Asked) -> int:
    """Return how many rows to fetch for a page."""
    return asked.limit + 1


def cut(fetched: Sequence[Row], asked: Asked, *, path: str, end: Callable[[Row], str]) -> tuple[list[Row], str | None]:
    """Return the rows of a page, and the address of the next one if there is one.

    Args:
        fetched: as many as `to_fetch` says, or all that are left.
        asked: the query of the request, which the next page's repeats.
        path: of the list.
        end: gives the cursor that stands for a row.
    """
    page = list(fetched[: asked.limit])
    if len(fetched) <= asked.limit:
        return page, None
    values = asked.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return page, f"{path}?{urlencode({**values, 'cursor': end(page[-1])})}"
