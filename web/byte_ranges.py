"""Which part of a representation a request asks for (RFC 9110, `Range` and `If-Range`)."""

import re

import flask
from werkzeug.exceptions import RequestedRangeNotSatisfiable

# One range of bytes. Several, other units and what is no range at all are answered with the whole, as the standard allows.
_ONE = re.compile(r"bytes=\s*(?:([0-9]{1,18})-([0-9]{0,18})|-([0-9]{1,18}))\s*", re.IGNORECASE)


def is_wanted(etag: str) -> bool:
    """Tell whether a part is asked for of the representation with this strong validator, and not of an earlier one."""
    if flask.request.method != "GET" or _asked() is None:
        return False
    condition = flask.request.headers.get("If-Range")
    # A date compares with nothing: results are known by their validators alone.
    return condition is None or condition.strip() == f'"{etag}"'


def of_request(size: int) -> range:
    """Return the bytes that are asked for, of so many.

    Raises:
        RequestedRangeNotSatisfiable: there are none of them.
    """
    asked = _asked()
    if asked is None:
        return range(size)
    first, last, suffix = asked
    part = range(max(0, size - suffix), size) if suffix is not None else range(first, min(size, last + 1))
    if not part:
        raise RequestedRangeNotSatisfiable(size)
    return part


def _asked() -> tuple[int, int, int | None] | None:
    """Return the first and the last byte, or how many from the end."""
    found = _ONE.fullmatch(flask.request.headers.get("Range", "").strip())
    if found is None:
        return None
    if found[3] is not None:
        return 0, 0, int(found[3])
    first = int(found[1])
    last = int(found[2]) if found[2] else 10**18
    return (first, last, None) if first <= last else None
