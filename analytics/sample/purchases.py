"""Sales and refunds of a block, as orders and as their lines; an order's amount is the exact sum of its lines."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analytics.sample import arrays, people, plan, schemas, wording
from analytics.sample.arrays import Floats, Ints

MOST_LINES = 8
PRICE_RISE = 1.03
COMPANION_SHARE = 0.25
PENNY = arrays.MONEY_UNITS // 100


@dataclass(frozen=True, slots=True, eq=False)
class Orders:
    """Orders in the order of their time: `customer` is a row of the block's people, `lines` counts each one's lines."""

    number: Ints
    customer: Ints
    at: Ints
    lines: Ints
    channel: Ints
    currency: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Lines:
    """Lines in the order of their orders: `order` is a row of `Orders`, prices are ten-thousandths."""

    order: Ints
    line_no: Ints
    product: Ints
    quantity: Ints
    unit_price: Ints

    def amount(self) -> Ints:
        return self.quantity * self.unit_price

    def totals(self) -> Ints:
        """The amount of each order; every order has a line, and its lines stand together."""
        if not len(self.order):
            return np.zeros(0, dtype=np.int64)
        starts = np.flatnonzero(np.diff(self.order, prepend=-1))
        return np.add.reduceat(self.amount(), starts)


@dataclass(frozen=True, slots=True, eq=False)
class Purchases:
    """A block's people with what they bought and gave back."""

    who: people.People
    sales: Orders
    sold: Lines
    refunds: Orders
    returned: Lines


def purchases(made: plan.Plan, block: int) -> Purchases:
    who = people.population(made, block)
    sales = _sales(made, block, who)
    sold = _lines(made, block, who, sales)
    refunds, returned = _refunds(made, block, sales, sold)
    return Purchases(who, sales, sold, refunds, returned)


def orders(made: plan.Plan, block: int) -> pa.Table:
    bought = purchases(made, block)
    return pa.Table.from_batches(
        [
            _order_rows(made, bought.who, bought.sales, bought.sold, refund=False),
            _order_rows(made, bought.who, bought.refunds, bought.returned, refund=True),
        ]
    )


def order_lines(made: plan.Plan, block: int) -> pa.Table:
    bought = purchases(made, block)
    return pa.Table.from_batches(
        [
            _line_rows(made, bought.who, bought.sales, bought.sold, refund=False),
            _line_rows(made, bought.who, bought.refunds, bought.returned, refund=True),
        ]
    )


def _sales(made: plan.Plan, block: int, who: people.People) -> Orders:
    rng = made.rng(plan.Stream.PURCHASES, block)
    buyers = np.flatnonzero(who.buys)
    repeater, time = _repeats(made, rng, who, buyers)
    customer = np.concatenate((buyers, repeater))
    at = np.concatenate((who.created[buyers], made.season.seconds_of_purchase(time)))
    # Interpolation may round a repeat to before its customer's first second by one.
    at = np.maximum(at, who.created[customer])
    in_time = np.lexsort((customer, at))
    customer, at = customer[in_time], at[in_time]
    rows = len(at)
    return Orders(
        number=made.keys(block, rows),
        customer=customer,
        at=at,
        lines=np.minimum(rng.geometric(0.42, rows), MOST_LINES).astype(np.int64),
        channel=arrays.draw(rng, arrays.weighted_table(wording.ORDER_CHANNEL_WEIGHTS), rows),
        currency=who.currency[customer],
    )


def _repeats(made: plan.Plan, rng: np.random.Generator, who: people.People, buyers: Ints) -> tuple[Ints, Floats]:
    """Repeat purchases by BG/NBD: who, and when in purchase time.

    While alive a customer buys in a Poisson process; after each repeat it leaves with chance `leave`. So the gaps
    drawn are the fewer of those until it leaves and (beyond all but one case in billions) those that fit the span.
    """
    rate = np.maximum(who.rate[buyers], 1e-12)
    birth = made.season.purchase_time(who.created[buyers])
    until_end = float(made.season.purchases[-1])
    fitting = rate * (until_end - birth)
    enough = np.ceil(fitting + 6.5 * np.sqrt(fitting) + 8).astype(np.int64)
    gaps = np.minimum(rng.geometric(who.leave[buyers]), enough).astype(np.int64)
    buyer = np.repeat(np.arange(len(buyers)), gaps)
    elapsed = np.cumsum(rng.standard_exponential(len(buyer)) / rate[buyer])
    before = np.concatenate(([0.0], elapsed))[np.cumsum(gaps) - gaps]
    time = elapsed - before[buyer] + birth[buyer]
    inside = time < until_end
    return buyers[buyer[inside]], time[inside]


def _lines(made: plan.Plan, block: int, who: people.People, sales: Orders) -> Lines:
    rng = made.rng(plan.Stream.LINES, block)
    order = np.repeat(np.arange(len(sales.lines)), sales.lines)
    position = arrays.positions_within(sales.lines)
    rows = len(order)
    product = arrays.draw(rng, _popularity(), rows)
    # Some lines go with the line above them, so that baskets have something to find.
    follows = np.flatnonzero((position > 0) & (rng.random(rows) < COMPANION_SHARE))
    product[follows] = _companions()[product[follows - 1]]
    single = np.array([segment.single_unit for segment in wording.SEGMENTS])[who.segment[sales.customer]]
    quantity = rng.geometric(single[order]).astype(np.int64)
    return Lines(order, position + 1, product, quantity, _unit_prices(made, rng, sales, order, product))


