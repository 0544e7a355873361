"""Addresses in e-mails under which a receiver finds what is theirs without a key: signed, for one delivery, for some days."""

import base64
import hmac
import re
import struct
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from models import settings, vault
from models.delivery import Delivery

PATH = "/v1/downloads"
# Their places are part of what is signed: new ones come last.
FORMATS = ("html", "pdf", "xlsx", "csv", "parquet", "json", "ndjson")

PAGE = "html"

_PURPOSE = "reckoner download links"
_VERSION = 1
# Version, organisation, delivery, format, seconds since the epoch.
_BODY = struct.Struct(">B16s16sBQ")
_HASH = "sha256"
_MAC_BYTES = 32
_TOKEN = re.compile(r"[A-Za-z0-9_-]{99}")


@dataclass(frozen=True, slots=True)
class Link:
    """What a link leads to: what one delivery's receiver may see, in a format; and until when."""

    organisation_id: uuid.UUID
    delivery_id: uuid.UUID
    format: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Offered:
    """What an e-mail links to: what is said of each, and its address; and until when. Nothing, where there is no link."""

    named: Sequence[tuple[str, str]] = ()
    until: datetime | None = None


def offered(delivery: Delivery, kept_until: datetime | None, files: Iterable[str]) -> Offered:
    """Return the links of a delivery: the report as a page, and files by their names, for as long as the result is kept.

    There are none where nobody has said under which address the server is reached, or where there is no key to sign with.
    """
    configured = settings.load()
    if configured.public_url is None or not configured.download_link_days or not vault.is_open():
        return Offered()
    until = datetime.now(UTC) + timedelta(days=configured.download_link_days)
    until = min(until, kept_until or until).replace(microsecond=0)
    wanted = [("Open the report", PAGE), *((f"Download {name}", name.rpartition(".")[2]) for name in files)]
    signed = ((words, sign(Link(delivery.organisation_id, delivery.id, fmt, until))) for words, fmt in wanted)
    here = configured.public_url.rstrip("/") + PATH
    return Offered([(words, f"{here}/{token}") for words, token in signed], until)


def sign(link: Link) -> str:
    """Return the link as it stands in an address.

    Raises:
        vault.NoKeyError: there is no key to sign with.
    """
    keys = vault.derived(_PURPOSE)
    if not keys:
        raise vault.NoKeyError
    body = _BODY.pack(
        _VERSION,
        link.organisation_id.bytes,
        link.delivery_id.bytes,
        FORMATS.index(link.format),
        int(link.expires_at.timestamp()),
    )
    return base64.urlsafe_b64encode(body + hmac.digest(keys[0], body, _HASH)).decode().rstrip("=")


def read(token: str) -> Link | None:
    """Return what a link says, past its time or not; None: it is none that was signed here, letter by letter."""
    if not _TOKEN.fullmatch(token):
        return None
    raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    body, mac = raw[: _BODY.size], raw[_BODY.size :]
    if len(mac) != _MAC_BYTES or base64.urlsafe_b64encode(raw).decode().rstrip("=") != token:
        return None
    if not any(hmac.compare_digest(hmac.digest(key, body, _HASH), mac) for key in vault.derived(_PURPOSE)):
        return None
    version, organisation, delivery, fmt, seconds = _BODY.unpack(body)
    if version != _VERSION or fmt >= len(FORMATS):
        return None
    expires_at = datetime.fromtimestamp(seconds, UTC)
    return Link(uuid.UUID(bytes=organisation), uuid.UUID(bytes=delivery), FORMATS[fmt], expires_at)
