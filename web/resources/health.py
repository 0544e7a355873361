"""Whether this process is alive, and whether the service can accept work and does it."""

import flask
import sqlalchemy.exc

from models import heartbeat, jobs, session, settings
from models.heartbeat import ProcessKind
from web import catalogue_schemas, job_object
from workers import broker

blueprint = flask.Blueprint("health", __name__)

# Beat gives a sign every five seconds, and may be late without anything being wrong.
SILENT_BEAT_SECONDS = 30.0

ALIVE = catalogue_schemas.Liveness(status="alive").model_dump_json()


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


def _readiness() -> catalogue_schemas.Readiness:
    broker_health = catalogue_schemas.BrokerHealth(reachable=broker.ping())
    try:
        with session.transaction() as db:
            worker_age = heartbeat.seconds_since_last(db, ProcessKind.WORKER)
            beat_age = heartbeat.seconds_since_last(db, ProcessKind.BEAT)
            oldest_due = jobs.seconds_oldest_due(db)
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        return catalogue_schemas.Readiness(
            status="unavailable",
            database=catalogue_schemas.DatabaseHealth(reachable=False, detail=type(error).__name__),
            broker=broker_health,
            workers=None,
            beat=None,
            queue=None,
        )
    workers = _process(worker_age, limit=settings.load().lease_seconds)
    beat = _process(beat_age, limit=SILENT_BEAT_SECONDS)
    whole = broker_health.reachable and workers.alive and beat.alive
    return catalogue_schemas.Readiness(
        status="ready" if whole else "degraded",
        database=catalogue_schemas.DatabaseHealth(reachable=True, detail=None),
        broker=broker_health,
        workers=workers,
        beat=beat,
        queue=catalogue_schemas.QueueHealth(seconds_oldest_due=oldest_due),
    )


def _process(age: float | None, *, limit: float) -> catalogue_schemas.ProcessHealth:
    return catalogue_schemas.ProcessHealth(seconds_since_heartbeat=age, alive=age is not None and age <= limit)
