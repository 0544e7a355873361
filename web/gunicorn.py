"""How gunicorn serves the API: `gunicorn --config web/gunicorn.py 'web.app:create_app()'`.

One process with threads: it waits for PostgreSQL and for clients, and computes nothing. The supervisor passes a socket
with `--bind fd://N`; without one the address comes from the settings.
"""

import multiprocessing
import sys
from pathlib import Path
from typing import Any

from models import settings

# structlog would import rich for coloured stack traces, kombu yaml for messages nobody sends, redis cryptography for
# certificates nobody asks about, and billiard cffi for semaphores nobody uses: 6 MB for nothing.
UNUSED = ("rich", "yaml", "cryptography", "cffi")
for unused in UNUSED:
    sys.modules.setdefault(unused, None)  # type: ignore[arg-type]

_settings = settings.load()

wsgi_app = "web.app:create_app()"
bind = [f"{_settings.host}:{_settings.port}"]
workers = 1
worker_class = "gthread"
# Whoever waits for a job, or follows its events, has a thread, and leaves its seat to others: see web.seats.
threads = _settings.web_threads + _settings.web_watchers
# Connections beyond the threads wait in the selector, not in a thread, until they have sent something.
worker_connections = threads + 1000
keepalive = 15
timeout = 60
graceful_timeout = 30
preload_app = False
# The worker's sign of life is a file it touches; on a disk that stalls, a healthy worker would look dead.
_memory_folder = Path("/dev/shm")  # noqa: S108 - gunicorn makes a file of its own in it, and unlinks it at once
worker_tmp_dir = str(_memory_folder) if _memory_folder.is_dir() else None
control_socket_disable = True

limit_request_line = 8190
limit_request_fields = 64
limit_request_field_size = 8190

# The application writes one line per request itself, with the ids.
accesslog = None
loglevel = _settings.log_level.lower() if _settings.log_level != "INFO" else "warning"

# How long one read from or write to a client may stand still.
CLIENT_PATIENCE_SECONDS = 30.0
# The kernel's part of receiving costs more than ours, and less the fewer times it is asked.
RECEIVED_BYTES = 1024 * 1024


def on_starting(_server: Any) -> None:
    # In a process of its own: what it imports and opens would stay in this one and in every worker that is forked from it.
    check = multiprocessing.get_context("fork").Process(target=_refuse_unsafe)
    check.start()
    check.join()
    if check.exitcode:
        sys.exit(check.exitcode)


def _refuse_unsafe() -> None:
    from workers.doctor import at_start  # noqa: PLC0415 - see the remark above

    at_start.refuse_unsafe(warn=True)


def post_worker_init(worker: Any) -> None:
    from models import row_access, session  # noqa: PLC0415 - see the remark above
    from web import lookout, memory, patience, result_files, server_refusals  # noqa: PLC0415 - see the remark above
    from workers import celery, logs  # noqa: PLC0415 - see the remark above

    logs.configure()
    row_access.shut()
    # What every process needs sooner or later is made before its memory is tidied, and before somebody waits for it.
    patience.impose()
    server_refusals.install()
    session.engine()
    celery.app.amqp.router  # noqa: B018 - what sends messages; the rest of Celery is for workers
    result_files.remove_abandoned()
    _let_in()
    # Whoever waits is answered at once when this process is asked to end.
    lookout.of_process().open_while(lambda: worker.alive)
    memory.keep_small()


def _let_in() -> None:
    """Let in what was kept out while others asked for it in vain: secrets of webhooks need cryptography, once there are any."""
    for kept_out in UNUSED:
        if sys.modules.get(kept_out, sys) is None:
            del sys.modules[kept_out]


def pre_request(_worker: Any, request: Any) -> None:
    """Bound every wait for this client, so that one that stops reading or sending cannot keep a thread, and a seat, for ever.

    And read an upload in large pieces: gunicorn's own are so small that receiving them costs more than hashing and writing.
    """
    from web import seats  # noqa: PLC0415 - see the remark above

    request.unreader.sock.settimeout(CLIENT_PATIENCE_SECONDS)
    request.unreader.mxchunk = RECEIVED_BYTES
    seats.take()


def post_request(_worker: Any, _request: Any, _environ: Any, _response: Any) -> None:
    from web import seats  # noqa: PLC0415 - see the remark above

    seats.leave()


def worker_exit(_server: Any, _worker: Any) -> None:
    from web import render_pool  # noqa: PLC0415 - see the remark above

    render_pool.close_all()
