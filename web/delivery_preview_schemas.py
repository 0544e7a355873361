"""Who would get what of a result, before anything is sent: what goes in and what comes out."""

import uuid
from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from models.delivery import Channel
from web.delivery_schemas import Receivers
from web.schemas import Answer, Request


class ReportDeliveriesRequest(Request):
    """Receivers as a report that is asked for may have them."""

    deliveries: Receivers = Field(min_length=1)


class ScheduleDeliveriesRequest(Request):
    """Receivers to be tried; left out = the schedule's own. The body may be left out as well."""

    deliveries: Receivers | None = None


class ReceiverPreview(Answer):
    """Receivers who get the same rows, and what they would get."""

    entry: int = Field(description="Which entry of `deliveries` this is, counted from 0; with `burst` one has several")
    channel: Channel
    to: list[str] = Field(description="Addresses of an e-mail, the URL of a folder, or the id of a webhook")
    formats: list[str] = Field(description="The files they get")
    filter: dict[str, Any] | None = Field(description="Which rows they get; null: all")
    rows: int | None = Field(
        description="How many rows that are; null: their message has no rows, or it cannot be told"
    )
    outcome: Literal["sent", "skipped", "not-told", "refused"] = Field(
        description="`skipped`: none of the rows is theirs, so nothing is sent. `not-told`: they are told of other ends only. "
        "`refused`: nothing can be sent, and `problem` says why"
    )
    problem: str | None


class UnsharedValue(Answer):
    """A value of the column of a `burst` that nobody gets the rows of."""

    column: str
    value: str | None = Field(description="null: the cell is empty")
    rows: int


class Unshared(Answer):
    """The rows that no receiver with a filter gets."""

    rows: int
    values: list[UnsharedValue] = Field(
        description="Which values of the `burst` columns they have: the 20 most frequent"
    )


class DeliveryPreview(Answer):
    """Who would get what, if this result were sent now. Nothing was."""

    job_id: uuid.UUID
    schedule_id: uuid.UUID | None
    due_at: datetime | None = Field(description="The slot whose result this is")
    finished_at: datetime | None
    row_count: int
    receivers: list[ReceiverPreview]
    unshared: Unshared | None = Field(
        description="What no receiver with a filter gets: usually somebody was forgotten. null: no receiver has a filter"
    )
