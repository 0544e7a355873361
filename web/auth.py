"""Who is asking: the API key of the request, what it may do, and the organisation, which comes from the key alone."""

import functools
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

import flask
import sqlalchemy.exc
import structlog

from models import job_states, organisations, row_access, session
from models.api_key import Scope
from models.job_states import JobKind
from web import known_keys, limits, problem_types, problems

P = ParamSpec("P")
R = TypeVar("R")

LONGEST_KEY = 200

log = structlog.get_logger("web.auth")

# Whoever may write may see what came of it.
INCLUDED = {Scope.REPORTS_WRITE: Scope.REPORTS_READ, Scope.DATASETS_WRITE: Scope.DATASETS_READ}

# Every kind but a report is about the datasets.
READS_KIND = dict.fromkeys(JobKind, Scope.DATASETS_READ) | {JobKind.REPORT: Scope.REPORTS_READ}
WRITES_KIND = dict.fromkeys(JobKind, Scope.DATASETS_WRITE) | {JobKind.REPORT: Scope.REPORTS_WRITE}


@dataclass(frozen=True, slots=True)
class Caller:
    """The organisation a key speaks for, with its defaults, and the key's scopes."""

    organisation_id: uuid.UUID
    timezone: str
    currency: str
    scopes: frozenset[str]
    key_prefix: str

    @property
    def name(self) -> str:
        """Who this is in the records: the part of the key that is no secret."""
        return f"key {self.key_prefix}"

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def readable_kinds(self) -> list[job_states.JobKind]:
        return [kind for kind, scope in READS_KIND.items() if self.may(scope)]


def caller() -> Caller:
    """Return who is asking. Only for views behind `requires`."""
    who = flask.g.caller
    if not isinstance(who, Caller):
        raise TypeError("auth.caller() was asked outside a view that requires a scope")
    return who


def requires(*any_of: Scope) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Let a view be called only with a valid key that has one of these scopes."""

    def decorate(view: Callable[P, R]) -> Callable[P, R]:
        @functools.wraps(view)
        def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
            flask.g.caller = _identify()
            limits.spend_request(caller().organisation_id)
            demand(*any_of)
            return view(*args, **kwargs)

        return guarded

    return decorate


def demand(*any_of: Scope) -> None:
    """Refuse the request unless the key has one of these scopes."""
    if any(caller().may(scope) for scope in any_of):
        return
    needed = " or ".join(f"`{scope}`" for scope in any_of)
    raise problems.Problem(
        problem_types.INSUFFICIENT_SCOPE,
        f"This needs a key with the scope {needed}.",
        headers={"WWW-Authenticate": _challenge("insufficient_scope", scope=" ".join(any_of))},
        facts={"scopes_needed": [scope.value for scope in any_of]},
    )


def _identify() -> Caller:
    """Return who is asking, and let the request see the rows of their organisation, which it does not before."""
    secret = _secret_of_request()
    who = _known().find(secret)
    if who is None:
        return _look_up(secret)
    open_door(who.organisation_id)
    return who


def open_door(organisation_id: uuid.UUID) -> None:
    """Let the request see the rows of an organisation; only once it is proven that it may."""
    door = row_access.door()
    if door is None:
        raise RuntimeError("a request came in beside the door of web.row_door")
    door.open_for(organisation_id)


@functools.cache
def _known() -> known_keys.KnownKeys[Caller]:
    return known_keys.KnownKeys()


def _look_up(secret: str) -> Caller:
    # Whoever guesses keys must not keep out those who have one at the same address.
    if not _known().was_valid(secret):
        limits.refuse_guesser()
    looked_at = time.monotonic()
    with session.statement() as db:
        key = organisations.find_valid_key(db, secret)
    if key is None:
        _known().forget(secret)
        limits.note_wrong_key()
        raise _unauthenticated("The API key is unknown, expired or revoked.", error="invalid_token")
    open_door(key.organisation_id)
    who = Caller(
        organisation_id=key.organisation_id,
        timezone=key.timezone,
        currency=key.currency,
        scopes=frozenset(key.scopes) | {included for scope, included in INCLUDED.items() if scope in key.scopes},
        key_prefix=key.prefix,
    )
    if key.use_is_worth_noting:
        _note_use(key.id)
    _known().remember(secret, who, looked_at=looked_at, seconds_left=key.seconds_left)
    return who


def _note_use(key_id: uuid.UUID) -> None:
    """Note that the key was used; a database that only reads can still answer what needs no more."""
    try:
        with session.statement() as db:
            organisations.note_use(db, key_id)
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        log.warning("could not note the use of a key", error=type(error).__name__)


def _secret_of_request() -> str:
    header = flask.request.headers.get("Authorization")
    if header is None:
        raise _unauthenticated("There is no `Authorization: Bearer rk_...` header.")
    scheme, _, secret = header.partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise _unauthenticated("The Authorization header is not of the form `Bearer rk_...`.", error="invalid_request")
    if len(secret) > LONGEST_KEY or not secret.isascii():
        raise _unauthenticated("The API key is unknown, expired or revoked.", error="invalid_token")
    return secret


def _unauthenticated(detail: str, *, error: str | None = None) -> problems.Problem:
    return problems.Problem(problem_types.UNAUTHENTICATED, detail, headers={"WWW-Authenticate": _challenge(error)})


def _challenge(error: str | None, *, scope: str | None = None) -> str:
    parts = ['realm="reckoner"']
    if error is not None:
        parts.append(f'error="{error}"')
    if scope is not None:
        parts.append(f'scope="{scope}"')
    return "Bearer " + ", ".join(parts)
