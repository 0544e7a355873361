"""Who this worker is: an id made once per start and kept over the fork, so that parent and children share it."""

import functools
import os
import socket
import uuid

from models import heartbeat


@functools.cache
def worker_id() -> uuid.UUID:
    """Return the id of this worker: never a host name, because two machines may share one and a restart keeps it."""
    return uuid.uuid4()


def as_process(
    kind: heartbeat.ProcessKind, name: str, *, queues: tuple[str, ...] = (), slots: int = 0
) -> heartbeat.Process:
    """Describe this process for its signs of life."""
    return heartbeat.Process(
        id=worker_id(), kind=kind, name=name, pid=os.getpid(), host=socket.gethostname(), queues=queues, slots=slots
    )
