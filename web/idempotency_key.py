"""The header `Idempotency-Key`: read, and bound to the request it came with."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import flask

from web import problems

HEADER = "Idempotency-Key"
REPLAYED_HEADER = "Idempotent-Replayed"

_KEY = re.compile(r"[\x20-\x7e]{1,255}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key, and the digest of the request it stands for."""

    text: str
    request_sha256: bytes


def given() -> str | None:
    """Return the key of the request, if it has one.

    Raises:
        problems.Problem: it is empty, too long, or not printable ASCII.
    """
    text = flask.request.headers.get(HEADER)
    if text is not None and not _KEY.fullmatch(text):
        detail = "An idempotency key has 1 to 255 printable ASCII characters; a random UUID is a good one."
        raise problems.refused(problems.FieldError(f"#/header/{HEADER}", "not-a-key", detail))
    return text


def bind(text: str | None, asked: Mapping[str, Any]) -> Key | None:
    """Bind a key to the request.

    The request counts as it was sent, apart from the order and spacing of its JSON. Defaults are not filled in first: they
    may change between two tries, with a new release or the organisation's settings, and the retry is the same request still.

    Args:
        text: the key, if there is one.
        asked: what besides method and path makes this request what it is; JSON values only.
    """
    if text is None:
        return None
    request = {"method": flask.request.method, "path": flask.request.path, "asked": asked}
    canonical = json.dumps(request, sort_keys=True, separators=(",", ":"))
    return Key(text, hashlib.sha256(canonical.encode()).digest())
