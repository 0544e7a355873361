"""Subscriptions of a block, a row per period of one price: begun, upgraded, downgraded, ended, begun again."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, people, plan, schemas, wording
from analytics.sample.arrays import SECONDS_PER_DAY, Bools, Floats, Ints

CHURN = 0.028
UPGRADE = 0.024
DOWNGRADE = 0.010
SEATS = 0.030
RETURN = 0.045
PENNY = arrays.MONEY_UNITS // 100


@dataclass(frozen=True, slots=True, eq=False)
class Periods:
    """Rows of periods: `holder` is a row of `Holders`; `ended` is the first day outside, where `over`."""

    holder: Ints
    started: Ints
    ended: Ints
    over: Bools
    plan: Ints
    seats: Ints


@dataclass(slots=True, eq=False)
class Holders:
    """The state of every subscriber while the months go by."""

    customer: Ints
    first: Ints
    churn: Floats
    since: Ints
    plan: Ints
    seats: Ints
    active: Bools
    done: list[Periods] = field(default_factory=list)

    def close(self, which: Bools, ended: Ints, *, over: bool) -> None:
        rows = np.flatnonzero(which)
        state = np.full(len(rows), over)
        self.done.append(Periods(rows, self.since[rows], ended[rows], state, self.plan[rows], self.seats[rows]))


def subscriptions(made: plan.Plan, block: int) -> pa.RecordBatch:
    who = people.population(made, block)
    rng = made.rng(plan.Stream.SUBSCRIPTIONS, block)
    holders = _holders(made, rng, who)
    last_day = made.season.end // SECONDS_PER_DAY
    months = 0
    while True:
        months += 1
        on = _month_later(holders.first, months)
        due = on < last_day
        if not due.any():
            break
        _turn(rng, holders, on, due)
    holders.close(holders.active, np.zeros_like(holders.since), over=False)
    return _rows(made, who, holders, made.keys(block, len(holders.customer)))


def _holders(made: plan.Plan, rng: np.random.Generator, who: people.People) -> Holders:
    chosen = rng.random(len(who)) < np.array([s.subscribes for s in wording.SEGMENTS])[who.segment]
    first = who.created // SECONDS_PER_DAY + rng.exponential(20.0, len(who)).astype(np.int64)
    customer = np.flatnonzero(chosen & (first < made.season.end // SECONDS_PER_DAY))
    segment = who.segment[customer]
    rows = len(customer)
    top = len(wording.PLANS) - 1
    start_plan = np.clip(np.array([s.plan for s in wording.SEGMENTS])[segment] - rng.integers(0, 2, rows), 0, top)
    return Holders(
        customer=customer,
        first=first[customer],
        # Some leave soon and some never do: the chance itself differs between subscribers.
        churn=CHURN * rng.gamma(1.2, 1 / 1.2, rows),
        since=first[customer],
        plan=start_plan,
        seats=1 + rng.poisson(np.array([s.seats for s in wording.SEGMENTS])[segment]),
        active=np.ones(rows, dtype=np.bool_),
    )


def _turn(rng: np.random.Generator, holders: Holders, on: Ints, due: Bools) -> None:
    """What happens on each subscriber's monthly day: at most one thing."""
    chance = rng.random(len(on))
    more = rng.integers(1, 4, len(on))
    top = len(wording.PLANS) - 1
    going = due & holders.active
    edges = np.cumsum([holders.churn, *(np.full(len(on), share) for share in (UPGRADE, DOWNGRADE, SEATS))], axis=0)
    leaves = going & (chance < edges[0])
    up = going & (chance >= edges[0]) & (chance < edges[1]) & (holders.plan < top)
    down = going & (chance >= edges[1]) & (chance < edges[2]) & (holders.plan > 0)
    grows = going & (chance >= edges[2]) & (chance < edges[3])
    returns = due & ~holders.active & (chance < RETURN)
    holders.close(leaves | up | down | grows, on, over=True)
    holders.plan = holders.plan + up - down
    holders.seats = holders.seats + np.where(grows, more, 0)
    holders.since = np.where(up | down | grows | returns, on, holders.since)
    holders.active = (holders.active & ~leaves) | returns


def _month_later(first: Ints, months: int) -> Ints:
    """The same day of a later month; days after the 28th become the 28th, which every month has."""
    day = first.astype("datetime64[D]")
    month = day.astype("datetime64[M]")
    within: Ints = np.minimum((day - month.astype("datetime64[D]")).astype(np.int64), 27)
    begins: Ints = (month + months).astype("datetime64[D]").astype(np.int64)
    return begins + within


def _rows(made: plan.Plan, who: people.People, holders: Holders, numbers: Ints) -> pa.RecordBatch:
    def gathered(name: str) -> Ints:
        return np.concatenate([getattr(period, name) for period in holders.done])

    holder, started = gathered("holder"), gathered("started")
    in_order = np.lexsort((started, holder))
    holder, started = holder[in_order], started[in_order]
    over = np.concatenate([period.over for period in holders.done])[in_order]
    customer = holders.customer[holder]
    tier = gathered("plan")[in_order]
    currency = who.currency[customer]
    level = np.array([pennies for _, pennies in wording.PLANS]) * made.price_levels()[currency][:, None]
    price = np.rint(level[np.arange(len(tier)), tier] / 100).astype(np.int64) * 100
    columns = [
        arrays.numbered("S", numbers[holder], plan.ROW_DIGITS),
        arrays.dates(started),
        arrays.dates(gathered("ended")[in_order], known=over),
        arrays.numbered("C", who.number[customer], plan.CUSTOMER_DIGITS),
        arrays.texts([name for name, _ in wording.PLANS], tier),
        arrays.money(price * gathered("seats")[in_order] * PENNY),
        arrays.texts(made.options.currencies, currency),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["subscriptions"])
