"""The Arrow schema of every dataset a sample has, in the order in which they are best imported."""

import pyarrow as pa

from analytics.sample.arrays import MONEY, TIMESTAMP


def _schema(columns: str, **types: pa.DataType) -> pa.Schema:
    """The columns in their order; those not named in `types` are text."""
    return pa.schema([(name, types.get(name, pa.string())) for name in columns.split()])


SCHEMAS: dict[str, pa.Schema] = {
    "customers": _schema(
        "customer_id name email phone company city country segment source owner created_at",
        created_at=TIMESTAMP,
    ),
    "orders": _schema(
        "order_id customer_id ordered_at amount currency kind channel",
        ordered_at=TIMESTAMP,
        amount=MONEY,
    ),
    "order_lines": _schema(
        "order_id line_no customer_id ordered_at product_id product quantity unit_price amount currency kind",
        line_no=pa.int64(),
        ordered_at=TIMESTAMP,
        quantity=pa.int64(),
        unit_price=MONEY,
        amount=MONEY,
    ),
    "deals": _schema(
        "deal_id customer_id name pipeline stage owner team region product source amount list_amount currency "
        "probability created_at expected_close_on closed_at status lost_reason",
        amount=MONEY,
        list_amount=MONEY,
        probability=MONEY,
        created_at=TIMESTAMP,
        expected_close_on=pa.date32(),
        closed_at=TIMESTAMP,
    ),
    "deal_stages": _schema("deal_id stage entered_at", entered_at=TIMESTAMP),
    "leads": _schema(
        "lead_id source campaign owner created_at converted_at customer_id",
        created_at=TIMESTAMP,
        converted_at=TIMESTAMP,
    ),
    "touches": _schema("touch_id person_id channel campaign occurred_at", occurred_at=TIMESTAMP),
    "activities": _schema("activity_id customer_id deal_id owner kind occurred_at", occurred_at=TIMESTAMP),
    "subscriptions": _schema(
        "subscription_id started_on ended_on customer_id plan mrr currency",
        started_on=pa.date32(),
        ended_on=pa.date32(),
        mrr=MONEY,
    ),
    "fx_rates": _schema("currency on rate", on=pa.date32(), rate=MONEY),
}

DATASETS = tuple(SCHEMAS)
