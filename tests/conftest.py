"""Fixtures for all tests. Services are real and started here: a database alone, or the whole stack."""

from pathlib import Path

import pytest

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published data with known answers, beside the checkout. Golden tests are skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("golden data are not beside this checkout")
    return SHARED_DATA
