"""Is the web server frozen? gunicorn's arbiter replaces a worker that hangs; this is about the arbiter itself.

A request that is not answered is not proof: all threads may be busy with large uploads. An arbiter that also has not taken
a single turn of its loop, which it does every second, is.
"""

import dataclasses
import http.client
from urllib.parse import urlsplit

from cli.proc import Proc

STILL_SECONDS = 25.0
UNANSWERED_SECONDS = 5.0
PROBE_SECONDS = 5.0


@dataclasses.dataclass(slots=True)
class FrozenWeb:
    """Remembers since when the arbiter has not moved, and since when the server has not answered."""

    _process: Proc | None = None
    _turns: int | None = None
    _moved_at: float = 0.0
    _unanswered_since: float | None = None

    def why_dead(self, process: Proc, url: str, *, now: float) -> str | None:
        """Say why the server counts as dead, at a monotonic time; None: it does not."""
        turns = process.turns()
        if (process, turns) != (self._process, self._turns):
            self._process, self._turns, self._moved_at = process, turns, now
        # While the arbiter moves nobody need be asked; and its worker may go on answering without it.
        if now - self._moved_at < STILL_SECONDS or answers(url):
            self._unanswered_since = None
            return None
        if self._unanswered_since is None:
            self._unanswered_since = now
        if now - self._unanswered_since < UNANSWERED_SECONDS:
            return None
        return f"does not answer, and its arbiter has not moved for {now - self._moved_at:.0f} s"


def answers(url: str) -> bool:
    """Whether a web server says that it is alive, within a few seconds."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
