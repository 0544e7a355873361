"""A running stack that knows probes, with links that can be broken and a database that can be looked into."""

import contextlib
import functools
import secrets
import shutil
import signal
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import redis
import sqlalchemy
from sqlalchemy.orm import Session

from cli import procfile
from cli.stack import Stack
from models import api_key, organisations, settings
from tests.chaos.harness.proxy import TcpProxy
from tests.chaos.harness.redis_apart import RedisApart
from tests.integration import mail_server

PROCFILE = Path(__file__).parents[1] / "stack" / "Procfile"
WORKERS_APP = "tests.chaos.stack.workers"
# How long the database may be away before looking into it is given up: it is being killed all the time.
DATABASE_SECONDS = 60.0

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Which stack a scenario needs. Scenarios with equal plans share one."""

    links: tuple[str, ...] = ()
    """Lines of the Procfile whose ways to PostgreSQL and Redis lead through proxies."""
    environment: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ("flower",)
    """Lines of the Procfile that are left out."""
    twice: tuple[str, ...] = ()
    """Lines that run twice; the second is called `NAME-2`."""
    wrapped: Mapping[str, str] = field(default_factory=dict)
    """Lines and the command that is put in front of them, such as one that shifts the clock."""
    apps: Mapping[str, str] = field(default_factory=dict)
    """Lines that run another Celery application than the others."""
    grace_seconds: float = 60.0
    redis_apart: bool = False
    """Redis is no child of the supervisor: the scenario ends and starts it, as `ChaosStack.redis_apart`."""
    redis_at_start: bool = True
    """Whether a Redis that is apart is up when the stack starts."""
    receives: bool = False
    """Whether it may send: e-mail into `ChaosStack.mailbox`, files into `ChaosStack.delivered`, webhooks to this machine."""

    def __hash__(self) -> int:
        return hash(repr(self))


DEFAULT = Plan()
# The suite's claims are made with the product's own lease, sweep and limits. Four slots a worker, because its jobs mostly wait.
ENVIRONMENT = {"WORKER_CONCURRENCY": "4", "ENGINE_MEMORY": "512MB", "ENGINE_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Links:
    """The two ways out of one process of the stack."""

    database: TcpProxy
    broker: TcpProxy

    def all(self) -> tuple[TcpProxy, TcpProxy]:
        return (self.database, self.broker)

    def heal(self) -> None:
        for proxy in self.all():
            proxy.heal()


@dataclass(frozen=True, slots=True)
class Organisation:
    """Who submits: an organisation of the scenario's own, and its key."""

    id: uuid.UUID
    name: str
    api_key: str


