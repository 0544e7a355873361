"""Engines and transactions. One engine per process, made on first use, never shared across a fork."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from models import settings

# A wait of any kind ends in an error that can be retried, never in a process that hangs.
SERVER_OPTIONS = {
    "lock_timeout": "5s",
    "statement_timeout": "60s",
    "idle_in_transaction_session_timeout": "120s",
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


@functools.cache
def _engine_of_process(pid: int) -> Engine:
    return create_engine(
        settings.load().sqlalchemy_url,
        pool_size=4,
        max_overflow=16,
        pool_timeout=5,
        pool_recycle=1800,
        pool_pre_ping=True,
        # The text of an error goes into logs, and parameters are customers' data.
        hide_parameters=True,
        connect_args=_connect_arguments(f"process {pid}"),
    )


def engine() -> Engine:
    """Return this process's engine. A forked child gets its own: a connection used by two processes is corrupted."""
    return _engine_of_process(os.getpid())


@contextmanager
def reading() -> Iterator[Session]:
    """Open a session in which each statement stands alone: one trip to the database, and nothing to commit."""
    with Session(engine().execution_options(isolation_level="AUTOCOMMIT"), expire_on_commit=False) as session:
        yield session


@contextmanager
def transaction() -> Iterator[Session]:
    """Open a session whose work is committed when the block ends and rolled back when it raises."""
    with Session(engine(), expire_on_commit=False) as session, session.begin():
        yield session
