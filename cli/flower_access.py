"""The password of Flower: the operator's, or one made once and kept under the home."""

import secrets
from pathlib import Path

from cli import runtime_file
from models import settings

FILE_NAME = "flower_password"


def path(home: Path) -> Path:
    return home / FILE_NAME


def ensure_password(configured: settings.Settings) -> str | None:
    """Make a password where there is none; the answer is the new one, to be shown this once.

    `flowerconfig.py` reads it from the settings or from the file: a password on a command line is seen by everybody in `ps`.
    """
    if configured.flower_password is not None or path(configured.home).exists():
        return None
    password = secrets.token_urlsafe(12)
    runtime_file.write_private(path(configured.home), password + "\n")
    return password


def where(configured: settings.Settings) -> str:
    """Where a person finds the password."""
    return "from FLOWER_PASSWORD" if configured.flower_password is not None else f"in {path(configured.home)}"
