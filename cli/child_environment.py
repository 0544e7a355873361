"""What every process of the stack inherits: our own environment, and where this stack lives."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from cli import embedded_leftovers
from models import settings


def build(configured: settings.Settings, *, run_id: str, extra: Mapping[str, str]) -> dict[str, str]:
    """Hand the environment on. Paths are made absolute here, because the children work in the project's folder."""
    programs = str(Path(sys.executable).parent)
    environment = {
        **inherited(),
        "PATH": os.pathsep.join([programs, *os.get_exec_path()]),
        "PYTHONUNBUFFERED": "1",
        "RECKONER_HOME": str(configured.home),
        embedded_leftovers.RUN_MARK: run_id,
        **extra,
    }
    if configured.upload_dir is not None:
        environment["UPLOAD_DIR"] = str(configured.upload_folder)
    if configured.lake_url is not None and "://" not in configured.lake_url:
        environment["LAKE_URL"] = str(Path(configured.lake_url).expanduser().resolve())
    return environment


def inherited() -> dict[str, str]:
    """Our own environment, to be handed on."""
    return dict(os.environ)


def use_home(home: Path) -> None:
    """Make this process, and what it reads from the settings from now on, work in `home`."""
    os.environ["RECKONER_HOME"] = str(home.expanduser().resolve())
    settings.load.cache_clear()
