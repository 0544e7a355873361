"""Publishing outside the request: a bounded queue and one thread. The rescue sweep stands behind it, so it may drop."""

import functools
import os
import queue
import threading
import uuid
from collections.abc import Callable
from typing import NamedTuple

import structlog

from models import session, transitions
from workers import errors

CAPACITY = 10_000
LARGEST_BATCH = 200

log = structlog.get_logger(__name__)


class Message(NamedTuple):
    """A job to publish, and the function that does it."""

    job_id: uuid.UUID
    send: Callable[[uuid.UUID], None]


class Publisher:
    """Sends messages from a thread of its own, so that a slow or absent Redis never slows down a request.

    What cannot be sent is dropped and logged: the job's row says that it has no message, and the sweep will see that.
    """

    def __init__(self) -> None:
        self._messages: queue.Queue[Message] = queue.Queue(CAPACITY)
        self._thread = threading.Thread(target=self._run, name="publisher", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Hand over a message; returns at once."""
        try:
            self._messages.put_nowait(message)
        except queue.Full:
            log.warning("publisher is full; the rescue sweep will publish", job_id=str(message.job_id))

    def _run(self) -> None:
        while True:
            publish_all(self._next_batch())

    def _next_batch(self) -> list[Message]:
        batch = [self._messages.get()]
        while len(batch) < LARGEST_BATCH:
            try:
                batch.append(self._messages.get_nowait())
            except queue.Empty:
                break
        return batch


def publish_all(messages: list[Message]) -> int:
    """Send messages and note in the database which went out; returns how many did."""
    sent: list[uuid.UUID] = []
    for message in messages:
        try:
            message.send(message.job_id)
        except errors.BROKER_AWAY as error:
            log.warning(
                "broker away; the rescue sweep will publish", jobs=len(messages) - len(sent), error=type(error).__name__
            )
            break
        sent.append(message.job_id)
    if sent:
        _note_published(sent)
    return len(sent)


def _note_published(job_ids: list[uuid.UUID]) -> None:
    try:
        with session.transaction() as db:
            transitions.mark_published(db, job_ids)
    except errors.DATABASE_AWAY as error:
        # The sweep will publish them a second time, and the claim will refuse the second message.
        log.warning("published, but could not note it", jobs=len(job_ids), error=type(error).__name__)


@functools.cache
def _publisher_of_process(pid: int) -> Publisher:  # noqa: ARG001 - the pid is the cache's key: threads do not survive a fork
    return Publisher()


def publisher() -> Publisher:
    return _publisher_of_process(os.getpid())
