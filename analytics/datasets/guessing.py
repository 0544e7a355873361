"""Which dataset a file belongs to, from its headers and its values.

The confidence is a number between 0 and 1 made like this, and nothing more:

- what the dataset needs: the share of its required columns (and of its alternatives) that the file has, each counted by the
  share of its values that can be read as such;
- what tells it from others: its own columns and a few words among the headers (`TELLING`); three of them are all it takes;
- confidence = needed x (0.5 + 0.5 x telling); halved where something needed is missing, and where a column that should
  identify each row repeats in most of them;
- a file that has all headers of a known export (`layouts`) begins at 0.95 instead of 0.5, and what it is not is halved.
"""

import dataclasses
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb

from analytics import errors
from analytics.datasets import evidence, headers, importing, layouts, options, schemas

ENOUGH_TELLING = 3
# A dataset is chosen without asking from here on, and only if it is so much ahead of the next.
SURE = 0.5
AHEAD = 0.1
# Below this nothing is suggested at all.
FAINT = 0.05
MOST_REPEATED = 0.5
LATER_READING = 0.2

# Normalised headers and canonical columns that tell one dataset from the others.
TELLING: Mapping[str, str] = {
    "customers": "name email phone company city country segment firstname lastname givenname surname dateofbirth birthdate "
    "postcode zip postalcode address1 street gender lifecyclestage billingcity industry sector employees",
    "orders": "order_id ordered_at amount channel ordertotal totalprice shipping tax subtotal paymentmethod",
    "order_lines": "product_id product quantity unit_price line_no",
    "deals": "deal_id stage amount probability closed_at expected_close_on list_amount lost_reason pipeline status nextstep",
    "deal_stages": "deal_id stage fromstage tostage oldvalue newvalue",
    "leads": "lead_id converted_at campaign leadstatus leadorigin leadscore leadquality converted isconverted leadsource",
    "touches": "touch_id person_id channel campaign utmmedium utmsource medium",
    "activities": "activity_id deal_id kind subject duedate taskstatus callduration",
    "subscriptions": "subscription_id started_on ended_on plan mrr interval currentperiodend trialend cancelatperiodend",
    "fx_rates": "currency on rate",
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A dataset that a file may belong to.

    Attributes:
        confidence: see the module.
        why: the reason in words.
        missing: required columns that no header is known for.
        layout: the known export that the file is, if it is one that belongs there.
    """

    dataset: str
    confidence: float
    why: str
    missing: tuple[str, ...]
    layout: str | None = None


def rank(
    file_headers: Sequence[str], columns: Sequence[evidence.Evidence], mapping: Mapping[str, str | None]
) -> tuple[Candidate, ...]:
    """Return the datasets that the file may belong to, the likeliest first."""
    judged = (_judge(schema, file_headers, columns, mapping) for schema in schemas.DATASETS.values())
    found = [candidate for candidate in judged if candidate.confidence >= FAINT]
    if any(candidate.layout for candidate in found):
        found = [
            one if one.layout else dataclasses.replace(one, confidence=round(one.confidence / 2, 2)) for one in found
        ]
    return tuple(sorted(found, key=lambda candidate: (-candidate.confidence, len(candidate.missing))))


def choose(candidates: Sequence[Candidate]) -> Candidate | None:
    """Return the candidate that may be taken without asking."""
    if not candidates or candidates[0].confidence < SURE:
        return None
    rival = candidates[1].confidence if len(candidates) > 1 else 0.0
    return candidates[0] if candidates[0].confidence - rival >= AHEAD else None


def guess_dataset(path: Path, *, among: Iterable[str]) -> str | None:
    """Return the likeliest of these datasets whose required columns the file has; None where it has those of none.

    Raises:
        errors.Refusal: the file cannot be read as a table at all.
    """
    with tempfile.TemporaryDirectory(prefix="reckoner-guess-") as folder, duckdb.connect() as connection:
        file = importing.read(
            path, options=options.FileOptions(), folder=Path(folder), progress=lambda _done, _total: None
        )
        columns = evidence.look(connection, file.text.relation, len(file.headers))
    allowed = frozenset(among)
    complete = (one for one in rank(file.headers, columns, {}) if not one.missing and one.dataset in allowed)
    return next((one.dataset for one in complete), None)


def _judge(
    schema: schemas.DatasetSchema,
    file_headers: Sequence[str],
    columns: Sequence[evidence.Evidence],
    mapping: Mapping[str, str | None],
) -> Candidate:
    if any(schema.column(name) is None for name in mapping):
        return Candidate(schema.name, 0.0, "the mapping names columns that it does not have", ())
    placed = _place(file_headers, schema, mapping)
    fits = {
        column.name: columns[placed.places[column.name]].fits(column)
        for column in schema.columns
        if column.name in placed.places
    }
    telling = _telling(schema, file_headers, placed.places, fits)
    repeats = _repeats(schema, placed.places, columns)
    known = placed.layout is not None and not placed.missing
    base = 0.95 if known else 0.5
    confidence = _needed(schema, fits, placed.waived) * (base + (1 - base) * min(len(telling) / ENOUGH_TELLING, 1))
    if placed.missing or (repeats and not known):
        confidence /= 2
    if placed.layout is not None:
        # One file may be read as two datasets; the layouts say which reading is the better one.
        readings = [one.dataset for one in layouts.recognise({headers.normalise(header) for header in file_headers})]
        confidence -= LATER_READING * readings.index(schema.name)
    title = placed.layout.title if placed.layout and known else None
    why = _reason(title, tuple(fits), telling, placed.missing, repeats=repeats)
    return Candidate(schema.name, round(max(confidence, 0.0), 2), why, placed.missing, title)


def _place(
    file_headers: Sequence[str], schema: schemas.DatasetSchema, mapping: Mapping[str, str | None]
) -> headers.Placement:
    try:
        return headers.place(file_headers, schema, mapping)
    except errors.Refusal:
        # A mapping that cannot be followed is asked about elsewhere; the rest of the file still tells something.
        return headers.place(file_headers, schema, {})


def _needed(schema: schemas.DatasetSchema, fits: Mapping[str, float], waived: frozenset[str]) -> float:
    """The share of what the dataset needs that the file has."""
    shares = [fits.get(column.name, 0.0) for column in schema.columns if column.required and column.name not in waived]
    for alternative in schema.alternatives:
        if any(name in waived for names in alternative for name in names):
            continue
        shares.append(max(min(fits.get(name, 0.0) for name in names) for names in alternative))
    return sum(shares) / len(shares) if shares else 1.0


def _telling(
    schema: schemas.DatasetSchema,
    file_headers: Sequence[str],
    places: Mapping[str, int],
    fits: Mapping[str, float],
) -> tuple[str, ...]:
    """The columns and words that tell the dataset from others, as the file calls them."""
    words = frozenset(TELLING[schema.name].split())
    ours = [file_headers[place] for name, place in places.items() if name in words and fits[name] >= MOST_REPEATED]
    hints = [header for header in file_headers if headers.normalise(header) in words and header not in ours]
    return (*ours, *hints)


def _repeats(schema: schemas.DatasetSchema, places: Mapping[str, int], columns: Sequence[evidence.Evidence]) -> bool:
    """Whether the column that should identify each row has the same values again and again."""
    if len(schema.key) != 1 or schema.key[0] not in places:
        return False
    found = columns[places[schema.key[0]]]
    return not found.is_blank and found.distinct < MOST_REPEATED


def _reason(
    layout: str | None, known: Sequence[str], telling: Sequence[str], missing: Sequence[str], *, repeats: bool
) -> str:
    parts = [f"it has the headers of {layout}"] if layout else []
    if not layout and known:
        parts.append(f"it has {', '.join(known[:8])}")
    if not layout and telling:
        parts.append(f"{', '.join(map(repr, telling[:5]))} tell it from others")
    if missing:
        parts.append(f"but nothing for {', '.join(missing)}")
    if repeats:
        parts.append("but what should identify a row repeats in most of them")
    return "; ".join(parts)
