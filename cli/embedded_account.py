"""The account PostgreSQL runs as: our own, or, because it refuses to run as root, an unprivileged one that can reach its files."""

import grp
import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

from cli.process_spec import Account, StartError

ACCOUNT_NAME = "pgserver"


def choose(data: Path) -> Account | None:
    """The account for a data folder; None means our own.

    A data folder that already belongs to an ordinary account keeps it, so that a home made without root still works with root.

    Raises:
        StartError: we may not, or cannot, run PostgreSQL here.
    """
    us = os.geteuid()
    owner = data.stat().st_uid if data.exists() else None
    if us == 0:
        return _account_of(owner) if owner else _ensure_account()
    if owner is not None and owner != us:
        raise StartError(
            f"{data} belongs to {_name_of(owner)}; run as the account that made it, or choose another home with --home"
        )
    _account_of(us)
    return None


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _account_of(uid: int) -> Account:
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise StartError(
            f"uid {uid} has no entry in /etc/passwd and PostgreSQL does not run without one; "
            "add the account, or set DATABASE_URL to a PostgreSQL of your own"
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _ensure_account() -> Account:
    if _find_account() is None:
        program = shutil.which("useradd", path=os.pathsep.join([*os.get_exec_path(), "/usr/sbin", "/sbin"]))
        if program is None:
            raise StartError(
                f"PostgreSQL does not run as root and there is no `useradd` to make the account {ACCOUNT_NAME!r}; "
                "make it by hand, run as an ordinary user, or set DATABASE_URL to a PostgreSQL of your own"
            )
        command = [program, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent"]
        done = subprocess.run(  # noqa: S603 - a fixed command
            [*command, "--shell", "/bin/false", ACCOUNT_NAME], capture_output=True, text=True, check=False
        )
        # Two stacks may start at once; what counts is that the account is there.
        if _find_account() is None:
            raise StartError(f"useradd could not make the account {ACCOUNT_NAME!r}: {done.stderr.strip()}")
    entry = pwd.getpwnam(ACCOUNT_NAME)
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _find_account() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(ACCOUNT_NAME)
    except KeyError:
        return None


def let_pass(account: Account, target: Path, say: Callable[[str], None]) -> None:
    """Let the account walk down to `target`: the right to pass (not to list or read) for others on the parents that lack it.

    Raises:
        StartError: a folder on the way cannot be changed.
    """
    for folder in reversed(target.absolute().parents):
        if _may_pass(account, folder.stat()):
            continue
        mode = stat.S_IMODE(folder.stat().st_mode) | stat.S_IXOTH
        _change_mode(folder, mode)
        say(f"PostgreSQL runs as {account.name!r}: let others pass through (not read) {folder}, mode is now {mode:o}")


def let_read(account: Account, top: Path, say: Callable[[str], None]) -> None:
    """Let the account read and run the files under `top`, where an installation under a strict umask forbids it."""
    changed = 0
    for path in _tree(top):
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode):
            continue
        mode = stat.S_IMODE(status.st_mode)
        wanted = mode | stat.S_IROTH | (stat.S_IXOTH if mode & stat.S_IXUSR else 0)
        if wanted != mode and not _may_read(account, status):
            _change_mode(path, wanted)
            changed += 1
    if changed:
        say(f"PostgreSQL runs as {account.name!r}: let others read {changed} files of the package {top.name}")


def _tree(top: Path) -> Iterator[Path]:
    yield top
    yield from top.rglob("*")


def _change_mode(path: Path, mode: int) -> None:
    try:
        path.chmod(mode)
    except OSError as error:
        raise StartError(
            f"PostgreSQL cannot run as root, and the account it runs as cannot reach {path} ({error.strerror}); "
            "install and run below folders that others may pass through, or run as an ordinary user"
        ) from error


def _bits(account: Account, status: os.stat_result) -> int:
    """The rwx bits that apply to the account."""
    if status.st_uid == account.uid:
        return status.st_mode >> 6
    groups = {account.gid, *(group.gr_gid for group in grp.getgrall() if account.name in group.gr_mem)}
    return status.st_mode >> 3 if status.st_gid in groups else status.st_mode


def _may_pass(account: Account, status: os.stat_result) -> bool:
    return bool(_bits(account, status) & stat.S_IXOTH)


def _may_read(account: Account, status: os.stat_result) -> bool:
    return bool(_bits(account, status) & stat.S_IROTH)
