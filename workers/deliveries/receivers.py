"""Who gets what: the list of deliveries that a schedule or a request has, as one entry for each receiver."""

import uuid
from collections.abc import Iterable, Iterator

from models.base import Json
from models.delivery import Channel
from models.outbox import Target
from workers.deliveries import addresses


def expand(organisation_id: uuid.UUID, wanted: Iterable[Json]) -> list[Json]:
    """Turn `deliveries` as `web.delivery_schemas` has validated them into what `jobs.deliveries` holds.

    Each address of an e-mail becomes a receiver of its own, so that the log, the retries and a second sending are its own.
    """
    return [target.as_json() for one in wanted for target in _targets(organisation_id, one)]


def lane(organisation_id: uuid.UUID, channel: Channel, place: str = "") -> str:
    """Return the lane of a receiver: so many of one lane are sent to at once."""
    return f"{organisation_id}/{channel}/{place}"


def lane_of_url(organisation_id: uuid.UUID, url: str, *, allow_private: bool) -> str:
    """Return the lane of a webhook.

    Raises:
        addresses.RefusedError: nothing is sent to this URL.
    """
    destination = addresses.parse(url, allow_private=allow_private)
    return lane(organisation_id, Channel.WEBHOOK, f"{destination.host}:{destination.port}")


def _targets(organisation_id: uuid.UUID, one: Json) -> Iterator[Target]:
    channel = Channel(one["channel"])
    about = {name: found for name, found in one.items() if name not in {"channel", "on", "filter", "to"}}
    on, filter_ = tuple(one.get("on") or ("succeeded",)), one.get("filter")
    if channel is not Channel.EMAIL:
        yield Target(channel, lane(organisation_id, channel), about, on=on, filter=filter_)
        return
    for address in dict.fromkeys(one["to"]):
        yield Target(channel, lane(organisation_id, channel), {**about, "to": address}, on=on, filter=filter_)
