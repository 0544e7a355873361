"""The key with which the command line speaks to its own stack: made once for an embedded database, kept under the home.

Run as `python -m cli.credentials` by `reckoner up` after the migrations.
"""

from pathlib import Path

from cli import runtime_file
from models import organisations, session, settings

FILE_NAME = "credentials.json"


def path(home: Path) -> Path:
    return home / FILE_NAME


def read_api_key(home: Path) -> str | None:
    """The key kept under this home, if there is one."""
    kept = runtime_file.read_json(path(home))
    return kept.get("api_key") if kept else None


def ensure_credentials(home: Path) -> bool:
    """Make the organisation `local` and an admin key, unless the key kept here still works; True when one was made."""
    kept = read_api_key(home)
    with session.transaction() as transaction:
        if kept is not None and organisations.find_valid_key(transaction, kept) is not None:
            return False
        issued = organisations.ensure_local(transaction)
        content = {"organisation": organisations.LOCAL_ORGANISATION, "api_key": issued.secret}
    # After the commit: a key that is kept but does not exist would be worse than one that is made again.
    runtime_file.write_json(path(home), content)
    return True


def main() -> None:
    home = settings.load().home
    if ensure_credentials(home):
        print(f"made the organisation {organisations.LOCAL_ORGANISATION!r} and an API key for it, kept in {path(home)}")


if __name__ == "__main__":
    main()
