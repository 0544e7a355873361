"""`runtime.json` under the home: what a running `reckoner up` is, for everybody who wants to reach it or clean up after it."""

import datetime as dt
import json
import os
import tempfile
from pathlib import Path

import pydantic

FILE_NAME = "runtime.json"


class Runtime(pydantic.BaseModel):
    """A running stack."""

    model_config = pydantic.ConfigDict(frozen=True)

    pid: int
    run_id: str
    started_at: dt.datetime
    web_url: str
    flower_url: str
    complete: bool = False
    """Whether all processes have been started; before that the servers start and the database is migrated."""
    processes: dict[str, int] = {}
    """Pid of each child that runs at this moment, by its name in the Procfile (and `postgres`, `redis`)."""


def path(home: Path) -> Path:
    return home / FILE_NAME


def write(home: Path, runtime: Runtime) -> None:
    """Write the file so that a reader finds the old or the new one, never half of one."""
    write_private(path(home), runtime.model_dump_json(indent=2) + "\n")


def read(home: Path) -> Runtime | None:
    """What the file says, or None where there is none (or one that no version of ours wrote)."""
    try:
        return Runtime.model_validate_json(path(home).read_bytes())
    except FileNotFoundError:
        return None
    except pydantic.ValidationError:
        return None


def remove(home: Path) -> None:
    path(home).unlink(missing_ok=True)


def write_private(target: Path, text: str) -> None:
    """Replace a file atomically with one that only its owner can read."""
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(name).replace(target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_json(target: Path, content: dict[str, str]) -> None:
    """Keep a small JSON object that only its owner can read."""
    write_private(target, json.dumps(content, indent=2) + "\n")


def read_json(target: Path) -> dict[str, str] | None:
    """A small private JSON object that was written by `write_private`, or None where there is none."""
    try:
        content = json.loads(target.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return {str(key): str(value) for key, value in content.items()} if isinstance(content, dict) else None
