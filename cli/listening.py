"""Addresses: the web server's socket, bound here and handed down, and a port for Flower, which binds its own."""

import contextlib
import errno
import socket
from collections.abc import Iterator

from cli.process_spec import StartError

BACKLOG = 1024
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - compared with, not bound to


@contextlib.contextmanager
def listen(host: str, port: int, *, option: str) -> Iterator[socket.socket]:
    """Bind and listen; port 0 takes a free one. While the socket is open, connections wait instead of being refused.

    Raises:
        StartError: the address cannot be had; `option` is what a person can change.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        busy = error.errno == errno.EADDRINUSE
        reason = "is in use" if busy else f"cannot be used ({error.strerror})"
        raise StartError(
            f"port {port} of {host} {reason}; choose another with {option} (0 takes a free one)"
        ) from error
    with listener:
        yield listener


def url(host: str, port: int) -> str:
    """The address as somebody on this machine types it."""
    shown = _EVERYWHERE.get(host, host)
    return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"


def pick_port(host: str, port: int, *, option: str) -> int:
    """A port for a server that can only bind its own: this one if it is free, any free one for 0.

    Raises:
        StartError: it is not free.
    """
    with listen(host, port, option=option) as listener:
        return int(listener.getsockname()[1])
