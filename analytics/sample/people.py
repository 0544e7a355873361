"""The customers of a block: who they are, when they came, how they buy. Every other dataset hangs on them."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.sample import arrays, plan, schemas, wording
from analytics.sample.arrays import Bools, Floats, Ints


@dataclass(frozen=True, slots=True, eq=False)
class People:
    """Arrays of one length, a customer each; indices point into `wording`, `currency` into the options' currencies."""

    number: Ints
    created: Ints
    country: Ints
    segment: Ints
    source: Ints
    owner: Ints
    currency: Ints
    buys: Bools
    rate: Floats
    leave: Floats

    def __len__(self) -> int:
        return len(self.number)

    def ids(self) -> pa.Array:
        return arrays.numbered("C", self.number, plan.CUSTOMER_DIGITS)


def population(made: plan.Plan, block: int) -> People:
    rng = made.rng(plan.Stream.PEOPLE, block)
    number = made.customers(block)
    rows = len(number)
    # Each customer has its own slice of the arrival curve, so any block knows its months without the blocks before it.
    created = made.season.seconds_of_arrival((number + rng.random(rows)) / made.options.customers)
    country = arrays.draw(rng, arrays.weighted_table([c.weight for c in wording.COUNTRIES]), rows)
    segment = arrays.draw(rng, arrays.weighted_table([s.weight for s in wording.SEGMENTS]), rows)
    offered = made.options.currencies
    base = offered.index(made.options.currency)
    paid_in = [offered.index(c.currency) if c.currency in offered else base for c in wording.COUNTRIES]
    tempo = np.array([s.pace for s in wording.SEGMENTS])[segment]
    return People(
        number=number,
        created=created,
        country=country,
        segment=segment,
        source=arrays.draw(rng, arrays.weighted_table(wording.SOURCE_WEIGHTS), rows),
        owner=rng.integers(0, len(wording.OWNERS), rows),
        currency=np.array(paid_in, dtype=np.int64)[country],
        buys=rng.random(rows) < plan.BUYERS,
        rate=rng.gamma(plan.PACE_SHAPE, 1.0, rows) * tempo * made.pace,
        leave=plan.dropout(rng, made.options, rows),
    )


def customers(made: plan.Plan, block: int) -> pa.RecordBatch:
    people = population(made, block)
    rng = made.rng(plan.Stream.DETAILS, block)
    rows = len(people)
    first, last = rng.integers(0, len(wording.FIRST_NAMES), rows), rng.integers(0, len(wording.LAST_NAMES), rows)
    firms = people.segment > 0
    columns = [
        people.ids(),
        _names(first, last),
        _mails(people, first, last, known=rng.random(rows) < 0.96),
        _phones(rng, people, known=rng.random(rows) < 0.85),
        _companies(rng, rows, known=firms),
        _cities(rng, people),
        arrays.texts([c.name for c in wording.COUNTRIES], people.country),
        arrays.texts([s.name for s in wording.SEGMENTS], people.segment),
        arrays.texts(wording.SOURCES, people.source),
        arrays.texts([name for name, _ in wording.OWNERS], people.owner, known=firms),
        arrays.timestamps(people.created),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["customers"])


def _names(first: Ints, last: Ints) -> pa.Array:
    whole = [f"{one} {two}" for one in wording.FIRST_NAMES for two in wording.LAST_NAMES]
    return arrays.texts(whole, first * len(wording.LAST_NAMES) + last)


def _mails(people: People, first: Ints, last: Ints, *, known: Bools) -> pa.Array:
    # The customer's number keeps the addresses of namesakes apart, as mail providers do.
    whole = [f"{one}.{two}".lower() for one in wording.FIRST_NAMES for two in wording.LAST_NAMES]
    names = arrays.texts(whole, first * len(wording.LAST_NAMES) + last, known=known)
    hosts = arrays.texts([f"@{host}" for host in wording.MAIL_HOSTS], people.number % len(wording.MAIL_HOSTS))
    return pc.binary_join_element_wise(names, pa.array(people.number).cast(pa.string()), hosts, "")


def _phones(rng: np.random.Generator, people: People, *, known: Bools) -> pa.Array:
    dials = arrays.texts([f"+{country.dial}" for country in wording.COUNTRIES], people.country, known=known)
    digits = np.array([country.digits for country in wording.COUNTRIES])[people.country]
    local = ((0.2 + 0.8 * rng.random(len(people))) * 10.0**digits).astype(np.int64)
    return pc.binary_join_element_wise(dials, pa.array(local).cast(pa.string()), "")


def _companies(rng: np.random.Generator, rows: int, *, known: Bools) -> pa.Array:
    whole = [f"{stem} {tail}" for stem in wording.COMPANY_STEMS for tail in wording.COMPANY_TAILS]
    return arrays.texts(whole, rng.integers(0, len(whole), rows), known=known)


def _cities(rng: np.random.Generator, people: People) -> pa.Array:
    counts = np.array([len(country.cities) for country in wording.COUNTRIES])
    starts = np.cumsum(counts) - counts
    within = (rng.random(len(people)) * counts[people.country]).astype(np.int64)
    cities = [city for country in wording.COUNTRIES for city in country.cities]
    return arrays.texts(cities, starts[people.country] + within)
