"""Bounds how long a request waits for the database, also where the network or the server swallows what is sent.

PostgreSQL's own time limits need a server that runs, and TCP's need a network. Here the client looks at the clock, so that a
request whose database is frozen is answered with 503 within five seconds. Only the web is so impatient: a worker waits.
"""

from typing import Any, TypeVar

import psycopg
import sqlalchemy.event
from psycopg.abc import PQGen
from sqlalchemy import Engine

RV = TypeVar("RV")

# A request may wait for the check of a pooled connection and then for a new one, or else for one statement.
STATEMENT_SECONDS = 4.5
CHECK_SECONDS = 2.0
CONNECT_SECONDS = 2


class ImpatientConnection(psycopg.Connection[Any]):
    """A connection that is closed when an answer takes too long: what it would still say, nobody waits for."""

    patience = STATEMENT_SECONDS

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        try:
            return super().wait(gen, interval, self.patience)
        except psycopg.errors._WaitTimeout as error:  # noqa: SLF001 - `wait` documents it, and has no public name for it
            self.pgconn.finish()
            raise psycopg.OperationalError(f"no answer from the database within {self.patience} s") from error


def bound(engine: Engine) -> None:
    """Make every connection that an engine opens from now on impatient."""
    sqlalchemy.event.listen(engine, "do_connect", _connect)
    sqlalchemy.event.listen(engine, "checkin", _expect_a_check)
    sqlalchemy.event.listen(engine, "checkout", _expect_statements)


def _connect(_dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> ImpatientConnection:
    return ImpatientConnection.connect(*arguments, **{**options, "connect_timeout": CONNECT_SECONDS})


def _expect_a_check(connection: ImpatientConnection | None, _record: Any) -> None:
    if connection is not None:
        connection.patience = CHECK_SECONDS


def _expect_statements(connection: ImpatientConnection, _record: Any, _proxy: Any) -> None:
    connection.patience = STATEMENT_SECONDS
