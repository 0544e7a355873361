"""Engines and transactions. One engine per process, made on first use, never shared across a fork."""

import contextvars
import functools
import logging
import math
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy.exc
from sqlalchemy import Engine, create_engine, event, func, select
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from models import row_access, settings, web_role

log = logging.getLogger(__name__)

# A wait of any kind ends in an error that can be retried, never in a process that hangs.
SERVER_OPTIONS = {
    "lock_timeout": "5s",
    "statement_timeout": "60s",
    # A process that falls silent in the middle of a transaction holds its locks for no longer than a lease lasts by default.
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}


def _connect_arguments(application: str) -> dict[str, str | int]:
    options = " ".join(f"-c {name}={value}" for name, value in SERVER_OPTIONS.items())
    return {
        "options": options,
        "application_name": f"reckoner {application}",
        "connect_timeout": 5,
        # A network that swallows packets is noticed in seconds, not in the minutes TCP would wait.
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 10,
        "keepalives_interval": 5,
        "keepalives_count": 2,
    }


# A connection used a moment ago is taken to be alive; the price of asking each time is one trip to the database per transaction.
TRUSTED_SECONDS = 1.0


@functools.cache
def _engine_of_process(pid: int, *, behind_door: bool) -> Engine:
    return _make_engine(f"process {pid}", behind_door=behind_door, pool_size=4, max_overflow=16)


@functools.cache
def _autocommit_engine_of_process(pid: int, *, behind_door: bool) -> Engine:
    return _make_engine(
        f"process {pid}",
        behind_door=behind_door,
        # As many as the web has threads: those beyond are closed after use, and a new one costs more than many statements.
        pool_size=16,
        max_overflow=4,
        # The one used last has its statements prepared, and need not be asked whether it is still alive.
        pool_use_lifo=True,
        isolation_level="AUTOCOMMIT",
        # There is nothing to roll back.
        skip_autocommit_rollback=True,
    )


def _make_engine(application: str, *, behind_door: bool, **options: Any) -> Engine:
    made = create_engine(
        settings.load().sqlalchemy_url,
        pool_timeout=4,
        pool_recycle=1800,
        connect_args=_connect_arguments(application),
        # What a statement was about is customers' data, and errors are logged.
        hide_parameters=True,
        **options,
    )
    event.listen(made, "checkin", _note_use)
    if behind_door:
        event.listen(made, "connect", _take_role)
        event.listen(made, "checkout", _say_for_whom)
    else:
        event.listen(made, "checkout", _ask_whether_alive)
    return made


def _note_use(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["used"] = time.monotonic()


def _ask_whether_alive(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Ask a connection that has rested whether it is still alive; else the pool makes another.

    Raises:
        sqlalchemy.exc.DisconnectionError: it is not; the pool understands this.
    """
    if time.monotonic() - record.info.get("used", math.inf) < TRUSTED_SECONDS:
        return
    try:
        connection.execute("SELECT 1", prepare=False)
        connection.rollback()
    except psycopg.OperationalError as error:
        raise sqlalchemy.exc.DisconnectionError from error


def _take_role(connection: psycopg.Connection[Any], _record: ConnectionPoolEntry) -> None:
    """Let a new connection be one to which row-level security applies, from its first statement to its last."""
    taken = connection.execute(web_role.TAKE, {"role": settings.load().web_database_role}).fetchone()
    connection.commit()
    if taken is None:
        log.warning("rows are not guarded by PostgreSQL; see `reckoner doctor`")


def _say_for_whom(connection: psycopg.Connection[Any], record: ConnectionPoolEntry, proxy: object) -> None:
    """Say whose rows are asked for, before anything can be asked over this connection.

    It is said to the session and not to each transaction, and not again to one that the same organisation had before, so
    that it costs nothing where one organisation asks often, and one trip to the database where it is another's turn.

    Raises:
        sqlalchemy.exc.DisconnectionError: the connection is not alive; the pool understands this.
    """
    door = row_access.door()
    organisation = str(door.organisation_id) if door is not None and door.organisation_id is not None else ""
    if record.info.get("organisation", "") == organisation:
        _ask_whether_alive(connection, record, proxy)
        return
    is_autocommit = connection.autocommit
    lending = _lending.set(True)
    try:
        # Not in a transaction, whose end could take it back.
        connection.autocommit = True
        connection.execute(_FOR_WHOM, (organisation,))
        connection.autocommit = is_autocommit
    except psycopg.OperationalError as error:
        raise sqlalchemy.exc.DisconnectionError from error
    finally:
        _lending.reset(lending)
    record.info["organisation"] = organisation


def is_lending() -> bool:
    """Tell whether a connection is being lent in this thread: if it does not answer, there is still another to be made."""
    return _lending.get()


_lending = contextvars.ContextVar("lending", default=False)
_FOR_WHOM = "SELECT set_config('reckoner.organisation_id', %s, false)"


def engine() -> Engine:
    """Return this process's engine; what is behind a door has one of its own, whose connections have the web's role.

    A forked child gets its own: a connection used by two processes is corrupted.
    """
    return _engine_of_process(os.getpid(), behind_door=row_access.door() is not None)


def statement_engine() -> Engine:
    """Return this process's engine, of which there are two likewise, for statements that are transactions of their own."""
    return _autocommit_engine_of_process(os.getpid(), behind_door=row_access.door() is not None)


def dispose() -> None:
    """Close the connections of this process that are not in use, and forget how they were made."""
    for make in (_engine_of_process, _autocommit_engine_of_process):
        for behind_door in (False, True):
            make(os.getpid(), behind_door=behind_door).dispose()
        make.cache_clear()


@contextmanager
def statement() -> Iterator[Session]:
    """Open a session in which each statement is a transaction of its own: one trip to the database, committed with it."""
    with Session(statement_engine(), expire_on_commit=False) as session:
        yield session


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session whose work is committed when the block ends and rolled back when it raises."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session


def was_refused(error: sqlalchemy.exc.DBAPIError) -> bool:
    """Tell whether the database itself has said no to a statement, so that nothing of it was committed.

    False: the connection was lost over it, and what became of it is not known.
    """
    said = error.orig.sqlstate if isinstance(error.orig, psycopg.Error) else None
    return said is not None and not error.connection_invalidated


def be_patient(session: Session, seconds: int) -> None:
    """Let this transaction rest between two statements for longer than others may."""
    timeout = func.set_config("idle_in_transaction_session_timeout", f"{seconds}s", True)
    session.execute(select(timeout))
