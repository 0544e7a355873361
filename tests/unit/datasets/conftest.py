"""Imports small texts and gives back the rows they became."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from analytics.datasets import importing, options, remarks

# `pytest tests/unit/datasets --hypothesis-profile long --timeout 0` looks for half an hour; tests take shares of these.
settings.register_profile("long", max_examples=20_000)


@dataclass(frozen=True)
class Imported:
    """An import and the table after it."""

    staged: importing.Staged
    change: importing.Change
    current: importing.CurrentTable

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.select(", ".join(f'"{name}"' for name in self.change.schema.names))

    @property
    def rejects(self) -> list[dict[str, Any]]:
        return list(pq.read_table(self.change.rejects).to_pylist())

    @property
    def counts(self) -> tuple[int, ...]:
        return tuple(self.change.counts.as_dict().values())

    def select(self, what: str) -> list[dict[str, Any]]:
        """Rows of the table, ordered by all their columns."""
        if not self.current.files:
            return []
        query = f"SELECT {what} FROM read_parquet({list(self.current.files)}, union_by_name = true) ORDER BY ALL"
        with duckdb.connect() as connection:
            connection.execute("SET TimeZone = 'UTC'")
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


Importer = Callable[..., Imported]


@pytest.fixture
def importer(tmp_path: Path) -> Importer:
    """Import text or bytes into a table, by default an empty one; the table's current files are replaced as a commit would."""
    numbers = itertools.count()

    def run(
        content: str | bytes, *, into: Imported | None = None, known: remarks.Known | None = None, **said: Any
    ) -> Imported:
        folder = tmp_path / str(next(numbers))
        folder.mkdir()
        path = folder / "file"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        asked = options.ImportOptions(**({"max_rejects": 1.0} | said)).with_defaults(timezone="UTC", currency="EUR")
        staged = importing.stage(path, options=asked, folder=folder / "staged", progress=lambda *_: None)
        before = into.current if into else None
        change = importing.plan_change(
            staged,
            current=before,
            folder=folder / "plan",
            memory="500MB",
            threads=1,
            known=known,
        )
        kept = tuple(file for file in (before.files if before else ()) if file not in change.removed)
        files = (*kept, *(str(path) for path in change.added))
        return Imported(staged, change, importing.CurrentTable(files, change.schema))

    return run
