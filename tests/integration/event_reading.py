"""Reads streams of server-sent events, as the standard has them."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event."""

    kind: str
    id: str
    data: Any

    @property
    def status(self) -> str:
        return str(self.data["status"])


@dataclass(frozen=True)
class Comment:
    """A line that says nothing but that the server is there."""


@dataclass(frozen=True)
class Retry:
    """After how many milliseconds to come again."""

    milliseconds: int


def read(lines: Iterable[str]) -> Iterator[Event | Comment | Retry]:
    """Read a stream as it comes."""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            yield Comment()
        elif line:
            name, _, value = line.partition(": ")
            assert name in {"event", "id", "data", "retry"}, line
            assert name not in fields, line
            fields[name] = value
        elif "retry" in fields:
            yield Retry(int(fields.pop("retry")))
        elif fields:
            yield Event(fields["event"], fields["id"], json.loads(fields["data"]))
            fields = {}
    assert not fields, "the stream broke off in the middle of an event"


def events(text: str) -> list[Event]:
    """Return the events of a whole stream."""
    return [one for one in read(text.splitlines()) if isinstance(one, Event)]
