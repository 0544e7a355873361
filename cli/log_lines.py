"""The one output of many processes: whole lines, each behind the name of the process that wrote it."""

import errno
import os
import sys
from typing import TextIO

_COLOURS = (36, 33, 32, 35, 34, 96, 93, 92, 95, 94)
# A line that never ends must not fill the memory of the supervisor.
LONGEST_LINE = 64 * 1024
_PASSING = {errno.ENOSPC, errno.EDQUOT, errno.EIO}


class LogOutput:
    """Writes prefixed lines; coloured on a terminal, plain elsewhere. A reader that has gone away is not an error."""

    def __init__(self, stream: TextIO | None = None, *, coloured: bool | None = None) -> None:
        self._stream = stream if stream is not None else sys.stdout
        self._coloured = self._stream.isatty() if coloured is None else coloured
        self._width = 0
        self._colours: dict[str, int] = {}
        self._gone = False

    def introduce(self, names: list[str]) -> None:
        """Make room for these names, so that all lines begin in one column."""
        self._width = max([self._width, *(len(name) for name in names)])
        for name in names:
            self._colours.setdefault(name, _COLOURS[len(self._colours) % len(_COLOURS)])

    def line(self, name: str, text: str) -> None:
        prefix = f"{name:<{self._width}} | "
        if self._coloured:
            prefix = f"\x1b[{self._colours.get(name, 37)}m{prefix}\x1b[0m"
        self.plain(prefix + text)

    def plain(self, text: str) -> None:
        if self._gone:
            return
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except OSError as error:
            if error.errno in _PASSING:
                # What is said meanwhile is lost; what is said when there is room again is not.
                return
            # The terminal was closed or `| head` has read enough: the stack goes on without its log.
            self._gone = True
            _empty_into_nothing(self._stream)


def _empty_into_nothing(stream: TextIO) -> None:
    """What the stream still holds would be written at exit, and fail once more."""
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, stream.fileno())
    os.close(nothing)


class LineSplitter:
    """Cuts what arrives from a pipe, in any pieces, into lines."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[str]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        while len(self._rest) > LONGEST_LINE:
            lines.append(self._rest[:LONGEST_LINE])
            self._rest = self._rest[LONGEST_LINE:]
        return [_decode(line) for line in lines]

    def finish(self) -> list[str]:
        """The last line, where the process ended without ending it."""
        rest, self._rest = self._rest, b""
        return [_decode(rest)] if rest else []


def _decode(line: bytes) -> str:
    return line.decode("utf-8", errors="replace").rstrip("\r")
