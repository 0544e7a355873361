"""One result for a hundred receivers: filtered, rendered and put into a folder by a sender as it runs in the worker.

`python -m tests.benchmarks.bursts`
"""

import argparse
import os
import resource
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy import func, select

from analytics.render import chunks
from cli import embedded
from models import migrate, organisations, result, session, settings, transitions
from models.delivery import Delivery, DeliveryStatus
from models.job_states import JobKind
from models.result import Chunk, StoredResult
from workers.deliveries import receivers, sending

RECEIVERS = 100
START_SECONDS = 60.0
COLUMNS = (("customer_id", "text"), ("owner", "text"), ("orders", "integer"), ("revenue", "decimal"))


def measure(*, rows: int = 100_000) -> dict[str, float]:
    """Return seconds from the end of the report until everybody has theirs, and what memory the sender took for it."""
    figures: dict[str, float] = {"rows": rows, "receivers": RECEIVERS}
    with tempfile.TemporaryDirectory(prefix="reckoner-bursts-") as name, _database(Path(name)):
        table = _table(rows)
        target = str(Path(name) / "delivered")
        Path(target).mkdir()
        each = [_receiver(target, number, "csv", f"owner {number}") for number in range(RECEIVERS)]
        same = [_receiver(target, number, "xlsx", "owner 7") for number in range(RECEIVERS)]
        # The libraries are loaded by the first one.
        _send(_table(RECEIVERS), each[:1])
        for what, wanted in (("each their own rows as CSV", each), ("all the same rows as a workbook", same)):
            used = time.process_time()
            figures[f"seconds, {what}"] = _send(table, wanted)
            # Says the same on a machine that is busy with other work.
            figures[f"seconds of processor, {what}"] = time.process_time() - used
        figures["peak megabytes of the process"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return figures


def _table(rows: int) -> pa.Table:
    return pa.table(
        {
            "customer_id": [f"C{number:07}" for number in range(rows)],
            "owner": [f"owner {number % RECEIVERS}" for number in range(rows)],
            "orders": [number % 17 for number in range(rows)],
            "revenue": pa.array([Decimal(number % 9_999) / 100 for number in range(rows)], pa.decimal128(38, 2)),
        }
    )


def _receiver(folder: str, number: int, fmt: str, owner: str) -> dict[str, Any]:
    return {
        "channel": "file",
        "url": folder,
        "format": fmt,
        "name": f"{number}.{fmt}",
        "filter": {"column": "owner", "op": "eq", "value": owner},
    }


def _send(table: pa.Table, wanted: list[dict[str, Any]]) -> float:
    job_id = _finished(table, wanted)
    begun = time.perf_counter()
    while _unsent(job_id):
        sending.send_due()
    seconds = time.perf_counter() - begun
    with session.transaction() as db:
        of_job = select(Delivery.status, func.count()).where(Delivery.job_id == job_id).group_by(Delivery.status)
        found = {row[0]: row[1] for row in db.execute(of_job)}
    if found != {DeliveryStatus.SUCCEEDED: len(wanted)}:
        raise AssertionError(found)
    return seconds


def _unsent(job_id: uuid.UUID) -> bool:
    with session.transaction() as db:
        waiting = select(Delivery.id).where(Delivery.job_id == job_id, Delivery.finished_at.is_(None)).limit(1)
        return db.scalar(waiting) is not None


def _finished(table: pa.Table, wanted: list[dict[str, Any]]) -> uuid.UUID:
    """Have a report finished, with its result stored, and whoever gets it to be told."""
    with session.transaction() as db:
        owner = organisations.ensure(db, "bench", timezone="Europe/London", currency="GBP")
        job = transitions.accept(
            db,
            transitions.NewJob(
                organisation_id=owner.id,
                kind=JobKind.REPORT,
                type="rfm",
                params={},
                queue="reports",
                deliveries=receivers.expand(owner.id, wanted),
            ),
        )
        running = transitions.claim(db, job.id, worker_id=uuid.uuid4(), pid=os.getpid(), lease_seconds=600)
        if running is None:
            raise AssertionError("the job was taken by somebody else")
        header = {
            "type": "rfm",
            "version": 1,
            "title": "RFM",
            "definition": "",
            "source": "",
            "params": {"timezone": "Europe/London"},
            "columns": [{"name": name, "type": kind, "unit": None, "description": name} for name, kind in COLUMNS],
            "summary": {},
            "charts": [],
            "warnings": [],
            "dropped": {},
            "invariants": [],
        }
        pieces = list(chunks.encode(table))
        stored = StoredResult(
            job_id=job.id,
            header=header,
            manifest={},
            row_count=table.num_rows,
            byte_count=sum(len(piece.data) for piece in pieces),
            sha256=f"{job.id.int:064x}",
        )
        kept = [Chunk(row_start=piece.row_start, row_count=piece.row_count, data=piece.data) for piece in pieces]
        result.store(db, stored, kept, keep_for=timedelta(days=1))
        keep = timedelta(days=1)
        transitions.succeed(db, job.id, attempt=running.attempt, outcome=None, keep_result=keep, max_in_flight=1)
    return job.id


@contextmanager
def _database(folder: Path) -> Iterator[None]:
    """Run a database of its own, and let this process speak to it."""
    os.environ.update(RECKONER_HOME=str(folder), DELIVERY_FOLDERS=str(folder / "delivered"))
    settings.load.cache_clear()
    postgres, _ = embedded.specs(settings.load(), environment=dict(os.environ), say=print)
    if postgres.prepare is not None:
        postgres.prepare()
    process = subprocess.Popen(
        postgres.argv,
        env=dict(postgres.environment),
        cwd=postgres.working_folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=postgres.account.uid if postgres.account else None,
        group=postgres.account.gid if postgres.account else None,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + START_SECONDS
        while not postgres.is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("PostgreSQL did not start")
            time.sleep(0.05)
        migrate.upgrade()
        yield
    finally:
        session.dispose()
        process.terminate()
        process.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    for figure, value in measure(rows=parser.parse_args().rows).items():
        print(f"| {figure} | {value:,.1f} |")


if __name__ == "__main__":
    main()
