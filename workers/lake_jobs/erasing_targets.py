"""Receivers without a person: what schedules and jobs ask to be sent, the address of a delivery, a URL.

A receiver whose filter or address named the person goes whole. With the name blotted out a filter would let through other rows
than were meant, all of them perhaps, and the address beside a person's id is theirs.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

from analytics.datasets.mentions import ERASED, Mention
from models.base import Json

# What says where something is sent; the rest of an address says how it looks there.
WHERE = ("to", "url", "name")
_BETWEEN = re.compile("[/?&=#;,@.:]")


def without_targets(targets: Iterable[Json], mention: Mention) -> list[Json]:
    """Return the receivers of a job, as `models.outbox.Target` writes them, but those that named the person."""
    kept = [one for one in targets if not is_unsendable(one["target"], one.get("filter"), mention)]
    return [mention.mask(one) for one in kept]


def without_wanted(wanted: Iterable[Json], mention: Mention) -> list[Json]:
    """Return the receivers that a schedule was given, but those that named the person: a share of theirs among many goes alone."""
    kept = []
    for one in wanted:
        if mention.is_anywhere_in(one.get("filter")) or _address_names(one, mention):
            continue
        left = dict(one)
        if isinstance(one.get("to"), list):
            left["to"] = _others(one["to"], mention)
        if one.get("burst") is not None:
            left["burst"] = _burst(one["burst"], mention)
        if left.get("to") != [] and (left.get("burst") is None or left["burst"]["recipients"]):
            kept.append(mention.mask(left))
    return kept


def is_unsendable(target: Json, filter_: Json | None, mention: Mention) -> bool:
    """Whether a filter or an address names the person, so that without the name it would be another one."""
    return mention.is_anywhere_in(filter_) or _address_names(target, mention)


def masked_target(target: Json, mention: Mention, *, filter_: Json | None) -> Json:
    """Return the address of a delivery without the person: if its rows were theirs alone, so was the address."""
    theirs = _is_theirs(filter_, mention)
    blotted = {
        name: _blotted(name, value, mention) if name in WHERE and (theirs or url_names(str(value), mention)) else value
        for name, value in target.items()
    }
    masked: Json = mention.mask(blotted)
    return masked


def url_names(url: str, mention: Mention) -> bool:
    """Whether a URL names the person, percent-encoded or not, however short their id is."""
    plain = unquote(url)
    return mention.is_in(plain) or mention.customer_id in _BETWEEN.split(plain)


def masked_url(url: str, mention: Mention) -> str:
    """Return a URL that names the person without all that may be said of them in it: its host is left, if that does not."""
    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc}"
    return ERASED if url_names(host, mention) else f"{host}/{ERASED}"


def _blotted(name: str, value: Any, mention: Mention) -> str:
    return masked_url(str(value), mention) if name == "url" else ERASED


def _address_names(address: Json, mention: Mention) -> bool:
    """Whether that names the person which says where something is sent. A list of addresses may lose one of them."""
    texts = [address[name] for name in WHERE if isinstance(address.get(name), str)]
    return any(url_names(text, mention) for text in texts)


def _burst(burst: Json, mention: Mention) -> Json:
    shares = {
        value: others
        for value, addresses in burst["recipients"].items()
        if not mention.is_in(value) and (others := _others(addresses, mention))
    }
    return {**burst, "recipients": shares, "otherwise": _others(burst.get("otherwise") or [], mention)}


def _others(addresses: Iterable[str], mention: Mention) -> list[str]:
    return [address for address in addresses if not url_names(address, mention)]


def _is_theirs(filter_: Any, mention: Mention) -> bool:
    """Whether a filter lets through the rows of the person alone."""
    if not isinstance(filter_, dict):
        return False
    if filter_.get("op") in {"eq", "in"}:
        values = filter_.get("value")
        every = values if isinstance(values, list) else [values]
        return all(isinstance(value, str) and mention.is_in(value) for value in every)
    return any(_is_theirs(one, mention) for one in filter_.get("and") or ())
