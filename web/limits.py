"""Limits of what a caller may ask for: requests, unfinished jobs, bytes of an upload; and of wrong keys, by address.

Every answer to a request that was counted says how much is left, in the `RateLimit` fields of the IETF's draft.
"""

import functools
import ipaddress
import os
import threading
import time
import uuid
from dataclasses import dataclass, field

import flask

from models import limits, session, settings
from models.limits import Limits
from web import problem_types, problems, request_quota, shared_counts
from web.request_quota import WINDOW_SECONDS, Policy, Standing

REQUESTS = "default"
JOBS = "unfinished-jobs"
WRONG_KEYS = "wrong-keys"
DOWNLOADS = "downloads"
# Of what one e-mail links to. Who reads it, and the programs that look at links before, need a few.
DOWNLOADS_PER_MINUTE = 60

# An organisation's own limits, once changed, hold for the next request but for so long.
KNOWN_SECONDS = 5.0
# How old a count of unfinished jobs may be, with what was accepted here since: when there is room, and when there is none.
COUNTED_SECONDS = 1.0
FULL_SECONDS = 0.1
RETRY_JOBS_SECONDS = 5
MOST_KNOWN = 4_096


@dataclass(slots=True)
class _Under:
    """The unfinished jobs of an organisation, as they were counted, and how many were accepted here since."""

    counted_at: float
    jobs: int


@dataclass(slots=True)
class _Known:
    """What this process remembers for a moment of the organisations that ask it."""

    limits: dict[uuid.UUID, tuple[float, Limits]] = field(default_factory=dict)
    under: dict[uuid.UUID, _Under] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)


def register(app: flask.Flask) -> None:
    app.after_request(_say)


def spend_request(organisation_id: uuid.UUID) -> None:
    """Count a request of an organisation.

    Raises:
        problems.Problem: it has sent as many as it may in this minute.
    """
    policy = Policy(REQUESTS, of(organisation_id).requests_per_minute)
    subject = str(organisation_id)
    standing = request_quota.counts().spend(subject, policy)
    if standing is None:
        raise _spent(request_quota.counts().look(subject, policy), "Your organisation has sent", "requests")
    _note(standing)
    shared_counts.sharing().note()


def spend_download(delivery_id: uuid.UUID) -> None:
    """Count a download by a link, against what was sent with it: whoever has the link takes nothing from those with a key.

    Raises:
        problems.Problem: there were as many as there may be in this minute.
    """
    policy, subject = Policy(DOWNLOADS, DOWNLOADS_PER_MINUTE), f"download:{delivery_id}"
    standing = request_quota.counts().spend(subject, policy)
    if standing is None:
        raise _spent(request_quota.counts().look(subject, policy), "The links of this e-mail have had", "downloads")
    _note(standing)
    shared_counts.sharing().note()


def refuse_guesser() -> None:
    """Refuse to look up a key for an address from which too many wrong ones came.

    Raises:
        problems.Problem: too many did.
    """
    standing = request_quota.counts().look(_address(), _wrong_keys())
    if standing.left == 0:
        raise _spent(standing, "Your address has sent", "wrong API keys or links")


def note_wrong_key() -> None:
    """Count a wrong key against the address it came from."""
    standing = request_quota.counts().spend(_address(), _wrong_keys())
    if standing is not None:
        _note(standing)
        shared_counts.sharing().note()


def of(organisation_id: uuid.UUID) -> Limits:
    """Return the limits of an organisation."""
    now = time.monotonic()
    known = _known().limits.get(organisation_id)
    if known is not None and now < known[0]:
        return known[1]
    with session.statement() as db:
        found = limits.of(db, organisation_id)
    with _known().lock:
        if len(_known().limits) >= MOST_KNOWN:
            _known().limits.clear()
        _known().limits[organisation_id] = (now + KNOWN_SECONDS, found)
    return found


def require_room_for_job(organisation_id: uuid.UUID) -> None:
    """Refuse another job of an organisation that has as many unfinished ones as it may.

    They are counted at most once a second, so a few more may be accepted by several processes at once.

    Raises:
        problems.Problem: it has.
    """
    quota = of(organisation_id).max_unfinished
    unfinished = _unfinished(organisation_id, quota)
    flask.g.job_quota = Standing(Policy(JOBS, quota), max(0, quota - unfinished), 0)
    if unfinished < quota:
        return
    shared_counts.sharing().note(refused_by=JOBS)
    raise problems.Problem(
        problem_types.TOO_MANY_JOBS,
        f"Your organisation has {unfinished:,} unfinished jobs, and may have {quota:,}. Nothing was accepted.",
        headers={"Retry-After": str(RETRY_JOBS_SECONDS)},
        facts={"policy": JOBS, "limit": quota, "unfinished": unfinished},
    )


def note_accepted_job(organisation_id: uuid.UUID) -> None:
    """Remember a job until jobs are counted again."""
    under = _known().under.get(organisation_id)
    if under is not None:
        with _known().lock:
            under.jobs += 1


def _unfinished(organisation_id: uuid.UUID, quota: int) -> int:
    now = time.monotonic()
    under = _known().under.get(organisation_id)
    if under is not None and now - under.counted_at < (COUNTED_SECONDS if under.jobs < quota else FULL_SECONDS):
        return under.jobs
    with session.statement() as db:
        counted = limits.unfinished_jobs(db, organisation_id)
    with _known().lock:
        if len(_known().under) >= MOST_KNOWN:
            _known().under.clear()
        _known().under[organisation_id] = _Under(now, counted)
    return counted


def _spent(standing: Standing, who: str, what: str) -> problems.Problem:
    _note(standing)
    shared_counts.sharing().note(refused_by=standing.policy.name)
    return problems.Problem(
        problem_types.TOO_MANY_REQUESTS,
        f"{who} {standing.policy.quota:,} {what} within a minute, which is the limit. Try again in {standing.seconds} s.",
        headers={"Retry-After": str(standing.seconds)},
        facts={"policy": standing.policy.name, "limit": standing.policy.quota, "window_seconds": WINDOW_SECONDS},
    )


def _wrong_keys() -> Policy:
    return Policy(WRONG_KEYS, settings.load().wrong_keys_per_minute)


def _address() -> str:
    """Return what stands for the caller's address: whoever has an IPv6 address has a network of them."""
    given = flask.request.remote_addr or ""
    try:
        address = ipaddress.ip_address(given)
    except ValueError:
        return "address:unknown"
    if address.version == 4:
        return f"address:{address}"
    return f"address:{ipaddress.ip_network((address, 64), strict=False)}"


def _note(standing: Standing) -> None:
    flask.g.quota = standing


def _say(response: flask.Response) -> flask.Response:
    standings = [one for one in (flask.g.get("quota"), flask.g.get("job_quota")) if isinstance(one, Standing)]
    if standings:
        response.headers["RateLimit-Policy"] = ", ".join(_policy(one) for one in standings)
        response.headers["RateLimit"] = ", ".join(_left(one) for one in standings)
    return response


def _policy(standing: Standing) -> str:
    window = f";w={WINDOW_SECONDS}" if standing.seconds else ""
    return f'"{standing.policy.name}";q={standing.policy.quota}{window}'


def _left(standing: Standing) -> str:
    reset = f";t={standing.seconds}" if standing.seconds else ""
    return f'"{standing.policy.name}";r={standing.left}{reset}'


@functools.cache
def _known_of_process(pid: int) -> _Known:  # noqa: ARG001 - the pid is the cache's key: a lock may be held while a process forks
    return _Known()


def _known() -> _Known:
    return _known_of_process(os.getpid())
