"""Signals that end the job a child runs: its soft time limit, and somebody's wish to cancel it.

Both raise in the main thread, wherever it is; DuckDB looks for signals while it computes and stops its query. Neither may come
between the lake's commit and the database's: an effect that exists must be recorded as one. There they are left unheard.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import celery.exceptions

from workers import errors

CANCEL = signal.SIGUSR2
SOFT_LIMIT = signal.SIGUSR1


class _Child:
    """What the handlers have to know of the child they run in."""

    interruptible = False
    told: Exception | None = None


@contextmanager
def interruptible() -> Iterator[None]:
    """Let signals end what runs inside. Only in the main thread of a worker's child."""
    # Billiard installs its own after every hook that runs at a child's start, so this is the first moment to do it.
    signal.signal(CANCEL, _cancel)
    signal.signal(SOFT_LIMIT, _run_out)
    _Child.told = None
    _Child.interruptible = True
    try:
        yield
    finally:
        _Child.interruptible = False


@contextmanager
def uninterruptible() -> Iterator[None]:
    """Let what runs inside come to its end."""
    before, _Child.interruptible = _Child.interruptible, False
    try:
        yield
    finally:
        _Child.interruptible = before


def meant_by(error: Exception) -> Exception:
    """Return why the job really ended: libraries turn our exception into theirs."""
    return _Child.told or error


def _cancel(_number: int, _frame: FrameType | None) -> None:
    if _Child.interruptible:
        _Child.told = errors.CancelledError()
        raise _Child.told


def _run_out(_number: int, _frame: FrameType | None) -> None:
    if _Child.interruptible:
        _Child.told = celery.exceptions.SoftTimeLimitExceeded()
        raise _Child.told
