"""Publishes with `.delay()` as a web application does, and keeps a ledger of what was acknowledged and what was refused.

`python -m tests.chaos.baseline.client JOBS JOB_SECONDS PER_SECOND`, in the folder of the scenario.
"""

import json
import sys
import time
import uuid
from pathlib import Path

import kombu.exceptions

from tests.chaos.baseline import plain

LEDGER_FILE = "ledger"


def publish(jobs: int, *, job_seconds: float, per_second: float) -> None:
    """Publish so many, evenly; each outcome is in the ledger before the next is tried."""
    task = plain.make_app(Path.cwd()).tasks[plain.work.__name__]
    begun = time.monotonic()
    with Path(LEDGER_FILE).open("a", buffering=1) as ledger:
        for number in range(jobs):
            time.sleep(max(0.0, begun + number / per_second - time.monotonic()))
            job_id, asked = str(uuid.uuid4()), time.monotonic()
            try:
                task.delay(job_id, job_seconds)
            except kombu.exceptions.OperationalError:
                acked = False
            else:
                acked = True
            ledger.write(json.dumps({"id": job_id, "acked": acked, "seconds": time.monotonic() - asked}) + "\n")


if __name__ == "__main__":
    publish(int(sys.argv[1]), job_seconds=float(sys.argv[2]), per_second=float(sys.argv[3]))
