"""What the lists of deliveries have in common: found, listed, waited for, sent again."""

import time
import uuid

import flask
from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from models import deliveries, session
from models.delivery import Delivery, DeliveryStatus
from web import auth, cursor, delivery_object, job_object, paging, problem_types, problems, schemas
from web import delivery_schemas as shapes
from workers.deliveries import poking, withdrawing

PAUSE_SECONDS = 0.1
_WANTED = {
    "failed": (DeliveryStatus.FAILED,),
    "cancelled": (DeliveryStatus.CANCELLED,),
    "unsuccessful": (DeliveryStatus.FAILED, DeliveryStatus.CANCELLED),
}


def find(db: Session, delivery_id: str) -> Delivery:
    """Return a delivery of the caller's organisation.

    Raises:
        problems.Problem: there is none, or it is another's.
    """
    try:
        identity = uuid.UUID(delivery_id)
    except ValueError as error:
        raise _not_found() from error
    return found(db, identity)


def found(db: Session, delivery_id: uuid.UUID) -> Delivery:
    """Return a delivery by its id; the problems are those of `find`."""
    delivery = deliveries.find(db, delivery_id, organisation_id=auth.caller().organisation_id)
    if delivery is None:
        raise _not_found()
    return delivery


def answer(delivery: Delivery, *, status: int = 200) -> flask.Response:
    """Answer with a delivery and all attempts at it."""
    with session.transaction() as db:
        attempts = deliveries.attempts_of(db, delivery.id)
    return job_object.as_json(delivery_object.with_attempts(delivery, attempts), status=status)


def listing(parameters: shapes.DeliveriesOfWebhookQuery, *where: ColumnElement[bool], path: str) -> flask.Response:
    """Answer with a page of deliveries, newest first."""
    if parameters.status is not None:
        where = (*where, Delivery.status == parameters.status)
    before = cursor.decode(parameters.cursor) if parameters.cursor is not None else None
    with session.transaction() as db:
        owner = auth.caller().organisation_id
        rows = deliveries.newest(db, owner, *where, limit=paging.to_fetch(parameters), before=before)
    page, following = paging.cut(rows, parameters, path=path, end=lambda row: cursor.encode(row.id))
    return job_object.as_json(schemas.Page(data=[delivery_object.delivery(row) for row in page], next=following))


def redeliver(only: str, *where: ColumnElement[bool]) -> flask.Response:
    """Send again what did not succeed, under the ids it had, and answer with how many that are."""
    of_caller = Delivery.organisation_id == auth.caller().organisation_id
    chosen = (of_caller, Delivery.status.in_(_WANTED[only]), *where)
    with session.transaction() as db:
        of_schedules = select(Delivery).where(*chosen, Delivery.schedule_id.is_not(None), Delivery.webhook_id.is_(None))
        withdrawn = withdrawing.withdrawn(db, db.scalars(of_schedules))
        count = deliveries.again(db, *chosen, Delivery.id.not_in(withdrawn))
    if count:
        poking.poke()
    return job_object.as_json(shapes.Redelivered(count=count, withdrawn=len(withdrawn)))


def wait_for(delivery: Delivery, *, seconds: float) -> Delivery:
    """Return a delivery as it is once it is finished, or once the patience is over."""
    deadline = time.monotonic() + seconds
    while delivery.finished_at is None and time.monotonic() < deadline:
        time.sleep(PAUSE_SECONDS)
        with session.transaction() as db:
            delivery = found(db, delivery.id)
    return delivery


def _not_found() -> problems.Problem:
    return problems.Problem(problem_types.NOT_FOUND, "There is no delivery with this id.")
