"""Bounds how long a request waits for the database, also where the network or the server swallows what is sent.

PostgreSQL's own time limits need a server that runs, and TCP's need a network. Here the client looks at the clock, so that a
request whose database is frozen is answered with 503 within five seconds. Only the web is so impatient: a worker waits.
"""

import time
from typing import Any, TypeVar

import psycopg
import sqlalchemy.event
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine

from models import session

RV = TypeVar("RV")

# A request may wait for a connection that is lent to it and then for a new one, or else for one statement.
STATEMENT_SECONDS = 4.5
RESTED_SECONDS = 2.0
CONNECT_SECONDS = 2


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes too long: what it would still say, nobody waits for."""

    answered_at = 0.0

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        patience = RESTED_SECONDS if session.is_lending() or self._has_rested() else STATEMENT_SECONDS
        try:
            answer = super().wait(gen, interval, patience)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - `wait` documents it, and has no public name for it
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the database within {patience} s") from error
        self.answered_at = time.monotonic()
        return answer

    def _has_rested(self) -> bool:
        """Tell whether the pool is asking whether this connection is still alive: if it is not, there is another to be made."""
        idle = self.pgconn.transaction_status == TransactionStatus.IDLE
        return idle and time.monotonic() - self.answered_at >= session.TRUSTED_SECONDS


def impose() -> None:
    """Make every connection that this process opens from now on impatient."""
    sqlalchemy.event.listen(Engine, "do_connect", _connect)


def _connect(_dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> ImpatientConnection:
    return ImpatientConnection.connect(*arguments, **{**options, "connect_timeout": CONNECT_SECONDS})
