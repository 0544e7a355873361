"""One real stack for all acceptance tests: PostgreSQL, Redis, web, workers, beat, Flower, each its own process."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cli.stack import Stack
from tests.acceptance.client import Client

# A lease short enough that a test need not wait half a minute for a machine to be declared dead.
LEASE_SECONDS = 6


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    home: Path = tmp_path_factory.mktemp("stack")
    environment = {"LEASE_SECONDS": str(LEASE_SECONDS), "RESCUE_SECONDS": "2"}
    with Stack(home=home, environment=environment) as running:
        yield running


@pytest.fixture
def client(stack: Stack) -> Iterator[Client]:
    """A program with the admin key of an organisation of its own, so that tests do not see each other's data."""
    with Client.of_new_organisation(stack) as fresh:
        yield fresh
