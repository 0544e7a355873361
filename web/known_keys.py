"""Remembers for a moment who a valid API key speaks for, so that a caller of many requests is looked up once a second."""

import hashlib
import threading
import time
from dataclasses import dataclass, field
from typing import Generic, TypeVar

Who = TypeVar("Who")

# A revoked key may be accepted for this much longer.
SECONDS = 1.0
MOST = 1_024


@dataclass(slots=True)
class KnownKeys(Generic[Who]):
    """Who the keys seen in the last second speak for, by the SHA-256 of their secrets: the secrets themselves are not kept."""

    _known: dict[bytes, tuple[float, Who]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find(self, secret: str) -> Who | None:
        known = self._known.get(_digest(secret))
        if known is None:
            return None
        until, who = known
        return who if time.monotonic() < until else None

    def was_valid(self, secret: str) -> bool:
        """Tell whether a key was valid when it was last looked up here: whoever sends it does not guess."""
        return _digest(secret) in self._known

    def forget(self, secret: str) -> None:
        with self._lock:
            self._known.pop(_digest(secret), None)

    def remember(self, secret: str, who: Who, *, looked_at: float, seconds_left: float | None) -> None:
        """Remember a valid key.

        Args:
            secret: the key.
            who: the caller.
            looked_at: by the monotonic clock, no later than the database was asked.
            seconds_left: until the key expires; None: it does not.
        """
        until = looked_at + (SECONDS if seconds_left is None else min(SECONDS, seconds_left))
        with self._lock:
            if len(self._known) >= MOST:
                self._make_room()
            self._known[_digest(secret)] = (until, who)

    def _make_room(self) -> None:
        now = time.monotonic()
        self._known = {digest: known for digest, known in self._known.items() if now < known[0]}
        if len(self._known) >= MOST:
            self._known = {}


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
