"""Lets a request that makes something other than a job take effect once, however often it is sent with its key."""

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy.orm import Session

from models import idempotent_effects, session
from web import auth, problem_types, problems, request_context
from web.idempotency_key import REPLAYED_HEADER, Key

Made = TypeVar("Made")
RETRY_AFTER_IN_USE = "1"


@dataclass(frozen=True, slots=True)
class Effect(Generic[Made]):
    """What a request made, and whether an earlier one with its key had made it."""

    made: Made
    replayed: bool

    @property
    def headers(self) -> dict[str, str]:
        return {REPLAYED_HEADER: "true"} if self.replayed else {}


def effect(
    key: Key | None,
    make: Callable[[Session], tuple[uuid.UUID, Made]],
    find: Callable[[Session, uuid.UUID], Made],
) -> Effect[Made]:
    """Make something in a transaction, or find what the key has made already.

    Args:
        key: the caller's, where there is one.
        make: makes it, and says under which id it can be found again.
        find: finds it; it may say by a problem that it is not there any more.

    Raises:
        problems.Problem: the key belongs to another request, or to one that is being decided at this moment.
    """
    organisation_id = auth.caller().organisation_id
    with session.transaction() as db:
        used = idempotent_effects.find(db, organisation_id, key.text) if key is not None else None
        if used is not None and key is not None:
            if used.request_sha256 != key.request_sha256:
                raise problems.Problem(
                    problem_types.IDEMPOTENCY_KEY_REUSED,
                    f"This key came with another request at {used.created_at:%Y-%m-%dT%H:%M:%SZ}. Nothing was done.",
                )
            return Effect(find(db, used.subject_id), replayed=True)
        subject_id, made = make(db)
        if key is not None and not idempotent_effects.take(
            db, organisation_id, key.text, request_sha256=key.request_sha256, subject_id=subject_id
        ):
            raise problems.Problem(
                problem_types.IDEMPOTENCY_KEY_IN_USE,
                "Another request with this key was decided at this moment. Send it again in a second.",
                headers={"Retry-After": RETRY_AFTER_IN_USE},
            )
        # From here on an error of the database leaves it open whether the request took effect.
        request_context.note_commit()
    return Effect(made, replayed=False)
