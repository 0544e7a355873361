"""Who gets what: the list of deliveries that a schedule or a request has, as one entry for each receiver."""

import hashlib
import json
import uuid
from collections.abc import Iterable, Iterator

from sqlalchemy.orm import Session

from models import settings
from models.base import Json
from models.delivery import Channel
from models.organisation import Organisation
from models.outbox import Target
from workers.deliveries import addresses

# Whom it is sent to besides is no business of a receiver.
NOT_OF_ONE = frozenset({"channel", "on", "filter", "to", "burst"})


def expand(organisation_id: uuid.UUID, wanted: Iterable[Json]) -> list[Json]:
    """Turn `deliveries` as `web.delivery_schemas` has validated them into what `jobs.deliveries` holds.

    Each address of an e-mail becomes a receiver of its own, so that the log, the retries and a second sending are its own.
    """
    return [target.as_json() for target in targets(organisation_id, wanted)]


def targets(organisation_id: uuid.UUID, wanted: Iterable[Json]) -> Iterator[Target]:
    """Yield what `expand` returns, one by one."""
    return (target for one in wanted for target in _targets(organisation_id, one))


def lane(organisation_id: uuid.UUID, channel: Channel, place: str = "") -> str:
    """Return the lane of a receiver: so many of one lane are sent to at once."""
    return f"{organisation_id}/{channel}/{place}"


def digest(target: Target) -> str:
    """Return what a receiver is remembered by: who it is, and which rows it sees."""
    told = json.dumps([target.channel, target.address, target.filter], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def contact(db: Session, organisation_id: uuid.UUID, *, on: str) -> list[Target]:
    """Return the organisation's contact, where it has one and there is a server for its mail."""
    organisation = db.get_one(Organisation, organisation_id)
    if organisation.contact_email is None or settings.load().smtp_host is None:
        return []
    place = lane(organisation.id, Channel.EMAIL)
    return [Target(Channel.EMAIL, place, {"to": organisation.contact_email, "formats": []}, on=(on,))]


def lane_of_url(organisation_id: uuid.UUID, url: str, *, allow_private: bool) -> str:
    """Return the lane of a webhook.

    Raises:
        addresses.RefusedError: nothing is sent to this URL.
    """
    destination = addresses.parse(url, allow_private=allow_private)
    return lane(organisation_id, Channel.WEBHOOK, f"{destination.host}:{destination.port}")


def _targets(organisation_id: uuid.UUID, one: Json) -> Iterator[Target]:
    channel = Channel(one["channel"])
    about = {name: found for name, found in one.items() if name not in NOT_OF_ONE}
    on, filter_ = tuple(one.get("on") or ("succeeded",)), one.get("filter")
    if channel is not Channel.EMAIL:
        yield Target(channel, lane(organisation_id, channel), about, on=on, filter=filter_)
        return
    place = lane(organisation_id, channel)
    for addresses_, part in shares(one):
        for address in dict.fromkeys(addresses_):
            yield Target(channel, place, {**about, "to": address}, on=on, filter=part)


def shares(one: Json) -> Iterator[tuple[list[str], Json | None]]:
    """Yield the addresses of an e-mail, and which rows they get: all the same, or those of each value of a column its own."""
    filter_, burst = one.get("filter"), one.get("burst")
    if burst is None:
        yield one["to"], filter_
        return
    column, recipients = burst["column"], burst["recipients"]
    for value, addresses_ in recipients.items():
        yield addresses_, _both(filter_, {"column": column, "op": "eq", "value": value})
    if burst.get("otherwise"):
        yield burst["otherwise"], _both(filter_, {"column": column, "op": "not_in", "value": list(recipients)})


def _both(one: Json | None, other: Json) -> Json:
    return other if one is None else {"and": [one, other]}
