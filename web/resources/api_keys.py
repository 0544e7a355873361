"""API keys: made, listed, renamed, given new secrets, revoked. Secrets are in the answer that makes them, and nowhere else."""

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import flask
import structlog
from sqlalchemy.orm import Session

from models import api_keys, organisations, session
from models.api_key import Scope
from models.api_keys import SeenKey
from models.organisation import Organisation
from web import (
    auth,
    cursor,
    idempotency_key,
    job_object,
    json_body,
    once,
    paging,
    problem_types,
    problems,
    query,
    schemas,
)
from web import key_schemas as shapes

blueprint = flask.Blueprint("api_keys", __name__, url_prefix="/v1/api-keys")

PATH = "/v1/api-keys"
Found = TypeVar("Found")
# A key, and its secret where it was made just now.
Issued = tuple[SeenKey, str | None]

log = structlog.get_logger("web.api_keys")


@blueprint.post("")
@auth.requires(Scope.ADMIN)
def create() -> flask.Response:
    query.read(schemas.NoParameters)
    raw = json_body.read()
    request = json_body.validated(shapes.KeyRequest, raw)
    for scope in request.scopes:
        # Nobody can give what they have not.
        auth.demand(scope)
    if request.expires_at is not None and request.expires_at <= datetime.now(UTC):
        raise problems.refused(problems.FieldError("#/expires_at", "in-the-past", "This moment is over."))
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})
    done = once.effect(key, lambda db: _make(db, request), lambda db, key_id: (_find(db, str(key_id)), None))
    answer = _with_secret(done, status=201)
    answer.headers["Location"] = _address(done.made[0])
    if not done.replayed:
        _note("key created", done.made[0])
    return answer


@blueprint.get("")
@auth.requires(Scope.ADMIN)
def listing() -> flask.Response:
    parameters = query.read(shapes.KeyListQuery)
    before = cursor.decode(parameters.cursor) if parameters.cursor is not None else None
    with session.transaction() as db:
        limit = paging.to_fetch(parameters)
        rows = api_keys.newest(db, auth.caller().organisation_id, limit=limit, before=before)
    page, following = paging.cut(rows, parameters, path=PATH, end=lambda seen: cursor.encode(seen.key.id))
    data = [shapes.KeyObject(**_described(seen)) for seen in page]
    return job_object.as_json(schemas.Page(data=data, next=following))


@blueprint.get("/<key_id>")
@auth.requires(Scope.ADMIN)
def show(key_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        return _answer(_find(db, key_id))


@blueprint.patch("/<key_id>")
@auth.requires(Scope.ADMIN)
def change(key_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    request = json_body.validated(shapes.KeyChange, json_body.read())
    with session.transaction() as db:
        found = _find(db, key_id).key
        api_keys.rename(db, found.id, request.name, organisation_id=found.organisation_id)
        db.expire(found)
        return _answer(_find(db, key_id))


@blueprint.post("/<key_id>/rotate")
@auth.requires(Scope.ADMIN)
def rotate(key_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    raw = json_body.read_if_any()
    request = json_body.validated(shapes.KeyRotation, raw)
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})

    def make(db: Session) -> tuple[uuid.UUID, Issued]:
        found = _find(db, key_id).key
        overlap = timedelta(seconds=request.overlap_seconds)
        try:
            made = _there(api_keys.rotate(db, found.id, overlap=overlap, organisation_id=found.organisation_id))
        except api_keys.NotActiveError as error:
            raise problems.Problem(
                problem_types.KEY_NOT_ACTIVE, "The key is revoked or expired, and stays so. Make another."
            ) from error
        return found.id, (_find(db, key_id), made.secret)

    done = once.effect(key, make, lambda db, found_id: (_find(db, str(found_id)), None))
    if not done.replayed:
        _note("key rotated", done.made[0], overlap_seconds=request.overlap_seconds)
    return _with_secret(done, status=200)


@blueprint.delete("/<key_id>")
@auth.requires(Scope.ADMIN)
def revoke(key_id: str) -> flask.Response:
    """Revoke a key; it stays in the list, and revoking it again changes nothing."""
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        found = _find(db, key_id).key
        try:
            revoked = api_keys.revoke(db, found.id, by=auth.caller().name, organisation_id=found.organisation_id)
        except api_keys.LastAdminKeyError as error:
            raise problems.Problem(
                problem_types.LAST_ADMIN_KEY,
                "It is the only key of the organisation with the scope `admin`: nobody could make another over the API.",
            ) from error
        db.expire(found)
        seen = _find(db, key_id)
    if revoked:
        _note("key revoked", seen)
    return _answer(seen)


def _make(db: Session, request: shapes.KeyRequest) -> tuple[uuid.UUID, Issued]:
    owner = auth.caller().organisation_id
    if api_keys.count_active(db, owner) >= api_keys.MOST_PER_ORGANISATION:
        raise problems.Problem(
            problem_types.TOO_MANY_KEYS,
            f"There are {api_keys.MOST_PER_ORGANISATION} active keys already. Revoke those that nobody uses: "
            "`last_used_at` tells.",
        )
    made = organisations.issue_key(
        db,
        db.get_one(Organisation, owner),
        name=request.name,
        scopes=request.scopes,
        expires_at=request.expires_at,
        by=auth.caller().name,
    )
    return made.key.id, (_find(db, str(made.key.id)), made.secret)


def _find(db: Session, key_id: str) -> SeenKey:
    try:
        identity = uuid.UUID(key_id)
    except ValueError:
        return _there(None)
    return _there(api_keys.find(db, identity, organisation_id=auth.caller().organisation_id))


def _there(found: Found | None) -> Found:
    if found is None:
        raise problems.Problem(problem_types.NOT_FOUND, "There is no API key with this id.")
    return found


def _answer(seen: SeenKey) -> flask.Response:
    return job_object.as_json(shapes.KeyObject(**_described(seen)))


def _with_secret(done: once.Effect[Issued], *, status: int) -> flask.Response:
    seen, secret = done.made
    answer = job_object.as_json(shapes.NewKey(**_described(seen), api_key=secret), status=status)
    answer.headers.update(done.headers)
    return answer


def _described(seen: SeenKey) -> dict[str, Any]:
    key, here = seen.key, _address(seen)
    shown = ("id", "name", "prefix", "scopes", "created_at", "created_by", "expires_at", "last_used_at", "rotated_at")
    return {
        **{name: getattr(key, name) for name in (*shown, "revoked_at", "revoked_by")},
        "status": "revoked" if key.revoked_at is not None else "expired" if seen.is_expired else "active",
        "earlier_secrets": [
            shapes.EarlierSecret(prefix=old.prefix, works_until=min(old.expires_at, key.expires_at or old.expires_at))
            for old in seen.old_secrets
            if key.revoked_at is None and not seen.is_expired
        ],
        "links": shapes.KeyLinks(self=here, rotate=f"{here}/rotate"),
    }


def _address(seen: SeenKey) -> str:
    return f"{PATH}/{seen.key.id}"


def _note(event: str, seen: SeenKey, **more: object) -> None:
    """Leave a line in the log: what happens to keys is what an audit asks for first."""
    key = seen.key
    log.info(
        event,
        key_id=str(key.id),
        prefix=key.prefix,
        scopes=key.scopes,
        organisation_id=str(key.organisation_id),
        by=auth.caller().name,
        **more,
    )
