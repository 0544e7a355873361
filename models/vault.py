"""Secrets that must be readable again, encrypted before they reach the database: Fernet, with keys that can be rotated."""

import functools
import hmac
from pathlib import Path

from models import settings

FILE_NAME = "encryption_key"


class NoKeyError(Exception):
    """There is no key to keep secrets under: ENCRYPTION_KEYS is not set."""


class UnreadableError(Exception):
    """A secret was kept under a key that is not among ours."""


def new_key() -> str:
    from cryptography.fernet import Fernet  # noqa: PLC0415 - megabytes that few processes need

    return Fernet.generate_key().decode()


def path(home: Path) -> Path:
    """Where the key of an embedded database lies, which `reckoner up` makes."""
    return home / FILE_NAME


def is_open() -> bool:
    """Whether there is a key."""
    return bool(_keys())


def seal(text: str) -> bytes:
    """Encrypt under the newest key.

    Raises:
        NoKeyError: there is none.
    """
    return _box_of(_keys()).seal(text)


def unseal(sealed: bytes) -> str:
    """Decrypt, under whichever of the keys it was encrypted.

    Raises:
        NoKeyError: there is none.
        UnreadableError: it was none of them.
    """
    return _box_of(_keys()).unseal(sealed)


def derived(purpose: str) -> tuple[bytes, ...]:
    """Return keys for another purpose, made of ours, the newest first; none where there is none.

    Who learns one of them learns nothing of what it was made of, nor of those for other purposes.
    """
    return tuple(hmac.digest(key.encode("ascii"), purpose.encode(), "sha256") for key in _keys())


class _Box:
    def __init__(self, keys: tuple[str, ...]) -> None:
        from cryptography.fernet import Fernet, InvalidToken, MultiFernet  # noqa: PLC0415 - as above

        self._invalid = InvalidToken
        self._fernet = MultiFernet([Fernet(key) for key in keys])

    def seal(self, text: str) -> bytes:
        return self._fernet.encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        try:
            return self._fernet.decrypt(sealed).decode()
        except self._invalid as error:
            raise UnreadableError from error


@functools.cache
def _box(keys: tuple[str, ...]) -> _Box:
    return _Box(keys)


def _box_of(keys: tuple[str, ...]) -> _Box:
    if not keys:
        raise NoKeyError
    return _box(keys)


def _keys() -> tuple[str, ...]:
    configured = settings.load()
    if configured.encryption_keys is not None:
        return tuple(key.strip() for key in configured.encryption_keys.get_secret_value().split(","))
    # A key that lies on one machine is of no use to the workers of another.
    file = path(configured.home)
    if not configured.uses_embedded_database or not file.exists():
        return ()
    return (file.read_text(encoding="ascii").strip(),)
