"""Sends what is due, many at once, until nothing is: claims, attempts, and what becomes of each.

Any number of processes may do this at the same time, and each may die anywhere: its claims run out, and others send again
what it had, under the same ids.
"""

import random
import time
import uuid
from collections.abc import Callable
from concurrent import futures

import structlog
from sqlalchemy.orm import Session

from models import deliveries, failpoints, session, webhooks
from models.deliveries import Attempted
from models.delivery import Channel, Delivery, DeliveryStatus
from models.failpoints import Point
from models.outbox import EventType
from workers import errors
from workers.deliveries import by_email, by_file, by_webhook, poking, shared, telling, withdrawing

SENDERS = 32
# The waits of Standard Webhooks: ten attempts in about three days.
WAITS_SECONDS = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
MOST_TRIES = len(WAITS_SECONDS) + 1
JITTER = 0.2
LOOK_SECONDS = 1.0
RENEW_SECONDS = 10.0
# After that the next message goes on: a task that never ends could not be told apart from one that hangs.
LONGEST_RUN_SECONDS = 300.0
SETTLE_ATTEMPTS = 8
SETTLE_PAUSE_SECONDS = 1.0

SEND: dict[Channel, Callable[[Delivery], Attempted]] = {
    Channel.WEBHOOK: by_webhook.send,
    Channel.EMAIL: by_email.send,
    Channel.FILE: by_file.send,
}

log = structlog.get_logger(__name__)


def send_due() -> int:
    """Send everything that is due; returns how many attempts were made."""
    poking.hear()
    _forget_removed()
    token = uuid.uuid4()
    began = renewed = time.monotonic()
    flying: dict[futures.Future[None], uuid.UUID] = {}
    made = 0
    with futures.ThreadPoolExecutor(SENDERS, thread_name_prefix="sender") as pool:
        while True:
            if len(flying) < SENDERS and time.monotonic() - began < LONGEST_RUN_SECONDS:
                for delivery, is_withdrawn in _claim(token, SENDERS - len(flying)):
                    flying[pool.submit(_deliver, delivery, is_withdrawn=is_withdrawn)] = delivery.id
                    made += 1
            if not flying:
                return made
            done, _ = futures.wait(flying, timeout=LOOK_SECONDS, return_when=futures.FIRST_COMPLETED)
            for future in done:
                del flying[future]
                future.result()
            if time.monotonic() - renewed >= RENEW_SECONDS:
                renewed = time.monotonic()
                _renew(token, set(flying.values()))


def _forget_removed() -> None:
    try:
        shared.forget_removed()
    except errors.DATABASE_AWAY as error:
        log.warning("could not look which results are still kept", error=type(error).__name__)


def _claim(token: uuid.UUID, most: int) -> list[tuple[Delivery, bool]]:
    """Take what is due, and tell of each whether its schedule has taken it back meanwhile."""
    failpoints.hit(Point.DELIVER_BEFORE_CLAIM)
    try:
        with session.transaction() as db:
            claimed = deliveries.claim(db, token, most=most)
            taken_back = withdrawing.withdrawn(db, claimed)
    except errors.DATABASE_AWAY as error:
        log.warning("could not look for deliveries", error=type(error).__name__)
        return []
    if claimed:
        failpoints.hit(Point.DELIVER_AFTER_CLAIM)
    return [(one, one.id in taken_back) for one in claimed]


def _renew(token: uuid.UUID, ids: set[uuid.UUID]) -> None:
    try:
        with session.transaction() as db:
            deliveries.renew(db, token, ids)
    except errors.DATABASE_AWAY as error:
        log.warning("could not keep the claims on deliveries", error=type(error).__name__)


