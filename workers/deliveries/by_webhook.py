"""Sends a delivery to a webhook: signed, to an address that was judged."""

import email.utils
import json
import time
from datetime import UTC, datetime

from models import session, settings, vault, webhooks
from models.base import Json
from models.deliveries import Attempted
from models.delivery import Delivery
from workers.deliveries import addresses, http_post, signing
from workers.deliveries.http_post import Answer, Way

GONE = 410
LONGEST_WISH_SECONDS = 86_400.0


DISABLED = Attempted(succeeded=False, withdrawn=True, error="The webhook is disabled; nothing was sent.")


def send(delivery: Delivery, *, way: Way | None = None) -> Attempted:
    """Make one attempt."""
    if delivery.webhook_id is None:
        return DISABLED
    try:
        with session.transaction() as db:
            found = webhooks.current_secrets(db, delivery.webhook_id)
    except (vault.NoKeyError, vault.UnreadableError):
        return Attempted(
            succeeded=False, error="The webhook's secret cannot be read with this server's ENCRYPTION_KEYS."
        )
    if found is None or found[0].disabled_at is not None:
        return DISABLED
    webhook, secrets = found
    way = way or Way(allow_private=settings.load().deliver_to_private)
    body = encode(delivery.payload)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Reckoner-Webhooks/1",
        **signing.headers(str(delivery.id), int(time.time()), body, secrets),
    }
    try:
        destination = addresses.parse(webhook.url, allow_private=way.allow_private)
        answer = http_post.post(destination, body, headers, way=way)
    except addresses.RefusedError as error:
        return Attempted(succeeded=False, error=error.detail)
    except http_post.NoAnswerError as error:
        return Attempted(succeeded=False, error=str(error))
    return judge(answer)


def encode(payload: Json) -> bytes:
    """Write the message as the standard orders it; the same bytes at every attempt."""
    ordered = {"type": payload["type"], "timestamp": payload["timestamp"], "data": payload["data"]}
    return json.dumps(ordered, ensure_ascii=False, separators=(",", ":")).encode()


def judge(answer: Answer) -> Attempted:
    """Decide what a receiver's answer means."""
    if answer.status // 100 == 2:
        return Attempted(succeeded=True, status_code=answer.status, excerpt=answer.excerpt)
    if answer.status == GONE:
        error = "The receiver answered 410: it wants nothing more."
    elif answer.status // 100 == 3:
        where = answer.headers.get("location", "another address")
        error = (
            f"The receiver answered {answer.status} and points to {where}. Redirects are not followed; change the URL."
        )
    else:
        error = f"The receiver answered {answer.status}."
    return Attempted(
        succeeded=False,
        error=error,
        status_code=answer.status,
        excerpt=answer.excerpt,
        retry_after=_seconds(answer.headers.get("retry-after")),
        gone=answer.status == GONE,
    )


def _seconds(retry_after: str | None) -> float | None:
    """Read `Retry-After`: seconds or a date; what is neither is as good as none."""
    if retry_after is None:
        return None
    if retry_after.strip().isdecimal() and len(retry_after) < 10:
        wish = float(retry_after)
    else:
        try:
            then = email.utils.parsedate_to_datetime(retry_after)
        except ValueError:
            return None
        wish = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(wish, 0.0), LONGEST_WISH_SECONDS)
