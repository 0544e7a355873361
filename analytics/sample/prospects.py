"""What came before the sale: leads, converted and not, and the marketing touches that people had."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, people, plan, schemas, wording
from analytics.sample.arrays import SECONDS_PER_DAY, Bools, Ints

CONVERTED_SHARE = 0.6
COLD_LEADS_PER_CUSTOMER = 1.4
SOURCE_KEPT = 0.6


@dataclass(frozen=True, slots=True, eq=False)
class Leads:
    """In the order of their creation: `customer` is a row of the block's people, meaningful only where `converted`."""

    number: Ints
    created: Ints
    source: Ints
    customer: Ints
    converted: Bools


@dataclass(frozen=True, slots=True, eq=False)
class Touches:
    """In no order yet; `own` is the source the person came from, the likeliest channel."""

    person: pa.Array
    at: Ints
    own: Ints


def simulate(made: plan.Plan, block: int, who: people.People) -> tuple[Leads, np.random.Generator]:
    """The block's leads, and the stream to draw their descriptions from."""
    rng = made.rng(plan.Stream.LEADS, block)
    became = np.flatnonzero(rng.random(len(who)) < CONVERTED_SHARE)
    warm = _before(made, rng, who.created[became], mean_days=12.0)
    cold_rows = int(rng.poisson(COLD_LEADS_PER_CUSTOMER * len(who)))
    # Those who never bought came in the same weeks as those who did.
    near = who.created[rng.integers(0, len(who), cold_rows)]
    jitter = rng.normal(0.0, 4.0 * SECONDS_PER_DAY, cold_rows).astype(np.int64)
    cold = np.clip(near + jitter, made.season.start, made.season.end - 1)
    created = np.concatenate((warm, cold))
    customer = np.concatenate((became, np.zeros(cold_rows, dtype=np.int64)))
    cold_source = arrays.draw(rng, arrays.weighted_table(wording.SOURCE_WEIGHTS), cold_rows)
    source = np.concatenate((who.source[became], cold_source))
    converted = np.arange(len(created)) < len(became)
    in_time = np.argsort(created, kind="stable")
    number = made.keys(block, len(created))
    return Leads(number, created[in_time], source[in_time], customer[in_time], converted[in_time]), rng


def leads(made: plan.Plan, block: int) -> pa.RecordBatch:
    who = people.population(made, block)
    some, rng = simulate(made, block, who)
    owner = np.where(some.converted, who.owner[some.customer], rng.integers(0, len(wording.OWNERS), len(some.number)))
    columns = [
        arrays.numbered("L", some.number, plan.ROW_DIGITS),
        arrays.texts(wording.SOURCES, some.source),
        _campaigns(some.created),
        arrays.texts([name for name, _ in wording.OWNERS], owner),
        arrays.timestamps(some.created),
        arrays.timestamps(who.created[some.customer], known=some.converted),
        arrays.numbered("C", who.number[some.customer], plan.CUSTOMER_DIGITS, known=some.converted),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["leads"])


def touches(made: plan.Plan, block: int) -> pa.Table:
    """Of customers before they came (at least one) and after; of leads that never converted, around their creation.

    `person_id` is the customer's id, or the lead's where there is no customer.
    """
    who = people.population(made, block)
    some, _ = simulate(made, block, who)
    rng = made.rng(plan.Stream.TOUCHES, block)
    cold = np.flatnonzero(~some.converted)
    before = np.repeat(np.arange(len(who)), 1 + rng.poisson(2.2, len(who)))
    after = np.repeat(np.arange(len(who)), rng.poisson(0.9, len(who)))
    never = np.repeat(cold, 1 + rng.poisson(0.8, len(cold)))
    later = who.created[after] + (rng.random(len(after)) * (made.season.end - who.created[after])).astype(np.int64)
    at = np.concatenate(
        (
            _before(made, rng, who.created[before], mean_days=14.0),
            later,
            _before(made, rng, some.created[never], mean_days=6.0),
        )
    )
    persons = pa.concat_arrays(
        [
            arrays.numbered("C", who.number[np.concatenate((before, after))], plan.CUSTOMER_DIGITS),
            arrays.numbered("L", some.number[never], plan.ROW_DIGITS),
        ]
    )
    own = np.concatenate((who.source[before], who.source[after], some.source[never]))
    return _touch_rows(made, block, rng, Touches(persons, at, own))


def _touch_rows(made: plan.Plan, block: int, rng: np.random.Generator, some: Touches) -> pa.Table:
    at, own = some.at, some.own
    other = arrays.draw(rng, arrays.weighted_table(wording.SOURCE_WEIGHTS), len(at))
    channel = np.where(rng.random(len(at)) < SOURCE_KEPT, own, other)
    in_time = np.argsort(at, kind="stable")
    columns = [
        arrays.numbered("T", made.keys(block, len(at)), plan.ROW_DIGITS),
        some.person.take(pa.array(in_time)),
        arrays.texts(wording.SOURCES, channel[in_time]),
        _campaigns(at[in_time]),
        arrays.timestamps(at[in_time]),
    ]
    return pa.Table.from_arrays(columns, schema=schemas.SCHEMAS["touches"])


def _before(made: plan.Plan, rng: np.random.Generator, event: Ints, *, mean_days: float) -> Ints:
    """Some time before each event; one that would fall before the span is anywhere between its start and the event."""
    lag = (rng.exponential(mean_days * SECONDS_PER_DAY, len(event))).astype(np.int64) + 60
    room = event - made.season.start
    return event - np.where(lag <= room, lag, (rng.random(len(event)) * room).astype(np.int64))


def _campaigns(at: Ints) -> pa.Array:
    """A campaign by time of year; one second in three belongs to the one that always runs."""
    month = at.astype("datetime64[s]").astype("datetime64[M]").astype(np.int64) % 12
    seasonal = np.array([1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 5, 5])[month]
    return arrays.texts(wording.CAMPAIGNS, np.where(at % 3 == 0, 0, seasonal))
