"""A result with more rows than are kept is refused before any of it is stored."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pyarrow as pa
import pytest

from analytics import errors
from models import settings
from tasks import reports


@pytest.fixture(autouse=True)
def _three_rows(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("MAX_RESULT_ROWS", "3")
    settings.load.cache_clear()
    yield
    monkeypatch.undo()
    settings.load.cache_clear()


def _answer(rows: int) -> Any:
    return cast("Any", SimpleNamespace(rows=pa.table({"n": list(range(rows))})))


def test_as_many_rows_as_are_kept() -> None:
    reports._require_storable(_answer(3))


def test_one_row_more() -> None:
    with pytest.raises(errors.Refusal) as refused:
        reports._require_storable(_answer(4))
    assert refused.value.code == "result-too-large"
    assert "4 rows" in str(refused.value.detail)
