"""A real PostgreSQL for the tests of this folder: started once, migrated, reached through its Unix socket alone."""

import math
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import flask.testing
import pytest

from cli import embedded
from cli.process_spec import ProcessSpec
from models import migrate, session, settings, vault, webhooks
from tests.integration import lake_hands, mail_server, web_api
from tests.integration import receiver as receiver_
from tests.integration.mail_server import Mailbox
from web import app
from workers import publisher
from workers.deliveries import sending

START_SECONDS = 60.0
STOP_SECONDS = 20.0


@pytest.fixture(scope="session")
def database() -> Iterator[settings.Settings]:
    """The settings of a fresh home whose embedded database is running and migrated."""
    # Not pytest's own folder: the path of a socket must be short.
    home = Path(tempfile.mkdtemp(prefix="reckoner-test-"))
    with pytest.MonkeyPatch.context() as environment:
        for name in settings.Settings.model_fields:
            environment.delenv(name.upper(), raising=False)
        environment.setenv("RECKONER_HOME", str(home))
        environment.setenv("LEASE_SECONDS", "30")
        environment.setenv("ENCRYPTION_KEYS", vault.new_key())
        settings.load.cache_clear()
        configured = settings.load()
        postgres, _redis = embedded.specs(configured, environment=dict(os.environ), say=print)
        process = _start(postgres, home / "postgres.log")
        try:
            migrate.upgrade()
            yield configured
        finally:
            session.dispose()
            _stop(process)
            settings.load.cache_clear()
            shutil.rmtree(home, ignore_errors=True)


def _start(spec: ProcessSpec, log: Path) -> subprocess.Popen[bytes]:
    assert spec.prepare is not None
    spec.prepare()
    with log.open("wb") as output:
        process = subprocess.Popen(
            spec.argv,
            env=dict(spec.environment),
            cwd=spec.working_folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            user=spec.account.uid if spec.account else None,
            group=spec.account.gid if spec.account else None,
            # A Ctrl-C at the keyboard must reach the tests before it reaches their database.
            start_new_session=True,
        )
    deadline = time.monotonic() + START_SECONDS
    while not spec.is_ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"PostgreSQL did not start:\n{log.read_text()}")
        time.sleep(0.05)
    return process


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def http(database: settings.Settings) -> flask.testing.FlaskClient:
    """The web application, called without a socket in between."""
    return app.create_app().test_client()


@pytest.fixture
def caller(http: flask.testing.FlaskClient) -> web_api.Caller:
    """The admin key of an organisation of its own, so that tests do not see each other's jobs."""
    return web_api.new_caller(http)


@pytest.fixture
def ready(caller: web_api.Caller) -> web_api.Caller:
    """An organisation that has orders."""
    web_api.give_dataset(caller, "orders", version=3, rows=42)
    return caller


@pytest.fixture
def folder(database: settings.Settings) -> Path:
    """The folder of uploads, which a request would make."""
    database.upload_folder.mkdir(exist_ok=True)
    return database.upload_folder


@pytest.fixture
def orders(caller: web_api.Caller, tmp_path: Path) -> lake_hands.Hands:
    """The orders of an organisation, in a lake."""
    return lake_hands.Hands(caller, tmp_path)


@pytest.fixture
def receiver(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[receiver_.Receiver]:
    """A receiver of webhooks on loopback, which is open to them; what fails there is not tried again for an hour."""
    receiver_.empty_outbox()
    monkeypatch.setattr(sending, "WAITS_SECONDS", (3600.0,) * len(sending.WAITS_SECONDS))
    monkeypatch.setenv("DELIVER_TO_PRIVATE", "true")
    settings.load.cache_clear()
    with receiver_.receiving() as one:
        yield one
    monkeypatch.undo()
    settings.load.cache_clear()


@pytest.fixture
def nobody_sends(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """No broker runs beside this database, and what other tests left to be sent is no part of these."""
    monkeypatch.setattr(publisher._Broker, "away_until", math.inf)
    receiver_.empty_outbox()


@pytest.fixture
def subscribed(ready: web_api.Caller) -> Iterator[web_api.Caller]:
    """An organisation with a webhook that wants to hear of alerts."""
    with session.transaction() as db:
        webhooks.create(
            db, ready.organisation_id, url="https://example.com/x", lane="x", events=["alert.*"], description=None
        )
    yield ready
    receiver_.empty_outbox()


@pytest.fixture
def mail(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """E-mail may be sent; nobody does."""
    for name, value in {"SMTP_HOST": "127.0.0.1", "MAIL_FROM": "reports@example.com"}.items():
        monkeypatch.setenv(name, value)
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


@pytest.fixture
def mailbox(database: settings.Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Mailbox]:
    """A mail server, to which mail is sent; links in it lead to `https://reckoner.example.com/`."""
    receiver_.empty_outbox()
    with mail_server.receiving() as box:
        for name, value in {"HOST": "127.0.0.1", "PORT": str(box.port), "SECURITY": "none"}.items():
            monkeypatch.setenv(f"SMTP_{name}", value)
        monkeypatch.setenv("MAIL_FROM", "Reckoner <reports@example.com>")
        monkeypatch.setenv("PUBLIC_URL", "https://reckoner.example.com/")
        settings.load.cache_clear()
        yield box
    monkeypatch.undo()
    settings.load.cache_clear()
