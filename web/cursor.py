"""Opaque cursors of lists. A job's id is unique and ordered by time, so the last id of a page says where the next begins."""

import base64
import binascii
import uuid

from web import problems

VERSION = b"\x01"


def encode(last: uuid.UUID) -> str:
    return base64.urlsafe_b64encode(VERSION + last.bytes).decode().rstrip("=")


def decode(cursor: str) -> uuid.UUID:
    """Return the id a cursor stands for.

    Raises:
        problems.Problem: it is not a cursor this API gave out.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unknown() from error
    if len(raw) != 17 or raw[:1] != VERSION:
        raise _unknown()
    return uuid.UUID(bytes=raw[1:])


def _unknown() -> problems.Problem:
    detail = "This is not a cursor of this API. Follow the `next` link of a page as it is."
    return problems.refused(problems.FieldError("#/query/cursor", "unknown-cursor", detail))