def _unit_prices(made: plan.Plan, rng: np.random.Generator, sales: Orders, order: Ints, product: Ints) -> Ints:
    """List price in the order's currency, risen each New Year, less an occasional discount, in whole pennies."""
    years = sales.at.astype("datetime64[s]").astype("datetime64[Y]").astype(np.int64) + 1970 - made.options.start.year
    level = PRICE_RISE**years * made.price_levels()[sales.currency]
    paid = np.array([1.0, 0.9, 0.8])[arrays.draw(rng, arrays.weighted_table((84, 11, 5), 100), len(order))]
    pennies = np.rint(_list_prices()[product] * level[order] * paid).astype(np.int64)
    at_least_one: Ints = np.maximum(pennies, 1)
    return at_least_one * PENNY


def _refunds(made: plan.Plan, block: int, sales: Orders, sold: Lines) -> tuple[Orders, Lines]:
    """Of some sales all, of some a part comes back later: each at most once, no line by more than was sold."""
    rng = made.rng(plan.Stream.REFUNDS, block)
    rows = len(sales.at)
    at = sales.at + 3_600 + (rng.gamma(2.0, 6.0, rows) * arrays.SECONDS_PER_DAY).astype(np.int64)
    comes_back = (rng.random(rows) < made.options.refund_rate) & (at < made.season.end)
    whole = rng.random(rows) < 0.5
    picked = whole[sold.order] | (sold.line_no == 1) | (rng.random(len(sold.order)) < 0.4)
    share = np.where(whole[sold.order], 1.0, rng.random(len(sold.order)))
    quantity = np.maximum(np.ceil(sold.quantity * share).astype(np.int64), 1)
    kept = np.flatnonzero(picked & comes_back[sold.order])
    origin = np.flatnonzero(comes_back)
    origin = origin[np.lexsort((origin, at[origin]))]
    rank = np.zeros(rows, dtype=np.int64)
    rank[origin] = np.arange(len(origin))
    kept = kept[np.argsort(rank[sold.order[kept]], kind="stable")]
    order = rank[sold.order[kept]]
    returned = Lines(order, sold.line_no[kept], sold.product[kept], -quantity[kept], sold.unit_price[kept])
    counts = np.bincount(order, minlength=len(origin)).astype(np.int64)
    # The refund of order O<number> is R<number>, on the channel of the sale.
    refunds = Orders(
        number=sales.number[origin],
        customer=sales.customer[origin],
        at=at[origin],
        lines=counts,
        channel=sales.channel[origin],
        currency=sales.currency[origin],
    )
    return refunds, returned


def _order_rows(made: plan.Plan, who: people.People, some: Orders, lines: Lines, *, refund: bool) -> pa.RecordBatch:
    columns = [
        _order_ids(some, refund=refund),
        arrays.numbered("C", who.number[some.customer], plan.CUSTOMER_DIGITS),
        arrays.timestamps(some.at),
        arrays.money(lines.totals()),
        arrays.texts(made.options.currencies, some.currency),
        arrays.constant("refund" if refund else "sale", len(some.at)),
        arrays.texts(wording.ORDER_CHANNELS, some.channel),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["orders"])


def _line_rows(made: plan.Plan, who: people.People, some: Orders, lines: Lines, *, refund: bool) -> pa.RecordBatch:
    order = pa.array(lines.order)
    columns = [
        _order_ids(some, refund=refund).take(order),
        arrays.integers(lines.line_no),
        arrays.numbered("C", who.number[some.customer], plan.CUSTOMER_DIGITS).take(order),
        arrays.timestamps(some.at[lines.order]),
        arrays.texts(_product_ids(), lines.product),
        arrays.texts(_product_names(), lines.product),
        arrays.integers(lines.quantity),
        arrays.money(lines.unit_price),
        arrays.money(lines.amount()),
        arrays.texts(made.options.currencies, some.currency[lines.order]),
        arrays.constant("refund" if refund else "sale", len(lines.order)),
    ]
    return pa.RecordBatch.from_arrays(columns, schema=schemas.SCHEMAS["order_lines"])


def _order_ids(some: Orders, *, refund: bool) -> pa.Array:
    return arrays.numbered("R" if refund else "O", some.number, plan.ROW_DIGITS)


def _product_names() -> list[str]:
    return [f"{family} {variant}" for family, _ in wording.PRODUCT_FAMILIES for variant, _ in wording.PRODUCT_VARIANTS]


def _product_ids() -> list[str]:
    return [f"P{number + 1:04d}" for number in range(len(_product_names()))]


def _list_prices() -> Floats:
    families = np.array([pennies for _, pennies in wording.PRODUCT_FAMILIES], dtype=np.float64)
    return np.outer(families, [factor for _, factor in wording.PRODUCT_VARIANTS]).ravel()


def _popularity() -> Ints:
    """Few products sell much: weights fall as a power of the rank, ranks scattered over the families."""
    products = len(_product_names())
    return arrays.weighted_table([1.0 / (1.0 + rank) ** 0.8 for rank in _scatter(products).tolist()])


def _companions() -> Ints:
    """For each product the one that goes with it: of the next family, in the same variant."""
    products = len(_product_names())
    return (np.arange(products) + len(wording.PRODUCT_VARIANTS)) % products


def _scatter(products: int) -> Ints:
    """A fixed shuffle of 0 … products-1: 37 has no factor in common with the number of products."""
    return np.arange(products) * 37 % products
