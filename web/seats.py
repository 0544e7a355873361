"""How many requests are worked at side by side. There are more threads than seats: whoever only waits gives its seat back.

A server takes a seat before it hands a request on, and leaves it when the answer is out. In a thread that has none, as with
another server or in a test, `away` does nothing.
"""

import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from models import settings

_thread = threading.local()


@functools.cache
def _seats() -> threading.Semaphore:
    return threading.Semaphore(settings.load().web_threads)


def take() -> None:
    """Take a seat for the request of this thread, as soon as there is one."""
    _seats().acquire()
    _thread.seated = True


def leave() -> None:
    """Give the seat of this thread back, if it has one."""
    if is_taken():
        _thread.seated = False
        _seats().release()


def is_taken() -> bool:
    return getattr(_thread, "seated", False)


@contextmanager
def away() -> Iterator[None]:
    """Leave the seat to others while this thread waits for something that may take long."""
    was_seated = is_taken()
    leave()
    try:
        yield
    finally:
        if was_seated:
            take()


@contextmanager
def held() -> Iterator[None]:
    """Have a seat for a moment's work, in a thread that has left its own."""
    take()
    try:
        yield
    finally:
        leave()
