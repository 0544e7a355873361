"""Who a certificate is about, for those who know the id already: a slow, salted digest of it in the place of the id."""

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from typing import Any

ALGORITHM = "pbkdf2-hmac-sha256"
# Many ids are short numbers: trying them all out must take long.
ITERATIONS = 600_000
SALT_BYTES = 16


def seal(customer_id: str) -> dict[str, Any]:
    """Return a digest that only who knows the id can recompute, with a salt of its own."""
    salt = secrets.token_bytes(SALT_BYTES)
    return {
        "algorithm": ALGORITHM,
        "iterations": ITERATIONS,
        "salt": salt.hex(),
        "subject_sha256": _digest(customer_id, salt, ITERATIONS).hex(),
    }


def is_about(subject: Mapping[str, Any], customer_id: str) -> bool:
    """Whether a digest was made of this id."""
    salt = bytes.fromhex(subject["salt"])
    digest = _digest(customer_id, salt, int(subject["iterations"]))
    return hmac.compare_digest(digest.hex(), subject["subject_sha256"])


def _digest(customer_id: str, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", customer_id.encode(), salt, iterations)
