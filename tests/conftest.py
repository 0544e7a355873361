"""Fixtures for all tests. Services are real and started here: a database alone, or the whole stack."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack import Stack
from tests.client import Client
from tests.integration import mail_server

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"
# A lease short enough that a test need not wait half a minute for a machine to be declared dead.
LEASE_SECONDS = 6
RESCUE_SECONDS = 2
# Slots that tests bring about are decided, and settled, soon.
SCHEDULE_SECONDS = 2


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data with known answers, beside the checkout. Golden tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("golden data are not beside this checkout")
    return SHARED_DATA


@pytest.fixture(scope="session")
def stack_mail() -> Iterator[mail_server.Mailbox]:
    """The mail server of the stack that all tests share."""
    with mail_server.receiving() as box:
        yield box


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, stack_mail: mail_server.Mailbox) -> Iterator[Stack]:
    """One real stack for all tests that need one: PostgreSQL, Redis, web, workers, beat, Flower, each its own process."""
    environment = {
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "RESCUE_SECONDS": str(RESCUE_SECONDS),
        "SCHEDULE_SECONDS": str(SCHEDULE_SECONDS),
        "SMTP_HOST": "127.0.0.1",
        "SMTP_PORT": str(stack_mail.port),
        "SMTP_SECURITY": "none",
        "MAIL_FROM": "Reckoner <reports@example.com>",
        # Receivers of webhooks are on this machine.
        "DELIVER_TO_PRIVATE": "true",
    }
    with Stack(home=tmp_path_factory.mktemp("stack"), environment=environment) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A program with the admin key of an organisation of its own, so that tests do not see each other's data."""
    with Client.of_new_organisation(stack) as fresh:
        yield fresh
