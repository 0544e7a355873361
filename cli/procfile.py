"""Reads a Procfile: one named command per line, `release` being the one that runs to its end before the others start."""

import dataclasses
import re
import shlex
from pathlib import Path

RELEASE = "release"
_LINE = re.compile(r"(?P<name>[A-Za-z0-9_-]+)\s*:\s*(?P<command>.*\S)\s*")
_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=")
_OPERATORS = frozenset("();<>|&")


class ProcfileError(ValueError):
    """A line of the Procfile cannot be run; the message names the file and the line."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One line of a Procfile."""

    name: str
    command: str

    @property
    def argv(self) -> tuple[str, ...]:
        """The command as a process: the shell expands `$PORT` and the like, then becomes the command.

        `exec` leaves no shell between the supervisor and the process, so that signals reach the process itself.
        """
        command = f"env {self.command}" if _ASSIGNMENT.match(self.command) else self.command
        return ("/bin/sh", "-c", f"exec {command}")

    @property
    def words(self) -> tuple[str, ...]:
        """The words of the command as they are written, without expansion."""
        return tuple(shlex.split(self.command))


@dataclasses.dataclass(frozen=True)
class Procfile:
    """A Procfile's lines in their order, the release apart from the processes that stay."""

    release: Entry | None
    processes: tuple[Entry, ...]


def read(path: Path) -> Procfile:
    """Read and check the file.

    Raises:
        ProcfileError: the file is missing, or a line is not `name: one command`, or a name comes twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ProcfileError(f"{path}: cannot be read: {error.strerror}") from error
    return parse(text, source=str(path))


def parse(text: str, source: str = "Procfile") -> Procfile:
    """Parse the text of a Procfile; `source` is named in errors.

    Raises:
        ProcfileError: a line is not `name: one command`, or a name comes twice, or no process is left to run.
    """
    entries: dict[str, Entry] = {}
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        entry = _parse_line(line, where=f"{source}, line {number}")
        if entry.name in entries:
            raise ProcfileError(f"{source}, line {number}: there is already a process named {entry.name!r}")
        entries[entry.name] = entry
    release = entries.pop(RELEASE, None)
    if not entries:
        raise ProcfileError(f"{source}: there is no process to run")
    return Procfile(release=release, processes=tuple(entries.values()))


def _parse_line(line: str, where: str) -> Entry:
    match = _LINE.fullmatch(line)
    if match is None:
        raise ProcfileError(f"{where}: expected `name: command`, found {line!r}")
    command = match["command"]
    try:
        operators = _operators_in(command)
    except ValueError as error:
        raise ProcfileError(f"{where}: {error}") from error
    if operators:
        message = f"{where}: {operators[0]!r} would need a shell that stays; write one command, or put it in a script"
        raise ProcfileError(message)
    return Entry(name=match["name"], command=command)


def _operators_in(command: str) -> list[str]:
    # The quotes are kept, so that a quoted operator is not taken for one.
    lexer = shlex.shlex(command, posix=False, punctuation_chars=True)
    lexer.commenters = ""
    return [word for word in lexer if set(word) <= _OPERATORS]
