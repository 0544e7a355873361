"""Deals of a block and the stages each went through; status, stage, dates and history tell one story."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, people, plan, schemas, wording
from analytics.sample.arrays import SECONDS_PER_DAY, Bools, Floats, Ints

WON = len(wording.OPEN_STAGES)
LOST = WON + 1
EXPECTED_DAYS = int(sum(wording.STAGE_DAYS))


@dataclass(frozen=True, slots=True, eq=False)
class Deals:
    """A deal each: `stage` is its latest one, `entered[:, k]` when it came to open stage k, `reached` how many it saw.

    `closed` is the second after its last open stage, inside the span only where `is_closed`.
    """

    number: Ints
    customer: Ints
    created: Ints
    entered: Ints
    reached: Ints
    closed: Ints
    stage: Ints
    expansion: Ints

    def is_closed(self) -> Bools:
        return self.stage >= WON


def simulate(made: plan.Plan, block: int, who: people.People) -> tuple[Deals, np.random.Generator]:
    """The block's deals, and the stream to draw their descriptions from."""
    rng = made.rng(plan.Stream.DEALS, block)
    customer = np.repeat(np.arange(len(who)), rng.poisson(_per_segment("deals")[who.segment]))
    rows = len(customer)
    birth = made.season.purchase_time(who.created[customer])
    time = birth + rng.random(rows) * (made.season.purchases[-1] - birth)
    created = np.maximum(made.season.seconds_of_purchase(time), who.created[customer])
    in_time = np.lexsort((created, customer))
    created = created[in_time]
    days = rng.gamma(1.6, np.array(wording.STAGE_DAYS) / 1.6, (rows, WON)) * _slowness(who.segment[customer])
    # An hour at least, so that no two stages of a deal begin in the same second.
    ends = created[:, None] + np.cumsum(3_600 + (days * SECONDS_PER_DAY).astype(np.int64), axis=1)
    passes = rng.random((rows, WON)) < _chances(who.owner[customer])
    entered = np.concatenate((created[:, None], ends[:, :-1]), axis=1)
    won = passes.all(axis=1)
    last = np.where(won, WON - 1, np.argmin(passes, axis=1))
    closed = ends[np.arange(rows), last]
    is_closed = closed < made.season.end
    seen = (entered < made.season.end).sum(axis=1)
    # An open deal cannot have seen more than its last stage: what would follow begins when that one ends.
    reached = np.where(is_closed, last + 1, seen)
    stage = np.where(is_closed, np.where(won, WON, LOST), reached - 1)
    first = np.diff(customer, prepend=-1) != 0
    number = made.keys(block, rows)
    return Deals(number, customer, created, entered, reached, closed, stage, (~first).astype(np.int64)), rng


def deals(made: plan.Plan, block: int) -> pa.RecordBatch:
    who = people.population(made, block)
    some, rng = simulate(made, block, who)
    rows = len(some.number)
    product = rng.integers(0, len(wording.DEAL_PRODUCTS), rows)
    listed = _list_amounts(made, rng, who, some.customer)
    asked = (listed * np.array([1.0, 0.95, 0.9, 0.8])[rng.integers(0, 4, rows)] / 10_000).astype(np.int64) * 10_000
    owner = who.owner[some.customer]
    closed = some.is_closed()
    status = np.where(closed, some.stage - WON + 1, 0)
    columns = [
        deal_ids(some.number),
        arrays.numbered("C", who.number[some.customer], plan.CUSTOMER_DIGITS),
        _names(some, product),
        arrays.texts(wording.PIPELINES, some.expansion),
        arrays.texts(wording.STAGES, some.stage),
        arrays.texts([name for name, _ in wording.OWNERS], owner),
        arrays.texts([team for _, team in wording.OWNERS], owner),
        arrays.texts([country.region for country in wording.COUNTRIES], who.country[some.customer]),
        arrays.texts(wording.DEAL_PRODUCTS, product),
        arrays.texts(wording.SOURCES, who.source[some.customer]),
        arrays.money(asked),
        arrays.money(listed),
        arrays.texts(made.options.currencies, who.currency[some.customer]),
        arrays.money(np.array(wording.STAGE_PROBABILITY, dtype=np.int64)[some.stage]),
        arrays.timestamps(some.created),
        arrays.dates(_expected_on(rng, some)),
        arrays.timestamps(some.closed, known=closed),
        arrays.texts(("open", "won", "lost"), status),
        arrays.texts(wording.LOST_REASONS, rng.integers(0, len(wording.LOST_REASONS), rows), known=some.stage == LOST),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["deals"])


def deal_stages(made: plan.Plan, block: int) -> pa.RecordBatch:
    """Every open stage a deal came to, and for a closed one its end, at the second it was closed."""
    some, _ = simulate(made, block, people.population(made, block))
    closed = some.is_closed()
    counts = some.reached + closed
    deal = np.repeat(np.arange(len(counts)), counts)
    step = arrays.positions_within(counts)
    at_end = step == some.reached[deal]
    stage = np.where(at_end, some.stage[deal], step)
    entered = np.where(at_end, some.closed[deal], some.entered[deal, np.minimum(step, WON - 1)])
    columns = [
        deal_ids(some.number[deal]),
        arrays.texts(wording.STAGES, stage),
        arrays.timestamps(entered),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["deal_stages"])


def deal_ids(number: Ints, *, known: Bools | None = None) -> pa.Array:
    return arrays.numbered("D", number, plan.ROW_DIGITS, known=known)


def _per_segment(field: str) -> Floats:
    return np.array([getattr(segment, field) for segment in wording.SEGMENTS], dtype=np.float64)


def _slowness(segment: Ints) -> Floats:
    return np.array([0.5, 0.8, 1.2, 1.9])[segment][:, None]


def _chances(owner: Ints) -> Floats:
    """The chance to pass each stage: the stage's own, better or worse by who sells."""
    return np.minimum(np.outer(np.array(wording.OWNER_SKILL)[owner], wording.STAGE_PASSES), 0.97)


def _list_amounts(made: plan.Plan, rng: np.random.Generator, who: people.People, customer: Ints) -> Ints:
    """Log-normal about the segment's usual size, in steps of ten of the customer's currency."""
    usual = _per_segment("deal_size")[who.segment[customer]] * made.price_levels()[who.currency[customer]]
    tens = np.rint(usual * rng.lognormal(0.0, 0.7, len(customer)) / 10)
    return np.maximum(tens.astype(np.int64), 1) * 10 * arrays.MONEY_UNITS


def _expected_on(rng: np.random.Generator, some: Deals) -> Ints:
    """What the seller wrote down at the start: the usual length of a deal, give or take, never before its first day."""
    ahead = np.maximum(rng.normal(EXPECTED_DAYS, 15, len(some.created)), 3).astype(np.int64)
    return some.created // SECONDS_PER_DAY + ahead


def _names(some: Deals, product: Ints) -> pa.Array:
    whole = [f"{kind}: {product}" for kind in wording.PIPELINES for product in wording.DEAL_PRODUCTS]
    return arrays.texts(whole, some.expansion * len(wording.DEAL_PRODUCTS) + product)
