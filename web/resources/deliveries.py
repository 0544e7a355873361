"""Deliveries: what was sent to whom, every attempt at it, and sending it again."""

import uuid

import flask
from sqlalchemy.orm import Session

from models import deliveries, session
from models.api_key import Scope
from models.delivery import Delivery
from models.job_states import JobKind
from web import (
    auth,
    delivery_views,
    idempotency_key,
    job_object,
    job_views,
    once,
    problem_types,
    problems,
    query,
    schemas,
)
from web import delivery_schemas as shapes
from workers.deliveries import poking, withdrawing

blueprint = flask.Blueprint("deliveries", __name__, url_prefix="/v1")

PATH = "/v1/deliveries"


@blueprint.get("/deliveries")
@auth.requires(Scope.WEBHOOKS)
def listing() -> flask.Response:
    parameters = query.read(shapes.DeliveryListQuery)
    columns = {
        Delivery.channel: parameters.channel,
        Delivery.webhook_id: parameters.webhook_id,
        Delivery.job_id: parameters.job_id,
        Delivery.schedule_id: parameters.schedule_id,
    }
    where = [column == value for column, value in columns.items() if value is not None]
    return delivery_views.listing(parameters, *where, path=PATH)


@blueprint.get("/deliveries/<delivery_id>")
@auth.requires(Scope.WEBHOOKS)
def show(delivery_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        delivery = delivery_views.find(db, delivery_id)
    return delivery_views.answer(delivery)


@blueprint.delete("/deliveries/<delivery_id>")
@auth.requires(Scope.WEBHOOKS)
def delete(delivery_id: str) -> flask.Response:
    """Forget what was sent to somebody; what its links led to is theirs no more."""
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        delivery = delivery_views.find(db, delivery_id)
        if not deliveries.forget(db, delivery.id):
            detail = "It is still being tried. Cancel it first, or wait until it has ended."
            raise problems.Problem(problem_types.DELIVERY_PENDING, detail)
    return job_object.as_json(shapes.DeletedDelivery(id=delivery.id, deleted=True))


@blueprint.post("/deliveries/<delivery_id>/cancel")
@auth.requires(Scope.WEBHOOKS)
def cancel(delivery_id: str) -> flask.Response:
    """Call one off that waits to be sent. An attempt that is being made at this moment may still arrive."""
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        delivery = delivery_views.find(db, delivery_id)
        if not deliveries.call_off(db, delivery.id, why=f"Called off by {auth.caller().name}."):
            detail = f"It has already ended: it is {delivery.status}."
            raise problems.Problem(problem_types.DELIVERY_FINISHED, detail)
        db.expire(delivery)
        ended = delivery_views.found(db, delivery.id)
    return delivery_views.answer(ended)


@blueprint.post("/deliveries/<delivery_id>/redeliver")
@auth.requires(Scope.WEBHOOKS)
def redeliver(delivery_id: str) -> flask.Response:
    """Send one again, whatever became of it, under the id it had."""
    query.read(schemas.NoParameters)
    key = idempotency_key.bind(idempotency_key.given(), {})

    def make(db: Session) -> tuple[uuid.UUID, Delivery]:
        delivery = delivery_views.find(db, delivery_id)
        if delivery.finished_at is None:
            raise problems.Problem(
                problem_types.DELIVERY_PENDING, "It is still being tried; it need not be sent again."
            )
        if delivery.erased_at is not None:
            raise problems.Problem(
                problem_types.DELIVERY_ERASED, "Whom it was for, or about, has been erased; it is not sent again."
            )
        if withdrawing.withdrawn(db, [delivery]):
            raise problems.Problem(problem_types.DELIVERY_WITHDRAWN, withdrawing.WHY)
        if not deliveries.again(db, Delivery.id == delivery.id):
            raise problems.Problem(
                problem_types.WEBHOOK_DISABLED, "Enable the webhook first: nothing is sent to it now."
            )
        db.expire(delivery)
        return delivery.id, delivery_views.found(db, delivery.id)

    done = once.effect(key, make, delivery_views.found)
    poking.poke()
    answer = delivery_views.answer(done.made, status=202)
    answer.headers.update(done.headers)
    return answer


@blueprint.post("/reports/<job_id>/redeliver")
@auth.requires(Scope.WEBHOOKS)
def redeliver_report(job_id: str) -> flask.Response:
    """Send a report again to those whom it did not reach, and to nobody else."""
    wanted = query.read(shapes.RedeliverQuery)
    job = job_views.find(job_id, JobKind.REPORT)
    return delivery_views.redeliver(wanted.only, Delivery.job_id == job.id)
