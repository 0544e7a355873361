"""What of trying alerts runs in a rendering process."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Side:
    """A result: its header with the parameters of the report within, the files its chunks are in, and its slot."""

    header: Mapping[str, Any]
    pieces: Sequence[str]
    due_at: datetime


def preview(declared: Sequence[Mapping[str, Any]], this: Side, before: Side | None, zone: str) -> list[dict[str, Any]]:
    """Return what each alert would say of a result, seen after the one before it."""
    from analytics.alerts import trial  # noqa: PLC0415 - heavy: the web process, which names this function, never loads it

    def run(side: Side) -> trial.Run:
        chunks = (Path(piece).read_bytes() for piece in side.pieces)
        return trial.Run(side.header, chunks, trial.clock_of(side.header, side.due_at, zone=zone))

    return trial.preview(declared, run(this), None if before is None else run(before))
