"""What an import says of itself while it runs."""

import time
from pathlib import Path

import duckdb
import pytest

from analytics.datasets import importing, options, steps

ROWS = 5_000
# Minutes of work, were it not stopped.
LONG = "SELECT sum(a.range * b.range) FROM range(10000000) AS a, range(100000) AS b"


class StoppedError(Exception):
    """Nobody wants the import any more."""


def test_every_phase_is_reported_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "file.csv"
    rows = (f"o{number},c,2024-01-31,1" for number in range(ROWS))
    path.write_text("\n".join(["order_id,customer_id,ordered_at,amount", *rows]))
    seen: list[steps.Step] = []
    follow = steps.Steps(seen.append)
    asked = options.ImportOptions(dataset="orders", timezone="UTC", currency="EUR")
    staged = importing.stage(path, options=asked, folder=tmp_path / "staged", progress=follow.read, follow=follow)
    importing.plan_change(staged, current=None, folder=tmp_path / "plan", memory="300MB", threads=1, follow=follow)
    assert list(dict.fromkeys(step.phase for step in seen)) == list(steps.Phase)
    first, last = seen[0], seen[-1]
    assert (first.phase, first.total) == (steps.Phase.READ, path.stat().st_size)
    assert (last.phase, last.total, last.rows) == (steps.Phase.WRITE, ROWS, ROWS)
    assert all(step.done <= (step.total or 0) for step in seen)


def test_the_rest_is_estimated_from_the_time_needed_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    seen: list[steps.Step] = []
    follow = steps.Steps(seen.append)
    now = 107.0
    follow.read(500, 1000)
    # Half of the file is 35 % of an import, so 13 of 20 seconds are left.
    assert seen[-1].seconds_left == pytest.approx(13)
    follow.read(5, 1000)
    assert seen[-1].seconds_left is None


def test_a_report_that_raises_stops_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LOOK_SECONDS", 0.05)

    def report(step: steps.Step) -> None:
        raise StoppedError

    with duckdb.connect() as connection, pytest.raises(StoppedError), steps.Steps(report).watching(connection):
        connection.execute(LONG)
