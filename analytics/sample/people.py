"""The customers of a block: who they are, when they came, how they buy. Every other dataset hangs on them."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analytics.sample import arrays, plan, schemas, wording
from analytics.sample.arrays import Bools, Floats, Ints

ENTERED_AGAIN = 0.02


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
    entries = _entries(rng, people)
    firms = people.segment > 0
    columns = [
        people.ids(),
        _names(entries),
        _mails(entries, known=rng.random(len(people)) < 0.96),
        _phones(people, entries, known=rng.random(len(people)) < 0.85),
        _companies(entries, known=firms),
        _cities(people, entries),
        arrays.texts([c.name for c in wording.COUNTRIES], people.country),
        arrays.texts([s.name for s in wording.SEGMENTS], people.segment),
        arrays.texts(wording.SOURCES, people.source),
        arrays.texts([name for name, _ in wording.OWNERS], people.owner, known=firms),
        arrays.timestamps(people.created),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["customers"])


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """What somebody typed in for each customer; `slipped` where two letters of the name changed places."""

    first: Ints
    last: Ints
    slipped: Bools
    mailbox: Ints
    phone: Floats
    company: Floats
    city: Floats

    def copied(self, which: Ints, origin: Ints, slipped: Bools, own_mailbox: Bools) -> Self:
        """These entries, where the rows `which` repeat the rows `origin`: some misspelt, some with another mailbox."""
        source = np.arange(len(self.first))
        source[which] = origin
        return type(self)(
            first=self.first[source],
            last=self.last[source],
            slipped=slipped & (source != np.arange(len(source))),
            mailbox=np.where(own_mailbox, self.mailbox, self.mailbox[source]),
            phone=self.phone[source],
            company=self.company[source],
            city=self.city[source],
        )


def _entries(rng: np.random.Generator, people: People) -> Entries:
    """Most customers are entered once; a few are an earlier one of the same place and kind, entered again."""
    rows = len(people)
    entries = Entries(
        first=rng.integers(0, len(wording.FIRST_NAMES), rows),
        last=rng.integers(0, len(wording.LAST_NAMES), rows),
        slipped=np.zeros(rows, dtype=np.bool_),
        mailbox=people.number,
        phone=rng.random(rows),
        company=rng.random(rows),
        city=rng.random(rows),
    )
    again = rng.random(rows) < ENTERED_AGAIN
    alike = np.lexsort((np.arange(rows), people.segment, people.country))
    before, after = alike[:-1], alike[1:]
    same = (people.country[before] == people.country[after]) & (people.segment[before] == people.segment[after])
    # Never a copy of a copy, so that which two belong together stays plain.
    pairs = same & again[after] & ~again[before]
    slipped, own_mailbox = rng.random(rows) < 0.5, rng.random(rows) < 0.5
    return entries.copied(after[pairs], before[pairs], slipped, own_mailbox)


def _names(entries: Entries) -> pa.Array:
    whole = [f"{one} {two}" for one in wording.FIRST_NAMES for two in wording.LAST_NAMES]
    misspelt = [f"{one} {_swapped(two)}" for one in wording.FIRST_NAMES for two in wording.LAST_NAMES]
    index = entries.first * len(wording.LAST_NAMES) + entries.last
    return arrays.texts(whole + misspelt, index + np.where(entries.slipped, len(whole), 0))


def _swapped(name: str) -> str:
    return name[0] + name[2] + name[1] + name[3:]


def _mails(entries: Entries, *, known: Bools) -> pa.Array:
    # The customer's number keeps the addresses of namesakes apart, as mail providers do.
    whole = [f"{one}.{two}".lower() for one in wording.FIRST_NAMES for two in wording.LAST_NAMES]
    names = arrays.texts(whole, entries.first * len(wording.LAST_NAMES) + entries.last, known=known)
    hosts = arrays.texts([f"@{host}" for host in wording.MAIL_HOSTS], entries.mailbox % len(wording.MAIL_HOSTS))
    return pc.binary_join_element_wise(names, pa.array(entries.mailbox).cast(pa.string()), hosts, "")


def _phones(people: People, entries: Entries, *, known: Bools) -> pa.Array:
    dials = arrays.texts([f"+{country.dial}" for country in wording.COUNTRIES], people.country, known=known)
    digits = np.array([country.digits for country in wording.COUNTRIES])[people.country]
    # From 2 upwards: no national number here begins with 0 or 1.
    local = ((0.2 + 0.8 * entries.phone) * 10.0**digits).astype(np.int64)
    return pc.binary_join_element_wise(dials, pa.array(local).cast(pa.string()), "")


def _companies(entries: Entries, *, known: Bools) -> pa.Array:
    whole = [f"{stem} {tail}" for stem in wording.COMPANY_STEMS for tail in wording.COMPANY_TAILS]
    return arrays.texts(whole, (entries.company * len(whole)).astype(np.int64), known=known)


def _cities(people: People, entries: Entries) -> pa.Array:
    counts = np.array([len(country.cities) for country in wording.COUNTRIES])
    starts = np.cumsum(counts) - counts
    within = (entries.city * counts[people.country]).astype(np.int64)
    cities = [city for country in wording.COUNTRIES for city in country.cities]
    return arrays.texts(cities, starts[people.country] + within)
