"""API keys: what goes in and what comes out."""

import uuid
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from models.api_key import Scope
from web import moments
from web.schemas import Answer, Request

LONGEST_OVERLAP = 7 * 86_400
KEY_ID = "0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21"


Name = Annotated[str, Field(min_length=1, max_length=100, description="What the key is for", examples=["nightly sync"])]


class KeyRequest(Request):
    """A key that is to be made."""

    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=20)] = Field(
        description="What it may do; never more than the key that makes it. `admin` may do everything, and a write scope "
        "includes its read scope",
        examples=[["reports:read", "datasets:write"]],
    )
    expires_at: moments.Moment | None = Field(
        default=None, description="From then on it is worth nothing. Null or left out: it works until it is revoked"
    )


class KeyChange(Request):
    """What is to be different. What a key may do and when it expires are settled when it is made: make another."""

    name: Name


class KeyRotation(Request):
    """A new secret for a key. The body may be left out."""

    overlap_seconds: Annotated[int, Field(strict=True)] = Field(
        default=86_400,
        ge=0,
        le=LONGEST_OVERLAP,
        description="For so long its earlier secrets still work; 0 = they end at once, as after a leak",
    )


class KeyListQuery(Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")


class EarlierSecret(Answer):
    """A secret that a newer one has replaced."""

    prefix: str
    works_until: datetime


class KeyLinks(Answer):
    self: str
    rotate: str = Field(description="POST here for a new secret")


class KeyObject(Answer):
    """An API key; everything but its secret, which is not kept."""

    id: uuid.UUID = Field(examples=[KEY_ID])
    name: str
    prefix: str = Field(description="How its newest secret begins: enough to tell keys apart", examples=["rk_3kTq8Zn"])
    scopes: list[Scope]
    status: Literal["active", "expired", "revoked"]
    created_at: datetime
    created_by: str | None = Field(description="The key that made it, by its prefix; or the operator")
    expires_at: datetime | None
    last_used_at: datetime | None = Field(description="To the minute")
    rotated_at: datetime | None = Field(description="When its newest secret was made, if that was not with the key")
    earlier_secrets: list[EarlierSecret] = Field(description="Those that still work")
    revoked_at: datetime | None
    revoked_by: str | None
    links: KeyLinks


class NewKey(KeyObject):
    """A key with its secret."""

    api_key: str | None = Field(
        description="The secret, in this answer alone. Null in an answer that is replayed for an `Idempotency-Key`: it is not "
        "kept; ask for a new one with `rotate`, which leaves earlier secrets working",
        examples=["rk_3kTq8ZnE0vJvYx2mPj0dQW4m5m8u1cLr9sT6yBfHnKo"],
    )