class ChaosStack:
    """`reckoner up` with the tests' Procfile."""

    def __init__(self, home: Path, plan: Plan = DEFAULT) -> None:
        self.plan = plan
        self.home = home
        self.failpoints = home / "failpoints"
        self.links: dict[str, Links] = {}
        self.delivered = home / "delivered"
        self._redis = RedisApart(home=home, sockets=self.settings.socket_folder) if plan.redis_apart else None
        self._mailbox: mail_server.Mailbox | None = None
        self._receiving = contextlib.ExitStack()
        self.points: Counter[str] = Counter()
        """How often each point of the code at which something was made to fail was reached."""
        self.stack = Stack(
            home=home,
            start_seconds=180.0,
            arguments=(
                "--procfile",
                str(home / "Procfile"),
                "--grace",
                str(plan.grace_seconds),
            ),
            environment=ENVIRONMENT | self._environment() | dict(plan.environment),
        )

    def start(self) -> None:
        self.failpoints.mkdir(mode=0o777, parents=True, exist_ok=True)
        self._make_links()
        if self.plan.receives:
            self._receive()
        (self.home / "Procfile").write_text(self._procfile(), encoding="utf-8")
        if self._redis is not None and self.plan.redis_at_start:
            self._redis.start()
        self.stack.start()

    def stop(self) -> None:
        try:
            self.stack.stop()
        finally:
            self._receiving.close()
            for links in self.links.values():
                for proxy in links.all():
                    proxy.stop()
            self.links.clear()
            if self._redis is not None:
                self._redis.kill(signal.SIGTERM)

    def remove(self) -> None:
        """Remove everything but its log."""
        for entry in self.home.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry, ignore_errors=True)

    @property
    def pids(self) -> dict[str, int]:
        return self.stack.pids

    @property
    def web_url(self) -> str:
        return self.stack.web_url

    @property
    def redis_apart(self) -> RedisApart:
        """The server that the plan wants apart."""
        if self._redis is None:
            raise AssertionError("the plan of this stack has no Redis apart")
        return self._redis

    @property
    def mailbox(self) -> mail_server.Mailbox:
        """What its mail server has got."""
        if self._mailbox is None:
            raise AssertionError("the plan of this stack receives nothing")
        return self._mailbox

    def _receive(self) -> None:
        self.delivered.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._mailbox = self._receiving.enter_context(mail_server.receiving())
        self.stack.environment |= {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self._mailbox.port),
            "SMTP_SECURITY": "none",
            "MAIL_FROM": "Reckoner <reports@example.com>",
            "DELIVER_TO_PRIVATE": "true",
            "DELIVERY_FOLDERS": str(self.delivered),
        }

    def _environment(self) -> dict[str, str]:
        of_redis = {} if self._redis is None else {"REDIS_URL": self._redis.url}
        return {"FAILPOINTS_DIR": str(self.failpoints), **of_redis}

    @functools.cached_property
    def settings(self) -> settings.Settings:
        return settings.Settings(reckoner_home=self.home, database_url=None, redis_url=None)

    @property
    def redis_socket(self) -> Path:
        return self.settings.socket_folder / "redis.sock"

    @property
    def database_socket(self) -> Path:
        return self.settings.socket_folder / ".s.PGSQL.5432"

    def redis(self) -> redis.Redis:
        """Speak to Redis itself, past all proxies."""
        return redis.Redis(unix_socket_path=str(self.redis_socket), socket_timeout=5)

    def connect(self, *, autocommit: bool = True) -> psycopg.Connection[Row]:
        """Open the database itself, past all proxies."""
        return psycopg.connect(
            dbname="reckoner",
            user="reckoner",
            host=str(self.settings.socket_folder),
            autocommit=autocommit,
            connect_timeout=5,
        )

    def rows(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> list[Row]:
        """Ask the database; where it is being restarted this moment, ask again."""
        deadline = time.monotonic() + DATABASE_SECONDS
        while True:
            try:
                with contextlib.closing(self.connect()) as connection:
                    return connection.execute(query.encode(), parameters).fetchall()
            except psycopg.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)

    def one(self, query: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Any:
        """Return the first column of the first row; None where there is none."""
        rows = self.rows(query, parameters)
        return rows[0][0] if rows else None

    def new_organisation(self) -> Organisation:
        """Make an organisation and a key of it, past the command line, whose start would take a second."""
        name = f"chaos {secrets.token_hex(6)}"
        with self._session() as db:
            made = organisations.ensure(db, name)
            issued = organisations.issue_key(db, made, name="chaos", scopes=[api_key.Scope.ADMIN])
            return Organisation(made.id, name, issued.secret)

    @contextlib.contextmanager
    def _session(self) -> Iterator[Session]:
        engine = sqlalchemy.create_engine(self.settings.sqlalchemy_url, poolclass=sqlalchemy.NullPool)
        try:
            with Session(engine) as db, db.begin():
                yield db
        finally:
            engine.dispose()

    def _make_links(self) -> None:
        for name in self.plan.links:
            links = Links(
                TcpProxy(self.database_socket, name=f"{name} to database"),
                TcpProxy(self.redis_socket, name=f"{name} to broker"),
            )
            for proxy in links.all():
                proxy.start()
            self.links[name] = links

    def _procfile(self) -> str:
        parsed = procfile.read(PROCFILE)
        lines = [f"{parsed.release.name}: {parsed.release.command}"] if parsed.release else []
        for entry in parsed.processes:
            if entry.name in self.plan.without:
                continue
            command = entry.command.replace(WORKERS_APP, self.plan.apps.get(entry.name, WORKERS_APP))
            lines.append(self._line(entry.name, command))
            if entry.name in self.plan.twice:
                lines.append(self._line(f"{entry.name}-2", command.replace("@%h", "-2@%h")))
        return "\n".join(lines) + "\n"

    def _line(self, name: str, command: str) -> str:
        links = self.links.get(name)
        assignments = ""
        if links is not None:
            # Each socket accepts only local, trusted connections, and to the servers the proxy is local.
            database = f"postgresql://reckoner@127.0.0.1:{links.database.port}/reckoner?sslmode=disable"
            # A process that is told of a database by URL refuses failpoints otherwise: that would be production.
            allowed = "ALLOW_UNSAFE=true "
            assignments = f"{allowed}DATABASE_URL='{database}' REDIS_URL=redis://127.0.0.1:{links.broker.port}/0 "
        wrapping = self.plan.wrapped.get(name)
        # The supervisor puts `env` before a line that starts with an assignment; before a program, nobody would.
        prefix = f"{assignments}{wrapping} " if wrapping else assignments
        return f"{name}: {prefix}{command}"
