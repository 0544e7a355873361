"""The role that row-level security applies to: in a database of an ordinary user, with and without the right to make roles."""

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from models import session, settings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Owner:
    """An ordinary user, with a database of their own."""

    name: str
    role: str
    environment: dict[str, str]

    def run(self, *what: str) -> list[dict[str, Any]]:
        """Let a process that knows only this database do some things, and return what it says of each."""
        done = subprocess.run(
            [sys.executable, "-m", "tests.integration.ordinary_owner", *what],
            cwd=ROOT,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        said: list[dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
        return said


def administer(*statements: str) -> None:
    """Do what an administrator of the server does."""
    with session.engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


@contextmanager
def owner(database: settings.Settings, *rights: str) -> Iterator[Owner]:
    # Roles belong to all databases of the server.
    name = f"owner_{uuid.uuid4().hex[:12]}"
    role = f"web_of_{name}"
    url = f"postgresql://{name}@/{name}?host={database.socket_folder}"
    administer(f"CREATE ROLE {name} LOGIN {' '.join(rights)}", f"CREATE DATABASE {name} OWNER {name}")
    try:
        yield Owner(name, role, os.environ | {"DATABASE_URL": url, "WEB_DATABASE_ROLE": role})
    finally:
        administer(f"DROP DATABASE {name} WITH (FORCE)", f"DROP ROLE IF EXISTS {role}", f"DROP ROLE {name}")


def test_a_user_who_may_make_roles_makes_the_one_for_the_web(database: settings.Settings) -> None:
    with owner(database, "CREATEROLE") as ordinary:
        migrated, said = ordinary.run("go_back", "look")
    assert migrated == {"left": [], "at_newest": True}, "every migration can be taken back"
    assert "row-level security" not in said["warnings"]
    assert (said["own"], said["others"], said["others_without_a_filter"]) == (1, 0, 0)


def test_a_user_who_may_not_is_told_what_to_ask_for(database: settings.Settings) -> None:
    with owner(database) as ordinary:
        (said,) = ordinary.run("look")
        assert "row-level security" in said["warnings"]
        assert (said["own"], said["others"]) == (1, 0), "the service runs, behind its own filters alone"
        assert said["others_without_a_filter"] == 1
        administer(f"CREATE ROLE {ordinary.role} NOLOGIN", f"GRANT {ordinary.role} TO {ordinary.name}")
        (said,) = ordinary.run("look")
    assert "row-level security" not in said["warnings"]
    assert (said["own"], said["others"], said["others_without_a_filter"]) == (1, 0, 0)
