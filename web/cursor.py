"""Opaque cursors of lists: they say where the next page begins.

A job's id is unique and ordered by time, and a version's number within its dataset, so the last of a page is enough.
"""

import base64
import binascii
import uuid

from web import problems

OF_IDS = b"\x01"
OF_NUMBERS = b"\x02"
NUMBER_BYTES = 8


def encode(last: uuid.UUID) -> str:
    return _encode(OF_IDS + last.bytes)


def decode(cursor: str) -> uuid.UUID:
    """Return the id a cursor stands for.

    Raises:
        problems.Problem: it is not a cursor this API gave out.
    """
    return uuid.UUID(bytes=_decode(cursor, OF_IDS, 16))


def encode_number(last: int) -> str:
    return _encode(OF_NUMBERS + last.to_bytes(NUMBER_BYTES))


def decode_number(cursor: str) -> int:
    """Return the number a cursor stands for.

    Raises:
        problems.Problem: it is not a cursor this API gave out for such a list.
    """
    return int.from_bytes(_decode(cursor, OF_NUMBERS, NUMBER_BYTES))


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(cursor: str, kind: bytes, size: int) -> bytes:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    if len(raw) != len(kind) + size or not raw.startswith(kind):
        raise _unknown()
    return raw[len(kind) :]


def _unknown() -> problems.Problem:
    detail = "This is not a cursor of this API. Follow the `next` link of a page as it is."
    return problems.refused(problems.FieldError("#/query/cursor", "unknown-cursor", detail))
