"""What the events of a job say, and how a stream of them is asked for."""

import uuid
from datetime import datetime

from pydantic import Field

from models.job_states import JobStatus
from web import schemas

# An event of the job, and where the stream has told of its progress since, what that was.
EVENT_ID = r"^[0-9]{1,18}(-[0-9a-f]{12})?$"


class EventsQuery(schemas.Request):
    last_event_id: str | None = Field(
        default=None,
        pattern=EVENT_ID,
        description="The id of the last event you have, for a client that cannot send `Last-Event-ID`; the header wins",
    )


class StateEvent(schemas.Answer):
    """`event: state`: something that happened to a job. Where `status` is final it is the last event of the stream."""

    job: uuid.UUID
    at: datetime
    status: JobStatus
    previous: JobStatus | None = Field(
        description="The status before; null for the first event, and the same where only the reason is new"
    )
    reason: str = Field(description="Why, in one word", examples=["claimed"])
    attempt: int
    error: schemas.JobError | None
    by: str | None = Field(description="Who asked for it, where somebody did")
    note: str | None = Field(description="The reason they gave")


class ProgressEvent(schemas.Answer):
    """`event: progress`: how far a running job has come. Only the newest is told; what came before may be left out."""

    job: uuid.UUID
    attempt: int
    progress: schemas.Progress
