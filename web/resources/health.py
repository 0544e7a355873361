"""Whether this process is alive, and whether the service can accept work and does it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import flask
import sqlalchemy.exc

import celeryconfig
from models import heartbeat, liveness, queues, row_access, session, settings, upkeep
from models.heartbeat import ProcessKind
from models.queues import QueueState
from models.upkeep import Upkeep
from web import health_schemas, job_object
from web.health_schemas import ReadinessReason
from workers import broker

blueprint = flask.Blueprint("health", __name__)

# Beat gives a sign every five seconds, and may be late without anything being wrong.
SILENT_BEAT_SECONDS = 30.0
# Beat does itself what is overdue, after a third of this many turns.
OVERDUE_SWEEPS = 9
# A worker with a free slot takes a job within a second; what waits this long beside one is stuck.
STANDSTILL_SECONDS = 60.0

ALIVE = health_schemas.Liveness(status="alive").model_dump_json()


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the database says; ages in seconds, None: never."""

    since_worker: float | None
    since_beat: float | None
    since_sweep: float | None
    queues: Mapping[str, QueueState]
    stuck: Mapping[str, float]


@blueprint.get("/healthz")
def healthz() -> flask.Response:
    """Answer without asking anybody: restarting this process would not mend a database."""
    return flask.Response(ALIVE, content_type="application/json")


@blueprint.get("/readyz")
def readyz() -> flask.Response:
    """Tell whether jobs are accepted, which needs PostgreSQL alone, and whether the rest that runs them is there."""
    readiness = _readiness()
    response = job_object.as_json(readiness, status=503 if readiness.status == "unavailable" else 200)
    if readiness.status == "unavailable":
        response.headers["Retry-After"] = "5"
    return response


def queue_names() -> tuple[str, ...]:
    return tuple(queue.name for queue in celeryconfig.task_queues)


def _readiness() -> health_schemas.Readiness:
    broker_health = health_schemas.BrokerHealth(reachable=broker.ping())
    try:
        seen = _look()
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        return _unavailable(error, broker_health)
    reasons = list(_reasons(seen, broker_reachable=broker_health.reachable))
    return health_schemas.Readiness(
        status="degraded" if reasons else "ready",
        reasons=reasons,
        database=health_schemas.DatabaseHealth(reachable=True, detail=None),
        broker=broker_health,
        workers=_process(seen.since_worker, limit=liveness.silence_seconds()),
        beat=_process(seen.since_beat, limit=SILENT_BEAT_SECONDS),
        sweep=health_schemas.SweepHealth(seconds_since_run=seen.since_sweep),
        queues={name: _queue(state) for name, state in seen.queues.items()},
    )


def _look() -> _Seen:
    with row_access.of_all_organisations(), session.transaction() as db:
        return _Seen(
            since_worker=heartbeat.seconds_since_last(db, ProcessKind.WORKER),
            since_beat=heartbeat.seconds_since_last(db, ProcessKind.BEAT),
            since_sweep=upkeep.seconds_since(db, Upkeep.RESCUE),
            queues=queues.states(db, queue_names()),
            stuck=queues.longest_stuck(db),
        )


def _unavailable(error: Exception, broker_health: health_schemas.BrokerHealth) -> health_schemas.Readiness:
    kind = type(error).__name__
    return health_schemas.Readiness(
        status="unavailable",
        reasons=[
            ReadinessReason(code="database-away", detail=f"PostgreSQL does not answer ({kind}): nothing is accepted.")
        ],
        database=health_schemas.DatabaseHealth(reachable=False, detail=kind),
        broker=broker_health,
        workers=None,
        beat=None,
        sweep=None,
        queues=None,
    )


def _reasons(seen: _Seen, *, broker_reachable: bool) -> Iterator[ReadinessReason]:
    if not broker_reachable:
        detail = "Redis does not answer or takes no messages: jobs are accepted, and wait until it does."
        yield ReadinessReason(code="broker-away", detail=detail)
    if seen.since_beat is None or seen.since_beat > SILENT_BEAT_SECONDS:
        detail = f"Beat {_last(seen.since_beat, 'gave a sign of life')}: nothing is rescued."
        yield ReadinessReason(code="beat-silent", detail=detail)
    if seen.since_sweep is not None and seen.since_sweep > OVERDUE_SWEEPS * settings.load().rescue_seconds:
        detail = f"Lost jobs were last looked for {seen.since_sweep:.0f} s ago."
        yield ReadinessReason(code="sweep-overdue", detail=detail)
    served = queue_names()
    for name, state in seen.queues.items():
        # A queue nobody declares any more matters as long as something is left in it.
        if state.workers == 0 and (name in served or state.waiting):
            detail = f"No worker serves the queue {name}; {state.waiting} jobs wait in it."
            yield ReadinessReason(code="queue-without-worker", detail=detail)
        elif state.free_slots and seen.stuck.get(name, 0.0) > STANDSTILL_SECONDS:
            detail = (
                f"A job has waited {seen.stuck[name]:.0f} s for a worker of the queue {name}, although {state.free_slots} "
                f"of {state.slots} slots are free."
            )
            yield ReadinessReason(code="work-stands-still", detail=detail)


def _last(age: float | None, what: str) -> str:
    return f"never {what}" if age is None else f"last {what} {age:.0f} s ago"


def _process(age: float | None, *, limit: float) -> health_schemas.ProcessHealth:
    return health_schemas.ProcessHealth(seconds_since_heartbeat=age, alive=age is not None and age <= limit)


def _queue(state: QueueState) -> health_schemas.QueueHealth:
    return health_schemas.QueueHealth(
        workers=state.workers,
        slots=state.slots,
        running=state.running,
        waiting=state.waiting,
        seconds_oldest_due=state.oldest_due,
        seconds_since_claim=state.since_claim,
    )
