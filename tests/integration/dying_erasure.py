"""Runs an erasure in a process of its own that is killed after the first file it has removed. Started by test_erasure_races.py."""

import os
import signal
import sys
from typing import Any

from billiard import process

from tasks import imports
from workers import publisher
from workers.lake_jobs import erasing_lake


def main(job_id: str) -> None:
    # The place in the pool that Celery gives to a child, and no broker to publish what comes next.
    process.current_process().index = 0
    publisher.publish = lambda lanes: 0  # noqa: ARG005 - the name is part of what it stands for
    real = erasing_lake._discard

    def discard(*arguments: Any) -> None:
        real(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)

    erasing_lake._discard = discard  # type: ignore[assignment]
    imports.erase(job_id)


if __name__ == "__main__":
    main(sys.argv[1])
