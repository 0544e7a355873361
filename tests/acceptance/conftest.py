"""What several of these tests use: the command line in this process, because ten processes would take most of the time."""

from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from cli import main
from models import settings
from tests.client import Client


@pytest.fixture
def run(shop: Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Result]]:
    """Run `reckoner schedules` for the test's organisation."""
    with monkeypatch.context() as environment:
        environment.setenv("RECKONER_URL", shop.stack.web_url)
        environment.setenv("RECKONER_API_KEY", shop.key)
        settings.load.cache_clear()
        yield lambda *arguments: CliRunner().invoke(main.main, ["schedules", *arguments])
    settings.load.cache_clear()
