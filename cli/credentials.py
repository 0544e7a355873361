"""Makes the key with which the command line speaks to its own stack, once for an embedded database.

Run as `python -m cli.credentials` by `reckoner up` after the migrations.
"""

from pathlib import Path

from cli import kept_key, runtime_file
from models import organisations, session, settings


def ensure_credentials(home: Path) -> bool:
    """Make the organisation `local` and an admin key, unless the key kept here still works; True when one was made."""
    kept = kept_key.read(home)
    with session.transaction() as transaction:
        if kept is not None and organisations.find_valid_key(transaction, kept) is not None:
            return False
        issued = organisations.ensure_local(transaction)
        content = {"organisation": organisations.LOCAL_ORGANISATION, "api_key": issued.secret}
    # After the commit: a key that is kept but does not exist would be worse than one that is made again.
    runtime_file.write_json(kept_key.path(home), content)
    return True


def main() -> None:
    home = settings.load().home
    if ensure_credentials(home):
        print(
            f"made the organisation {organisations.LOCAL_ORGANISATION!r} and an API key for it, kept in {kept_key.path(home)}"
        )


if __name__ == "__main__":
    main()
