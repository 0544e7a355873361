"""What of an exception goes into the log: its type, where it came from, and codes; never its words.

The words of a database, a parser or a look-up quote what they stumble over, and that is a customer's data.
"""

import traceback
from types import TracebackType
from typing import Any

ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

# The innermost frames say where it happened.
MOST_FRAMES = 30
MOST_CAUSES = 10
# These speak of connections and processes, and are never shown a value.
SPEAKING_FREELY = {"amqp", "billiard", "celery", "kombu", "redis"}


def describe(exc_info: ExcInfo) -> list[dict[str, Any]]:
    """Return an exception and what caused it, innermost last, as JSON values."""
    described: list[dict[str, Any]] = []
    error: BaseException | None = exc_info[1]
    frames = exc_info[2]
    while error is not None and len(described) < MOST_CAUSES:
        described.append(_one(error, frames))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        frames = error.__traceback__ if error is not None else None
    return described


def as_text(exc_info: ExcInfo) -> str:
    """Return the same for people: a line per frame."""
    lines = []
    for one in describe(exc_info):
        codes = ", ".join(f"{name} {value}" for name, value in one.items() if name not in ("type", "frames", "among"))
        lines.append(one["type"] + (f" ({codes})" if codes else ""))
        lines += [f"  {frame}" for frame in one["frames"]]
    return "\n".join(lines)


def _one(error: BaseException, frames: TracebackType | None) -> dict[str, Any]:
    described: dict[str, Any] = {"type": _name(type(error)), **_codes(error), "frames": _frames(frames)}
    if isinstance(error, BaseExceptionGroup):
        among = error.exceptions[:MOST_CAUSES]
        described["among"] = [_one(member, member.__traceback__) for member in among]
    return described


def _codes(error: BaseException) -> dict[str, Any]:
    """Return what an exception says in codes, and its words where they are safe."""
    codes: dict[str, Any] = {}
    if isinstance(error, OSError) and error.errno is not None:
        codes["errno"] = error.errno
    sqlstate = getattr(getattr(error, "orig", error), "sqlstate", None)
    if isinstance(sqlstate, str):
        codes["sqlstate"] = sqlstate
    if type(error).__module__.split(".")[0] in SPEAKING_FREELY:
        codes["detail"] = str(error)[:500]
    return codes


def _frames(frames: TracebackType | None) -> list[str]:
    found = [(frame.f_code, line) for frame, line in traceback.walk_tb(frames)]
    return [f"{code.co_filename}:{line} {code.co_name}" for code, line in found[-MOST_FRAMES:]]


def _name(kind: type[BaseException]) -> str:
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
