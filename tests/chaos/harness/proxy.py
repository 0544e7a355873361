"""A TCP proxy whose network can be broken while it runs: refused, reset, silent, slow, dripping, cut.

It listens on loopback and forwards to a TCP address or to a Unix socket, which is how the embedded servers are reached through
it. What it cannot play is a packet that the kernel of the other side never acknowledges: here the proxy's own kernel does.
A silent link is therefore harder on the programs than the real fault, because only their own time limits can notice it.
"""

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

CHUNK_BYTES = 65_536
CALL_SECONDS = 10.0
# Closing with this option sends a reset instead of an orderly end.
RESET = struct.pack("ii", 1, 0)

T = TypeVar("T")

Target = Path | tuple[str, int]


class Direction(Enum):
    """Which way bytes go."""

    TO_SERVER = "to server"
    TO_CLIENT = "to client"


BOTH = (Direction.TO_SERVER, Direction.TO_CLIENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What happens to the bytes of one direction. The default passes them on."""

    silent: bool = False
    """Nothing passes. What was sent meanwhile passes when that ends, if both sides still hold on."""
    latency: float = 0.0
    jitter: float = 0.0
    bytes_per_second: float | None = None
    cut_after: int | None = None
    """After so many bytes of a connection, counted from its start, it is reset."""


PASS = Shape()


@dataclass(slots=True)
class _AfterMatch:
    """Cut a connection once its server answers to something: that was done, and the client is never told."""

    pattern: bytes
    times: int
    done: int = 0


class TcpProxy:
    """One listening port and the connections made through it. Thread-safe; changes act on open connections at once."""

    def __init__(self, target: Target, *, name: str = "", seed: int = 0) -> None:
        self.name = name
        self.port = 0
        self._target = target
        self._shapes = dict.fromkeys(Direction, PASS)
        self._after_match: _AfterMatch | None = None
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name=f"proxy {name}", daemon=True)
        self._server: asyncio.Server | None = None
        self._links: set[_Link] = set()
        self.accepted = 0

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._thread.start()
        self._call(self._listen())

    def stop(self) -> None:
        self._call(self._close_all())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(CALL_SECONDS)
        self._loop.close()

    def heal(self) -> None:
        """Pass everything again, and accept connections."""
        self._after_match = None
        self.shape(PASS)
        self._call(self._listen())

    def shape(self, shape: Shape, *directions: Direction) -> None:
        """Treat the bytes of these directions (both, where none is named) in this way from now on."""
        for direction in directions or BOTH:
            self._shapes[direction] = shape

    def slow_down(self, *, latency: float, jitter: float = 0.0, bytes_per_second: float | None = None) -> None:
        """Delay every byte, both ways."""
        self.shape(Shape(latency=latency, jitter=jitter, bytes_per_second=bytes_per_second))

    def black_hole(self, *directions: Direction) -> None:
        """Let nothing pass, without telling anybody. New connections are accepted, and silent."""
        self.shape(Shape(silent=True), *directions)

    def refuse(self) -> None:
        """Refuse new connections; what is open stays open."""
        self._call(self._stop_listening())

    def reset(self) -> None:
        """Reset what is open; new connections are accepted."""
        self._call(self._reset_links())

    def cut(self) -> None:
        """Reset what is open and refuse what is new: the server's machine is gone."""
        self.refuse()
        self.reset()

    def cut_after_answer_to(self, pattern: bytes, *, times: int) -> None:
        """Reset a connection when its server answers to a message with this pattern, so many times: nobody hears the answer."""
        self._after_match = _AfterMatch(pattern, times)

    @property
    def cuts(self) -> int:
        """How often `cut_after_answer_to` has cut since it was set."""
        return 0 if self._after_match is None else self._after_match.done

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_SECONDS)

    async def _listen(self) -> None:
        if self._server is not None:
            return
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, limit=CHUNK_BYTES)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop_listening(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _reset_links(self) -> None:
        for link in list(self._links):
            link.reset()
        # The tasks of what was reset end in the next turns of the loop.
        while self._links:  # noqa: ASYNC110 - a few turns
            await asyncio.sleep(0.001)

    async def _close_all(self) -> None:
        await self._stop_listening()
        await self._reset_links()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        try:
            upstream = await self._connect()
        except OSError:
            _reset(writer)
            return
        link = _Link(self, (reader, writer), upstream)
        self._links.add(link)
        try:
            await link.run()
        finally:
            self._links.discard(link)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if isinstance(self._target, Path):
            return await asyncio.open_unix_connection(str(self._target), limit=CHUNK_BYTES)
        host, port = self._target
        return await asyncio.open_connection(host, port, limit=CHUNK_BYTES)

    def shape_of(self, direction: Direction) -> Shape:
        return self._shapes[direction]

    def arrival(self, shape: Shape) -> float:
        """Return when what comes now is to arrive, on the loop's clock."""
        return self._loop.time() + shape.latency + self._chance.uniform(-shape.jitter, shape.jitter)

    def asks_to_cut(self, chunk: bytes) -> bool:
        """Tell whether the answer to this chunk must not be heard."""
        match = self._after_match
        if match is None or match.done >= match.times or match.pattern not in chunk:
            return False
        match.done += 1
        return True


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some bytes on their way, when they are to arrive, and whether the connection is cut behind them."""

    due: float
    data: bytes
    cut: bool


_Pending = asyncio.Queue[_Piece | None]


class _Link:
    """One connection of a client and the one to the server that was made for it."""

    SILENCE_POLL_SECONDS = 0.02

    def __init__(self, proxy: TcpProxy, client: Stream, server: Stream) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        self._cut_at_answer = False
        # A silent link waits for nothing that its sockets could tell it.
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Pass bytes on, both ways, until one side ends."""
        tasks: list[asyncio.Task[None]] = []
        ends: list[asyncio.Task[Any]] = [asyncio.create_task(self._over.wait())]
        for direction, source, sink in (
            (Direction.TO_SERVER, self._client[0], self._server[1]),
            (Direction.TO_CLIENT, self._server[0], self._client[1]),
        ):
            pending: _Pending = asyncio.Queue(maxsize=64)
            ends.append(asyncio.create_task(self._deliver(direction, pending, sink)))
            tasks.append(asyncio.create_task(self._receive(direction, source, pending)))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (*tasks, *ends):
                task.cancel()
            await asyncio.gather(*tasks, *ends, return_exceptions=True)
            for _, writer in (self._client, self._server):
                writer.close()

    def reset(self) -> None:
        self._over.set()
        for _, writer in (self._client, self._server):
            _reset(writer)

    async def _receive(self, direction: Direction, reader: asyncio.StreamReader, pending: "_Pending") -> None:
        """Give each piece the time at which it is to arrive, so that a slow link delays bytes without spacing them out."""
        passed = 0
        try:
            while chunk := await self._read(direction, reader):
                shape = self._proxy.shape_of(direction)
                passed += len(chunk)
                over = passed - shape.cut_after if shape.cut_after is not None else 0
                await pending.put(_Piece(self._proxy.arrival(shape), chunk[: len(chunk) - max(0, over)], cut=over > 0))
        except ConnectionError:
            self.reset()
        await pending.put(None)

    async def _read(self, direction: Direction, reader: asyncio.StreamReader) -> bytes:
        await self._while_silent(direction)
        chunk = await reader.read(CHUNK_BYTES)
        # It may have come while the link was falling silent: then it has not come yet.
        await self._while_silent(direction)
        return chunk

    async def _while_silent(self, direction: Direction) -> None:
        while self._proxy.shape_of(direction).silent:  # noqa: ASYNC110 - shapes are changed from other threads
            await asyncio.sleep(self.SILENCE_POLL_SECONDS)

    async def _deliver(self, direction: Direction, pending: "_Pending", writer: asyncio.StreamWriter) -> None:
        """Hand pieces over when they are due. The link ends when this ends."""
        with contextlib.suppress(ConnectionError):
            while (piece := await pending.get()) is not None:
                await asyncio.sleep(max(0.0, piece.due - asyncio.get_running_loop().time()))
                if direction is Direction.TO_CLIENT and self._cut_at_answer:
                    self.reset()
                    return
                if direction is Direction.TO_SERVER and self._proxy.asks_to_cut(piece.data):
                    self._cut_at_answer = True
                await self._write(direction, piece.data, writer)
                if piece.cut:
                    self.reset()
                    return

    async def _write(self, direction: Direction, chunk: bytes, writer: asyncio.StreamWriter) -> None:
        rate = self._proxy.shape_of(direction).bytes_per_second
        if rate is None:
            writer.write(chunk)
            await writer.drain()
            return
        for position in range(len(chunk)):
            writer.write(chunk[position : position + 1])
            await writer.drain()
            await asyncio.sleep(1 / rate)


def _reset(writer: asyncio.StreamWriter) -> None:
    connection = writer.get_extra_info("socket")
    if connection is not None and connection.family == socket.AF_INET and connection.fileno() >= 0:
        with contextlib.suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    writer.transport.abort()