def _deliver(delivery: Delivery, *, is_withdrawn: bool) -> None:
    """Make one attempt and write what came of it."""
    began = time.monotonic()
    with structlog.contextvars.bound_contextvars(
        delivery_id=str(delivery.id), organisation_id=str(delivery.organisation_id), attempt=delivery.attempts
    ):
        made = withdrawing.ATTEMPTED if is_withdrawn else _attempt(delivery)
        failpoints.hit(Point.DELIVER_AFTER_SEND)
        duration = round((time.monotonic() - began) * 1000)
        _settle(lambda db: _write(db, delivery, made, duration_ms=duration))
        log.info(
            "delivered" if made.succeeded else "not delivered",
            channel=delivery.channel,
            error=made.error,
            milliseconds=duration,
        )


def _attempt(delivery: Delivery) -> Attempted:
    if delivery.tries > MOST_TRIES:
        # Each of these attempts has ended its process. What is in it is what kills.
        return Attempted(succeeded=False, error="Every attempt ended its process.", permanent=True)
    try:
        return SEND[Channel(delivery.channel)](delivery)
    except errors.DATABASE_AWAY as error:
        return Attempted(succeeded=False, error=f"The database was in the way ({type(error).__name__}).")
    except Exception as error:  # What is wrong with one message must not hold up the others.
        log.exception("a delivery could not be made")
        return Attempted(succeeded=False, error=f"{type(error).__name__}. The worker's log has the rest.")


def _settle(write: Callable[[Session], None]) -> None:
    """Write how an attempt ended, for as long as the database may need to come back; after that the claim runs out."""
    for remaining in reversed(range(SETTLE_ATTEMPTS)):
        try:
            with session.transaction() as db:
                write(db)
                failpoints.hit(Point.DELIVER_BEFORE_COMMIT)
            failpoints.hit(Point.DELIVER_AFTER_COMMIT)
        except errors.DATABASE_AWAY:
            if remaining == 0:
                log.warning("could not write how a delivery ended; it will be sent again")
            else:
                time.sleep(SETTLE_PAUSE_SECONDS)
        else:
            return


def _write(db: Session, delivery: Delivery, made: Attempted, *, duration_ms: int) -> None:
    deliveries.note_attempt(db, delivery, made, duration_ms=duration_ms)
    if made.withdrawn:
        deliveries.end(db, delivery, DeliveryStatus.CANCELLED, error=made.error)
    elif made.succeeded:
        deliveries.end(db, delivery, DeliveryStatus.SKIPPED if made.skipped else DeliveryStatus.SUCCEEDED)
    elif made.permanent or made.gone or delivery.tries >= _tries_of(delivery):
        if deliveries.end(db, delivery, DeliveryStatus.FAILED, error=made.error):
            _give_up(db, delivery, made)
    else:
        deliveries.put_off(db, delivery, seconds=_pause(delivery.tries, made.retry_after), error=made.error)


def _give_up(db: Session, delivery: Delivery, made: Attempted) -> None:
    """Tell the owner, and disable a webhook that is gone or that nothing has reached for days."""
    telling.of_failure(db, delivery, made)
    if delivery.webhook_id is None or delivery.event_type == EventType.WEBHOOK_TEST:
        return
    if made.gone:
        reason = "It answered 410: it wants nothing more."
    elif deliveries.got_through_since(db, delivery):
        return
    else:
        reason = f"Nothing has got through for as long as a message is tried. Last: {made.error}"
    disabled = webhooks.disable(db, delivery.webhook_id, reason=reason)
    if disabled is not None:
        deliveries.cancel(db, Delivery.webhook_id == disabled.id, why="The webhook was disabled.")
        telling.of_disabled(db, disabled, reason)


def _tries_of(delivery: Delivery) -> int:
    return 1 if delivery.event_type == EventType.WEBHOOK_TEST else MOST_TRIES


def _pause(tries: int, retry_after: float | None) -> float:
    """Return how long to wait: never shorter than the receiver asks, and spread, so that many do not come back at once."""
    wait = WAITS_SECONDS[min(tries, len(WAITS_SECONDS)) - 1] * random.uniform(1.0, 1.0 + JITTER)  # noqa: S311 - spreading load
    return max(wait, retry_after or 0.0)
