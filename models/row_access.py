"""Whose rows the work of this moment may see: workers, beat and the command line see all, a request those of its caller.

Before its key has said whose those are, a request sees none. `models.session` has PostgreSQL hold to it.
"""

import contextlib
import contextvars
import uuid
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(slots=True)
class Door:
    """What one request sees: nothing, until the door is opened, once, for one organisation."""

    organisation_id: uuid.UUID | None = None

    def open_for(self, organisation_id: uuid.UUID) -> None:
        if self.organisation_id not in {None, organisation_id}:
            raise RuntimeError("a request that is for one organisation cannot be for another")
        self.organisation_id = organisation_id


class _Process:
    """Whether what stands before no door sees nothing in this process, or everything."""

    is_shut = False


# None: there is no door, and everything is seen.
_door: contextvars.ContextVar[Door | None] = contextvars.ContextVar("door")


def shut() -> None:
    """Let this process see nothing, from now on, but behind a door, or where it is said that all rows are meant."""
    _Process.is_shut = True


def door() -> Door | None:
    """Return the door this work stands before; None: it sees all rows."""
    # A new one each time: opening it would let nobody through.
    return _door.get(Door() if _Process.is_shut else None)


@contextlib.contextmanager
def behind(door: Door) -> Iterator[None]:
    """See no more than a door lets through."""
    token = _door.set(door)
    try:
        yield
    finally:
        _door.reset(token)


@contextlib.contextmanager
def of_all_organisations() -> Iterator[None]:
    """See all rows, in the web's process: for what concerns the service as a whole, and never to answer with a caller's data."""
    token = _door.set(None)
    try:
        yield
    finally:
        _door.reset(token)


@contextlib.contextmanager
def of_one_organisation(organisation_id: uuid.UUID) -> Iterator[None]:
    """See the rows of one organisation: for work on a caller's behalf in another thread than the request's."""
    with behind(Door(organisation_id)):
        yield
