"""The key that the command line speaks to its own stack with, as it is kept under the home. Light: every command asks here."""

from pathlib import Path

from cli import runtime_file

FILE_NAME = "credentials.json"


def path(home: Path) -> Path:
    return home / FILE_NAME


def read(home: Path) -> str | None:
    """Return the key kept under this home, if there is one."""
    kept = runtime_file.read_json(path(home))
    return kept.get("api_key") if kept else None
