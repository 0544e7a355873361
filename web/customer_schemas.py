"""What is known of one customer, as pydantic models."""

from typing import Any

from pydantic import ConfigDict, Field

from web import schemas

MOST_ROWS = 100


class CustomerQuery(schemas.Request):
    limit: int = Field(
        default=20, ge=0, le=MOST_ROWS, description="Most rows that are shown of each dataset; all are counted"
    )


class CustomerMoney(schemas.Answer):
    """Money of the customer in one currency."""

    currency: str | None
    amount: str | None = Field(
        description="Sum of the amounts, refunds taken off; of subscriptions, of the monthly amounts"
    )


class CustomerDataset(schemas.Answer):
    """What one dataset holds of the customer."""

    dataset: str
    version: int = Field(description="The version that was read")
    rows: int = Field(description="Rows of the customer: those that name them, and those of a record of theirs")
    first_at: str | None = Field(
        description="The earliest moment of a row, such as the first order; null where none is known"
    )
    last_at: str | None = Field(description="The latest one")
    money: list[CustomerMoney]
    data: list[dict[str, Any]] = Field(description="The newest rows, by column")


class CustomerObject(schemas.Answer):
    """Everything the datasets hold of one customer."""

    model_config = ConfigDict(
        frozen=True,
        json_schema_serialization_defaults_required=True,
        json_schema_extra={
            "examples": [
                {
                    "id": "C-1042",
                    "customer": {"customer_id": "C-1042", "name": "Ada Lovelace", "country": "GB"},
                    "datasets": [
                        {
                            "dataset": "orders",
                            "version": 4,
                            "rows": 2,
                            "first_at": "2026-01-02T10:00:00Z",
                            "last_at": "2026-03-04T09:30:00Z",
                            "money": [{"currency": "GBP", "amount": "120.50"}],
                            "data": [
                                {"order_id": "O-7", "customer_id": "C-1042", "amount": "20.50", "currency": "GBP"}
                            ],
                        }
                    ],
                    "links": {"self": "/v1/customers/C-1042"},
                }
            ]
        },
    )

    id: str
    customer: dict[str, Any] | None = Field(
        description="Their row of `customers`; null where only other datasets know them"
    )
    datasets: list[CustomerDataset] = Field(description="Every dataset about people that the organisation has")
    links: schemas.SelfLink
