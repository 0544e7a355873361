"""The servers that a home brings along when no others are configured."""

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import embedded_account, embedded_postgres, embedded_redis
from cli.process_spec import Account, ProcessSpec, StartError
from models import settings


def specs(
    configured: settings.Settings, *, environment: Mapping[str, str], say: Callable[[str], None]
) -> list[ProcessSpec]:
    """The embedded servers that these settings ask for.

    Raises:
        StartError: one of them cannot run here.
    """
    found: list[ProcessSpec] = []
    home, sockets = configured.home, configured.socket_folder
    if configured.uses_embedded_database or configured.uses_embedded_redis:
        account = embedded_account.choose(home / "postgres") if configured.uses_embedded_database else None
        _make_socket_folder(sockets, account)
    if configured.uses_embedded_database:
        found.append(embedded_postgres.spec(home=home, sockets=sockets, environment=environment, say=say))
    if configured.uses_embedded_redis:
        found.append(embedded_redis.spec(home=home, sockets=sockets, environment=environment))
    return found


def _make_socket_folder(folder: Path, account: Account | None) -> None:
    """Make the folder that only we, and PostgreSQL's account through its group, can enter.

    Whoever reaches the sockets is trusted, and the stand-in for a long path lies in a folder where everybody may write:
    one that is there already must be ours and no symbolic link.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
        raise StartError(f"{folder} is not a folder of ours; remove it, or choose another home with --home")
    if account is None:
        folder.chmod(0o700)
    else:
        os.chown(folder, -1, account.gid)
        folder.chmod(0o770)
