"""Equal rows are rendered once, a result is read once for all; nobody gets another's rows, and nothing outlives its result."""

import collections
import uuid
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from models import erasure_traces, session, settings
from models.delivery import Delivery
from tests.integration import receiver, test_email_sending
from tests.integration.web_api import Caller
from workers.deliveries import rendering, sending, shared

OWNERS = 8
PER_OWNER = 3
TABLE = pa.table(
    {
        "owner": [f"owner{number % OWNERS}" for number in range(4_000)],
        "secret": [f"s{n % OWNERS}" for n in range(4_000)],
    }
)
COLUMNS = [{"name": name, "type": "text", "unit": None, "description": name} for name in TABLE.column_names]
THREADS = 32


class Counts(collections.Counter[str]):
    """How often something was done, which still is done."""

    def watch(self, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
        real: Callable[..., Any] = getattr(rendering, name)

        def counted(*given: Any) -> Any:
            self[name] += 1
            return real(*given)

        monkeypatch.setattr(rendering, name, counted)


@pytest.fixture(params=[1 << 30, 1], ids=["room for all", "no room"])
def room(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def folder(database: settings.Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    receiver.empty_outbox()
    monkeypatch.setenv("DELIVERY_FOLDERS", str(tmp_path))
    _begin_anew()
    yield tmp_path
    monkeypatch.undo()
    _begin_anew()


def _begin_anew() -> None:
    settings.load.cache_clear()
    shared.shelf().clear()
    shared._of_process.cache_clear()


def _to(folder: Path, name: str, owner: str, fmt: str = "csv") -> dict[str, Any]:
    leaf = {"column": "owner", "op": "eq", "value": owner}
    return {"channel": "file", "url": str(folder), "name": name, "format": fmt, "filter": leaf}


def _asked(caller: Caller, *wanted: dict[str, Any]) -> uuid.UUID:
    return test_email_sending.report(caller, *wanted, table=TABLE, columns=COLUMNS, charts=[])


def _expected(owner: int, rows: int = 4_000 // OWNERS) -> list[str]:
    return ["owner,secret", *[f"owner{owner},s{owner}"] * rows]


def test_equal_filters_are_filtered_and_rendered_once(
    caller: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = Counts()
    for name in ("_stored_chunks", "write"):
        counts.watch(monkeypatch, name)
    wanted = [
        _to(folder, f"{owner}-{number}.csv", f"owner{owner}") for number in range(PER_OWNER) for owner in range(OWNERS)
    ]
    _asked(caller, *wanted)
    sending.send_due()
    assert counts == {"_stored_chunks": 1, "write": OWNERS}
    for owner in range(OWNERS):
        for number in range(PER_OWNER):
            assert (folder / f"{owner}-{number}.csv").read_text().split() == _expected(owner)


def test_nobody_gets_anothers_part_however_many_send_at_once(
    caller: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    monkeypatch.setenv("RENDERED_BYTES", str(room))
    _begin_anew()
    first, second = (
        _asked(caller, *(_to(folder, f"{owner}.csv", f"owner{owner}") for owner in range(OWNERS))) for _ in range(2)
    )
    receivers = [one for job_id in (first, second) for one in test_email_sending.of(job_id)] * PER_OWNER

    def read(delivery: Delivery) -> tuple[str, list[str]]:
        report = rendering.load(delivery)
        fmt = ("csv", "ndjson")[delivery.id.int % 2]
        return delivery.filter["value"] if delivery.filter else "", rendering.rendered(report, fmt).decode().split()

    with futures.ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(read, receivers))
    assert len(found) == 2 * OWNERS * PER_OWNER
    for owner, lines in found:
        rows = [line for line in lines if owner in line]
        assert len(rows) == 4_000 // OWNERS
        assert len(lines) - len(rows) in {0, 1}
    if room == 1:
        # What is in nobody's hands has gone.
        shared.shelf().tidy()
        assert shared.shelf().names() == []


def test_what_is_erased_is_not_sent_out_of_a_file(caller: Caller, folder: Path) -> None:
    job_id = _asked(caller, _to(folder, "first.csv", "owner1"), _to(folder, "second.csv", "owner1"))
    first, second = test_email_sending.of(job_id)
    assert rendering.rendered(rendering.load(first), "csv").decode().split() == _expected(1)
    late = rendering.load(second)
    assert [name for name in shared.shelf().names() if name.startswith(str(job_id))]
    with session.transaction() as db:
        assert erasure_traces.remove_result(db, job_id)
    # Neither who begins now gets it, nor who had looked before.
    with pytest.raises(rendering.GoneError):
        rendering.rendered(late, "csv")
    with pytest.raises(rendering.GoneError):
        list(shared.pieces(late.source, late.filter or {}))
    assert not [name for name in shared.shelf().names() if name.startswith(str(job_id))]
    sending.send_due()
    assert {one.error for one in test_email_sending.of(job_id)} == {"The result is not kept any more."}
    assert list(folder.iterdir()) == []


def test_a_look_for_work_lets_go_of_what_was_removed(caller: Caller, folder: Path) -> None:
    job_id = _asked(caller, _to(folder, "first.csv", "owner1"))
    sending.send_due()
    assert (folder / "first.csv").read_text().split() == _expected(1)
    with session.transaction() as db:
        erasure_traces.remove_result(db, job_id)
    sending.send_due()
    assert not [name for name in shared.shelf().names() if name.startswith(str(job_id))]
