"""The pydantic models of what the service says of itself."""

from typing import Literal

from pydantic import Field

from web.schemas import Answer


class Liveness(Answer):
    status: Literal["alive"]


class DatabaseHealth(Answer):
    reachable: bool
    detail: str | None


class BrokerHealth(Answer):
    reachable: bool


class ProcessHealth(Answer):
    seconds_since_heartbeat: float | None = Field(description="Null: there never was one")
    alive: bool


class SweepHealth(Answer):
    seconds_since_run: float | None = Field(
        description="How long ago lost jobs and messages were last looked for; null: never"
    )


class QueueHealth(Answer):
    """One queue: what waits in it, and who works on it."""

    workers: int = Field(description="Workers of this queue that give signs of life")
    slots: int = Field(description="Jobs that these can run at once")
    running: int
    waiting: int = Field(description="Jobs that are accepted and do not run, due or not")
    seconds_oldest_due: float | None = Field(description="How long the longest-waiting due job has waited; null: none")
    seconds_since_claim: float | None = Field(description="How long ago a job was last taken; null: never")


class ReadinessReason(Answer):
    """Why the service is not ready."""

    code: Literal[
        "database-away", "broker-away", "beat-silent", "sweep-overdue", "queue-without-worker", "work-stands-still"
    ]
    detail: str = Field(description="A sentence for a person")


class Readiness(Answer):
    """Whether work is accepted, and whether it is being done."""

    status: Literal["ready", "degraded", "unavailable"] = Field(
        description="ready; degraded: jobs are accepted and kept, but something that runs them is away; "
        "unavailable: nothing is accepted"
    )
    reasons: list[ReadinessReason] = Field(description="Why it is not `ready`; else empty")
    database: DatabaseHealth
    broker: BrokerHealth
    workers: ProcessHealth | None = Field(description="The worker that last gave a sign of life; null: not known")
    beat: ProcessHealth | None
    sweep: SweepHealth | None
    queues: dict[str, QueueHealth] | None = Field(description="By name; null: not known")
