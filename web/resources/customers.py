"""Customers: one of them is looked at, or erased, from the lake, its old versions, stored results and the records of jobs."""

import flask
from sqlalchemy.orm import Session

from analytics.datasets import persons
from models import dataset, transitions
from models.api_key import Scope
from models.job_states import JobKind
from web import (
    accepting,
    auth,
    customer_schemas,
    customer_view,
    idempotency_key,
    json_body,
    problem_types,
    problems,
    query,
    request_context,
)
from web import schemas as shapes
from workers import routing

blueprint = flask.Blueprint("customers", __name__, url_prefix="/v1/customers")

# What a row takes in the lake, roughly: enough to tell large organisations from small ones.
BYTES_PER_ROW = 64


@blueprint.delete("/<customer:customer_id>")
@auth.requires(Scope.ADMIN)
def erase(customer_id: str) -> flask.Response:
    options = query.read(shapes.ErasureQuery)
    known_as = _canonical(customer_id)
    asked = options.model_dump(mode="json", exclude_defaults=True, exclude={"wait"})
    key = idempotency_key.bind(idempotency_key.given(), {"query": asked})
    return accepting.answer(accepting.accept(lambda db: _new_job(db, known_as, options), key), options.wait)


@blueprint.get("/<customer:customer_id>")
@auth.requires(Scope.DATASETS_READ)
def show(customer_id: str) -> flask.Response:
    wanted = query.read(customer_schemas.CustomerQuery)
    return customer_view.show(_canonical(customer_id), most_rows=wanted.limit)


def _canonical(customer_id: str) -> str:
    """Return the id as an import would have written it.

    Raises:
        problems.Problem: no import could have written it.
    """
    known_as = persons.canonical(customer_id)
    if not known_as or not json_body.storable(known_as):
        raise problems.Problem(problem_types.NOT_FOUND, "No customer can have this id.")
    return known_as


def _new_job(db: Session, customer_id: str, options: shapes.ErasureQuery) -> transitions.NewJob:
    caller = auth.caller()
    rows = sum(size.row_count for size in dataset.current_sizes(db, caller.organisation_id).values())
    return transitions.NewJob(
        organisation_id=caller.organisation_id,
        kind=JobKind.ERASURE,
        type="customers",
        params={"customer_id": customer_id, "dry_run": options.dry_run, "requested_by": caller.name},
        queue=routing.queue_of_lake_job(rows * BYTES_PER_ROW),
        priority=options.priority,
        request_id=request_context.request_id(),
        traceparent=request_context.traceparent(),
    )
