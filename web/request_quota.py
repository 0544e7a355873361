"""Counts requests against quotas: here in the process, and with the other web processes through Redis, beside the requests.

A request is decided by what this process knows and never asks Redis; `web.shared_counts` tells the others a few times a
second what was let through here, and learns what they let through. Several processes together may so let through a little
more than the quota; one whose Redis is away counts alone.

A window has a fixed length and begins, for each whose requests are counted, at another second of the minute.
"""

import functools
import math
import os
import threading
import time
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

WINDOW_SECONDS = 60
# So many are counted at once. Who was seen longest ago is forgotten for others, and begins anew.
MOST_SUBJECTS = 20_000


@dataclass(frozen=True, slots=True)
class Policy:
    """A quota: its name in the headers, and how many requests it allows in a window."""

    name: str
    quota: int


@dataclass(frozen=True, slots=True)
class Standing:
    """What is left of a quota, and how many seconds later it is whole again."""

    policy: Policy
    left: int
    seconds: int


@dataclass(slots=True)
class Window:
    """What is known of one subject in one window.

    Attributes:
        number: which window, counted since the epoch.
        own: requests let through by this process.
        sent: how many of them the other processes have been told of.
        others: requests let through by those.
    """

    number: int
    own: int = 0
    sent: int = 0
    others: int = 0

    @property
    def spent(self) -> int:
        return self.own + self.others


@dataclass(slots=True)
class Counts:
    """The windows of all whose requests are counted in this process, by name."""

    _windows: dict[str, Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, subject: str, policy: Policy, *, now: float | None = None) -> Standing | None:
        """Count a request; None: the quota is spent, and the request is neither counted nor to be answered."""
        now = time.time() if now is None else now
        with self._lock:
            window = self._window(subject, now)
            if window.spent >= policy.quota:
                return None
            window.own += 1
            return _standing(subject, policy, window, now)

    def look(self, subject: str, policy: Policy, *, now: float | None = None) -> Standing:
        """Return what is left, without counting anything."""
        now = time.time() if now is None else now
        with self._lock:
            return _standing(subject, policy, self._window(subject, now), now)

    def current(self, now: float) -> list[tuple[str, int, int]]:
        """Return name, window and what nobody else knows yet of all who have sent requests in the window that goes on now."""
        with self._lock:
            self._windows = {
                name: window for name, window in self._windows.items() if window.number == _number(name, now)
            }
            return [(name, window.number, window.own - window.sent) for name, window in self._windows.items()]

    def learn(self, found: Iterable[tuple[str, int, int, int]]) -> None:
        """Take note of what others know now: name, window, how much they were told just now, and the sum of all processes."""
        with self._lock:
            for name, number, told, total in found:
                window = self._windows.get(name)
                if window is not None and window.number == number:
                    window.sent += told
                    # Redis may have lost its memory; then those who go on counting there begin anew.
                    window.others = max(0, total - window.sent)

    def _window(self, subject: str, now: float) -> Window:
        number = _number(subject, now)
        window = self._windows.get(subject)
        if window is None or window.number != number:
            if window is None and len(self._windows) >= MOST_SUBJECTS:
                del self._windows[next(iter(self._windows))]
            window = self._windows[subject] = Window(number)
        return window


def _standing(subject: str, policy: Policy, window: Window, now: float) -> Standing:
    end = (window.number + 1) * WINDOW_SECONDS - _shift(subject)
    return Standing(policy, max(0, policy.quota - window.spent), max(1, math.ceil(end - now)))


def _number(subject: str, now: float) -> int:
    return int((now + _shift(subject)) // WINDOW_SECONDS)


def _shift(subject: str) -> int:
    """Return by how much a subject's windows begin earlier than the minute, so that not all begin at once."""
    return zlib.crc32(subject.encode()) % WINDOW_SECONDS


@functools.cache
def _counts_of_process(pid: int) -> Counts:  # noqa: ARG001 - the pid is the cache's key: a fork counts for itself
    return Counts()


def counts() -> Counts:
    return _counts_of_process(os.getpid())
