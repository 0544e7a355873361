"""Lengths of time as operators write and read them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import click

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_SPAN = re.compile(r"(\d+)([smhdw])")


class Since(click.ParamType[datetime | timedelta]):
    """`90s`, `15m`, `2h`, `3d`, `1w` ago, or an ISO time, which is UTC unless it says otherwise."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime | timedelta:
        if isinstance(value, datetime | timedelta):
            return value
        if _SPAN.fullmatch(value) is not None:
            return Span().convert(value, param, ctx)
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is neither a span such as 15m, 2h or 3d nor an ISO time", param, ctx)
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


class Span(click.ParamType[timedelta]):
    """`90s`, `15m`, `2h`, `3d`, `1w`."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        if isinstance(value, timedelta):
            return value
        span = _SPAN.fullmatch(value)
        if span is None:
            self.fail(f"{value!r} is not a span such as 15m, 2h or 3d", param, ctx)
        return timedelta(seconds=int(span[1]) * _UNITS[span[2]])


def text(seconds: float) -> str:
    """Write a length of time with one unit, as exactly as it matters."""
    seconds = max(0.0, seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
