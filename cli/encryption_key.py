"""The key under which secrets of webhooks are kept: the operator's, or one made once beside the embedded database."""

from cli import runtime_file
from models import settings, vault


def ensure(configured: settings.Settings) -> None:
    """Make a key where there is to be one and is none. With a database of its own the operator must choose one."""
    kept = vault.path(configured.home)
    if configured.encryption_keys is None and configured.uses_embedded_database and not kept.exists():
        runtime_file.write_private(kept, vault.new_key() + "\n")
