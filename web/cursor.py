"""Opaque, signed cursors of lists: they say where the next page of one list of one organisation begins.

A job's id is unique and ordered by time, a version's number within its dataset, and a row's place within its result, so the
last of a page is enough.
"""

import base64
import binascii
import functools
import hashlib
import hmac
import uuid

import flask

from models import cursor_keys, session
from web import auth, problems

OF_IDS = b"\x01"
OF_NUMBERS = b"\x02"
NUMBER_BYTES = 8
# Half of a SHA-256: to guess it is as hard as to guess a key of 128 bits.
SIGNATURE_BYTES = 16
KEYS_REMEMBERED = 10_000


def encode(last: uuid.UUID) -> str:
    return _encode(OF_IDS + last.bytes)


def decode(cursor: str) -> uuid.UUID:
    """Return the id a cursor stands for.

    Raises:
        problems.Problem: it is not a cursor this API gave out for this list.
    """
    return uuid.UUID(bytes=_decode(cursor, OF_IDS, 16))


def encode_number(last: int) -> str:
    return _encode(OF_NUMBERS + last.to_bytes(NUMBER_BYTES))


def decode_number(cursor: str) -> int:
    """Return the number a cursor stands for.

    Raises:
        problems.Problem: it is not a cursor this API gave out for this list.
    """
    return int.from_bytes(_decode(cursor, OF_NUMBERS, NUMBER_BYTES))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw + _signature(raw)).decode().rstrip("=")


def _decode(cursor: str, kind: bytes, size: int) -> bytes:
    try:
        signed = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    raw, signature = signed[:-SIGNATURE_BYTES], signed[-SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(raw)) or len(raw) != len(kind) + size or not raw.startswith(kind):
        raise _unknown()
    return raw[len(kind) :]


def _signature(raw: bytes) -> bytes:
    """Sign what a cursor says for the list at this address, of which an id in it may be spelled in capitals."""
    key = _key(auth.caller().organisation_id)
    return hmac.digest(key, flask.request.path.lower().encode() + b"\0" + raw, hashlib.sha256)[:SIGNATURE_BYTES]


@functools.lru_cache(KEYS_REMEMBERED)
def _key(organisation_id: uuid.UUID) -> bytes:
    """Return what an organisation's cursors are signed with; it never changes."""
    with session.transaction() as db:
        return cursor_keys.find(db, organisation_id)


def _unknown() -> problems.Problem:
    detail = "This is not a cursor of this list. Follow the `next` link of a page as it is."
    return problems.refused(problems.FieldError("#/query/cursor", "unknown-cursor", detail))
