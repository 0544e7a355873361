"""Schedules as people name them on the command line, and lists read page by page."""

from typing import Any

from cli import api
from cli.exit_codes import ExitCode
from cli.invocation import Failure

PATH = "/v1/schedules"
PAGE = 100


def find(server: api.Api, wanted: str) -> dict[str, Any]:
    """Return the schedule of this id, or the only one of this name."""
    named = server.get(PATH, name=wanted)["data"]
    if len(named) > 1:
        ids = ", ".join(one["id"] for one in named)
        raise Failure(f"several schedules are called {wanted!r}; name one by its id: {ids}", ExitCode.USAGE)
    return named[0] if named else server.get(f"{PATH}/{api.quoted(wanted)}")


def pages(server: api.Api, path: str, limit: int) -> list[dict[str, Any]]:
    """Return the first entries of a list, of as many pages as it takes."""
    found: list[dict[str, Any]] = []
    following: str | None = f"{path}{'&' if '?' in path else '?'}limit={min(limit, PAGE)}"
    while following is not None and len(found) < limit:
        page = server.get(following)
        found += page["data"]
        following = page["next"]
    return found[:limit]
