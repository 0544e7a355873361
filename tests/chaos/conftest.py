"""Stacks that know probes, for the scenarios. Their seed is printed."""

import time
from collections.abc import Iterator

import pytest

from tests.chaos.harness.suite import Pool


@pytest.fixture(scope="session")
def chaos_seed() -> int:
    return time.time_ns() % 1_000_000


@pytest.fixture(scope="session")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pool]:
    """Stacks by what a scenario needs, one at a time."""
    stacks = Pool(tmp_path_factory.mktemp("chaos"))
    yield stacks
    stacks.close()
