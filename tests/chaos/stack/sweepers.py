"""Rescue sweeps without a pause, in so many processes at once: `python -m tests.chaos.stack.sweepers FOLDER NUMBER`.

Each has the folder `FOLDER/0`, `FOLDER/1` ... for its failpoints; one that was killed is replaced at once.
"""

import os
import sys
import time
from pathlib import Path

from models import settings
from workers import errors, rescue
from workers.celery import app

PAUSE_SECONDS = 0.05


def main(folder: Path, number: int) -> None:
    """Keep so many sweepers alive until killed."""
    app.finalize()
    of_pid: dict[int, int] = {}
    while True:
        for missing in set(range(number)) - set(of_pid.values()):
            of_pid[_fork(folder / str(missing))] = missing
        pid, _ = os.wait()
        of_pid.pop(pid, None)


def _fork(failpoints: Path) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    os.environ["FAILPOINTS_DIR"] = str(failpoints)
    settings.load.cache_clear()
    while os.getppid() == parent:
        try:
            rescue.sweep()
        except errors.DATABASE_AWAY as error:
            print(f"a sweeper lost the database: {type(error).__name__}", file=sys.stderr)
        time.sleep(PAUSE_SECONDS)
    os._exit(0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
