"""Says that there is something to send. Nothing rests on it: beat says it every few seconds."""

import structlog

from workers import broker, errors

TASK = "deliveries.send"
QUEUE = "deliveries"
MARK = "reckoner:poked"
# Whoever was asked a moment ago has not looked yet; and if it died meanwhile, it is soon asked again.
MARK_MILLISECONDS = 2_000
EXPIRES_SECONDS = 60

log = structlog.get_logger(__name__)


def poke() -> None:
    """Ask for a sender, unless one has just been asked for. Call it after the commit."""
    # The application imports the heart, and what it runs pokes.
    from workers.celery import app  # noqa: PLC0415 - see the remark above

    try:
        if broker.client().set(MARK, b"", nx=True, px=MARK_MILLISECONDS):
            app.send_task(TASK, queue=QUEUE, retry=False, ignore_result=True, expires=EXPIRES_SECONDS)
    except errors.BROKER_AWAY as error:
        log.debug("nobody was asked to send; beat will", error=type(error).__name__)


def hear() -> None:
    """Let the next one poke: what comes from now on is not seen by the look that is about to begin."""
    try:
        broker.client().delete(MARK)
    except errors.BROKER_AWAY as error:
        log.debug("could not take the mark away; it goes by itself", error=type(error).__name__)
