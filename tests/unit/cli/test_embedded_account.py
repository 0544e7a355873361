"""Rights for the account PostgreSQL runs as: as much as it needs to pass, and said aloud."""

import os
from pathlib import Path

import pytest

from cli import embedded_account
from cli.process_spec import Account, StartError

# Nobody has these numbers: only the rights of others apply.
STRANGER = Account("stranger", 2_000_000_001, 2_000_000_001)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_only_the_closed_parents_are_opened_and_only_for_passing(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    inner = closed / "open"
    inner.mkdir()
    inner.chmod(0o755)
    target = inner / "data"
    target.mkdir(mode=0o700)
    said: list[str] = []
    embedded_account.let_pass(STRANGER, target, said.append)
    assert (mode(closed), mode(inner), mode(target)) == (0o701, 0o755, 0o700)
    told = [line for line in said if str(tmp_path) in line]
    assert told[-1] == f"PostgreSQL runs as 'stranger': let others pass through (not read) {closed}, mode is now 701"
    said.clear()
    embedded_account.let_pass(STRANGER, target, said.append)
    assert said == []


def test_the_owner_needs_nothing(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    owner = Account("owner", os.getuid(), os.getgid())
    said: list[str] = []
    embedded_account.let_read(owner, closed, said.append)
    assert (mode(closed), said) == (0o700, [])


def test_a_package_installed_under_a_strict_umask_is_made_readable(tmp_path: Path) -> None:
    package = tmp_path / "package"
    (package / "bin").mkdir(parents=True, mode=0o700)
    program, table = package / "bin" / "postgres", package / "table"
    program.touch(mode=0o700)
    table.touch(mode=0o600)
    (package / "link").symlink_to("/etc/shadow")
    (package / "bin").chmod(0o700)
    package.chmod(0o700)
    said: list[str] = []
    embedded_account.let_read(STRANGER, package, said.append)
    assert (mode(package), mode(package / "bin"), mode(program), mode(table)) == (0o705, 0o705, 0o705, 0o604)
    assert said == ["PostgreSQL runs as 'stranger': let others read 4 files of the package package"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may start any home")
def test_a_home_of_somebody_else_is_refused() -> None:
    with pytest.raises(StartError, match="belongs to root; run as the account that made it, or choose another home"):
        embedded_account.choose(Path("/"))


@pytest.mark.skipif(os.geteuid() != 0, reason="is about root")
def test_root_keeps_the_account_that_made_the_home(tmp_path: Path) -> None:
    os.chown(tmp_path, 65534, 65534)
    account = embedded_account.choose(tmp_path)
    assert account is not None
    assert account.uid == 65534
