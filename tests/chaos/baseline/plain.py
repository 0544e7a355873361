"""Plain Celery with the best settings it has, and probe jobs whose every start and effect is written down where no fault reaches.

The effect of a job is a line in a file that is only appended to: it happens as often as the line is there.
"""

import dataclasses
import json
import os
import signal
import time
from pathlib import Path

from celery import Celery

from tests.benchmarks.peers import processes

QUEUE = "work"
OPTIONS_FILE = "options.json"
EFFECTS_FILE = "effects"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """What differs between scenarios; the defaults are the careful ones."""

    visibility_timeout: float = 3600
    """Seconds after which Redis's client takes a message that nobody acknowledged for abandoned."""
    reject_on_worker_lost: bool = False
    socket_timeout: float | None = 5
    tick_seconds: float = 2

    def write(self, folder: Path) -> None:
        (folder / OPTIONS_FILE).write_text(json.dumps(dataclasses.asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> "Options":
        return cls(**json.loads((folder / OPTIONS_FILE).read_text()))


def make_app(folder: Path) -> Celery:
    """The application whose options and Redis are in `folder`."""
    options = Options.read(folder)
    app = Celery("plain", broker=processes.settings_of(folder).broker_url, set_as_current=False)
    app.conf.update(
        task_acks_late=True,
        worker_prefetch_multiplier=1,
        task_reject_on_worker_lost=options.reject_on_worker_lost,
        task_ignore_result=True,
        task_default_queue=QUEUE,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options={
            "visibility_timeout": options.visibility_timeout,
            # The defaults look for abandoned messages about every 100 seconds.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            **({"socket_timeout": options.socket_timeout} if options.socket_timeout else {}),
        },
        beat_schedule={"tick": {"task": "tick", "schedule": options.tick_seconds}},
    )
    for task in (work, poison, tick):
        app.task(task, name=task.__name__)
    return app


def work(job_id: str, seconds: float) -> None:
    """Take so long, then have the effect."""
    _note("start", job_id)
    time.sleep(seconds)
    _note("effect", job_id)


def poison(job_id: str) -> None:
    """Kill the process that runs it, every time."""
    _note("start", job_id)
    os.kill(os.getpid(), signal.SIGKILL)


def tick() -> None:
    _note("effect", "tick")


def _note(what: str, job_id: str) -> None:
    """Append one line in one write, which no kill can tear apart and no other process can mix with its own."""
    descriptor = os.open(EFFECTS_FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, f"{what} {job_id} {os.getpid()} {time.monotonic()}\n".encode())
    finally:
        os.close(descriptor)
