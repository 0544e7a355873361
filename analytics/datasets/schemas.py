"""The canonical datasets: which columns customer data has once it is cleaned. Light: the web reads it."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

MONEY = (18, 4)
# quantity x unit_price keeps the decimals of both factors, so a line's amount is exact.
LINE_AMOUNT = (38, 8)
# Rates of exchange have more decimals than money: one rupiah is 0.0000613 dollars.
RATE = (18, 10)


class ColumnKind(enum.StrEnum):
    TEXT = "text"
    INT = "int"
    DECIMAL = "decimal"
    TIMESTAMP = "timestamp"  # UTC, microseconds
    DATE = "date"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class DatasetColumn:
    """One column of a dataset.

    Attributes:
        required: an import fails without a header for it, unless its mapping says null; a row without a value is rejected.
        key: part of what identifies a row; never null.
        choices: the values a text column may have; empty means any.
        precision: digits of a decimal in all, and `scale` those behind the point.
        positive: zero and less are no values of it.
    """

    name: str
    kind: ColumnKind
    description: str
    required: bool = False
    key: bool = False
    choices: tuple[str, ...] = ()
    precision: int = MONEY[0]
    scale: int = MONEY[1]
    positive: bool = False


@dataclass(frozen=True, slots=True)
class DatasetSchema:
    """A dataset: its columns in order.

    Attributes:
        key: the columns that identify a row; an upsert matches on them.
        alternatives: sets of columns of which a file must have at least one whole, because the rest is derived from them.
    """

    name: str
    description: str
    columns: tuple[DatasetColumn, ...]
    alternatives: tuple[tuple[tuple[str, ...], ...], ...] = ()

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns if column.key)

    def column(self, name: str) -> DatasetColumn | None:
        return next((column for column in self.columns if column.name == name), None)


def _text(name: str, description: str, *, required: bool = False, choices: tuple[str, ...] = ()) -> DatasetColumn:
    return DatasetColumn(name, ColumnKind.TEXT, description, required=required, choices=choices)


def _key(name: str, description: str, *, kind: ColumnKind = ColumnKind.TEXT, derived: bool = False) -> DatasetColumn:
    return DatasetColumn(name, kind, description, required=not derived, key=True)


def _time(name: str, description: str, *, required: bool = False) -> DatasetColumn:
    return DatasetColumn(name, ColumnKind.TIMESTAMP, description, required=required)


def _date(name: str, description: str) -> DatasetColumn:
    return DatasetColumn(name, ColumnKind.DATE, description)


def _decimal(name: str, description: str, *, required: bool = False, size: tuple[int, int] = MONEY) -> DatasetColumn:
    return DatasetColumn(name, ColumnKind.DECIMAL, description, required=required, precision=size[0], scale=size[1])


KIND = _text("kind", "sale or refund; absent: refund where the amount is negative", choices=("sale", "refund"))
CURRENCY = _text("currency", "ISO 4217 code; absent: the organisation's")

CUSTOMERS = DatasetSchema(
    "customers",
    "People and companies one sells to",
    (
        _key("customer_id", "Identifies the customer"),
        _text("name", "Full name"),
        _text("email", "E-mail address, lower case"),
        _text("phone", "Telephone number, E.164 where the country is known"),
        _text("company", "Company the customer belongs to"),
        _text("city", "City"),
        _text("country", "Country"),
        _text("segment", "Segment, tier or industry"),
        _text("source", "Where the customer came from"),
        _text("owner", "Who looks after the customer"),
        _time("created_at", "When the customer became known"),
    ),
)

ORDERS = DatasetSchema(
    "orders",
    "Orders and refunds, one row each",
    (
        _key("order_id", "Identifies the order; absent: made of customer, time and position", derived=True),
        _text("customer_id", "Who ordered"),
        _time("ordered_at", "When it was ordered", required=True),
        _decimal("amount", "What was paid; negative for money given back", required=True),
        CURRENCY,
        KIND,
        _text("channel", "Where it was sold"),
    ),
    alternatives=((("order_id",), ("customer_id", "ordered_at")), (("customer_id",),)),
)

ORDER_LINES = DatasetSchema(
    "order_lines",
    "Lines of orders: one product each",
    (
        _key("order_id", "The order; absent: made of customer and time", derived=True),
        _key(
            "line_no",
            "Position in the order; absent: numbered by position in the file",
            kind=ColumnKind.INT,
            derived=True,
        ),
        _text("customer_id", "Who ordered"),
        _time("ordered_at", "When it was ordered", required=True),
        _text("product_id", "Identifies the product"),
        _text("product", "Name of the product"),
        _decimal("quantity", "How many; negative for returns"),
        _decimal("unit_price", "Price of one"),
        _decimal("amount", "What was paid; absent: quantity x unit_price, exact", size=LINE_AMOUNT),
        CURRENCY,
        KIND,
    ),
    alternatives=(
        (("order_id",), ("customer_id", "ordered_at")),
        (("amount",), ("quantity", "unit_price")),
    ),
)

DEALS = DatasetSchema(
    "deals",
    "Opportunities in the sales pipeline as they are now",
    (
        _key("deal_id", "Identifies the deal"),
        _text("customer_id", "The customer or account"),
        _text("name", "Name of the deal"),
        _text("pipeline", "Pipeline it is in"),
        _text("stage", "Stage it is in"),
        _text("owner", "Who sells it"),
        _text("team", "Team of the owner"),
        _text("region", "Region"),
        _text("product", "Product"),
        _text("source", "Where the deal came from"),
        _decimal("amount", "Value of the deal"),
        _decimal("list_amount", "Value at list price"),
        CURRENCY,
        _decimal("probability", "Chance of being won, as the CRM gives it"),
        _time("created_at", "When it was opened"),
        _date("expected_close_on", "Day it is expected to close"),
        _time("closed_at", "When it was won or lost"),
        _text("status", "open, won or lost; absent: read from the stage", choices=("open", "won", "lost")),
        _text("lost_reason", "Why it was lost"),
    ),
    alternatives=((("stage",), ("status",)),),
)

DEAL_STAGES = DatasetSchema(
    "deal_stages",
    "History of deals: when each entered a stage",
    (
        _key("deal_id", "The deal"),
        _key("stage", "The stage"),
        _key("entered_at", "When the deal entered it", kind=ColumnKind.TIMESTAMP),
    ),
)

LEADS = DatasetSchema(
    "leads",
    "People who might become customers",
    (
        _key("lead_id", "Identifies the lead"),
        _text("source", "Where the lead came from"),
        _text("campaign", "Campaign"),
        _text("owner", "Who follows it up"),
        _time("created_at", "When the lead came in"),
        _time("converted_at", "When it became a customer"),
        _text("customer_id", "The customer it became"),
    ),
)

TOUCHES = DatasetSchema(
    "touches",
    "Contacts of marketing with a person",
    (
        _key("touch_id", "Identifies the touch"),
        _text("person_id", "Who was reached", required=True),
        _text("channel", "Channel", required=True),
        _text("campaign", "Campaign"),
        _time("occurred_at", "When", required=True),
    ),
)

ACTIVITIES = DatasetSchema(
    "activities",
    "What sales people did: calls, mails, meetings",
    (
        _key("activity_id", "Identifies the activity"),
        _text("customer_id", "The customer"),
        _text("deal_id", "The deal"),
        _text("owner", "Who did it"),
        _text("kind", "What was done"),
        _time("occurred_at", "When", required=True),
    ),
)

SUBSCRIPTIONS = DatasetSchema(
    "subscriptions",
    "Periods of a subscription at one price",
    (
        _key("subscription_id", "Identifies the subscription"),
        _key("started_on", "First day of the period", kind=ColumnKind.DATE),
        _date("ended_on", "Day after the last; empty while it runs"),
        _text("customer_id", "Who subscribes", required=True),
        _text("plan", "Plan"),
        _decimal("mrr", "Monthly recurring revenue", required=True),
        CURRENCY,
    ),
)

FX_RATES = DatasetSchema(
    "fx_rates",
    "Rates of exchange into the base currency",
    (
        _key("currency", "ISO 4217 code"),
        _key("on", "Day of the rate", kind=ColumnKind.DATE),
        DatasetColumn(
            "rate",
            ColumnKind.DECIMAL,
            "Units of the base currency for one unit",
            required=True,
            precision=RATE[0],
            scale=RATE[1],
            positive=True,
        ),
    ),
)

DATASETS: Mapping[str, DatasetSchema] = MappingProxyType(
    {
        schema.name: schema
        for schema in (
            CUSTOMERS,
            ORDERS,
            ORDER_LINES,
            DEALS,
            DEAL_STAGES,
            LEADS,
            TOUCHES,
            ACTIVITIES,
            SUBSCRIPTIONS,
            FX_RATES,
        )
    }
)
