"""Webhooks: made, changed, tested, their secrets rotated, and what was sent to them."""

import uuid
from datetime import timedelta
from typing import Any, TypeVar

import flask
from sqlalchemy.orm import Session

from models import deliveries, outbox, session, settings, vault, webhooks
from models.api_key import Scope
from models.delivery import Delivery
from models.outbox import EventType
from models.webhook import Webhook
from web import (
    auth,
    cursor,
    delivery_object,
    delivery_views,
    idempotency_key,
    job_object,
    json_body,
    once,
    paging,
    problem_types,
    problems,
    query,
    schemas,
)
from web import delivery_schemas as shapes
from workers.deliveries import addresses, poking, receivers

blueprint = flask.Blueprint("webhooks", __name__, url_prefix="/v1/webhooks")

PATH = "/v1/webhooks"
# A webhook, and its secret where it was made just now.
Issued = tuple[Webhook, str | None]
TEST_PATIENCE = 20


@blueprint.post("")
@auth.requires(Scope.WEBHOOKS)
def create() -> flask.Response:
    query.read(schemas.NoParameters)
    raw = json_body.read()
    request = json_body.validated(shapes.WebhookRequest, raw)
    lane = _lane(request.url)
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})

    def make(db: Session) -> tuple[uuid.UUID, Issued]:
        owner = auth.caller().organisation_id
        if webhooks.count(db, owner) >= webhooks.MOST_PER_ORGANISATION:
            raise problems.Problem(
                problem_types.TOO_MANY_WEBHOOKS,
                f"There are {webhooks.MOST_PER_ORGANISATION} webhooks already. Delete one, or let one take more events.",
            )
        made = webhooks.create(
            db, owner, url=request.url, lane=lane, events=request.events, description=request.description
        )
        return made.webhook.id, (made.webhook, made.secret)

    done = _sealed(lambda: once.effect(key, make, _issued))
    answer = job_object.as_json(delivery_object.new_webhook(*done.made), status=201)
    answer.headers.update({"Location": f"{PATH}/{done.made[0].id}", **done.headers})
    return answer


@blueprint.get("")
@auth.requires(Scope.WEBHOOKS)
def listing() -> flask.Response:
    parameters = query.read(shapes.WebhookListQuery)
    before = cursor.decode(parameters.cursor) if parameters.cursor is not None else None
    with session.transaction() as db:
        limit = paging.to_fetch(parameters)
        rows = webhooks.newest(db, auth.caller().organisation_id, limit=limit, before=before)
    page, following = paging.cut(rows, parameters, path=PATH, end=lambda row: cursor.encode(row.id))
    return job_object.as_json(schemas.Page(data=[delivery_object.webhook(row) for row in page], next=following))


@blueprint.get("/<webhook_id>")
@auth.requires(Scope.WEBHOOKS)
def show(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        return job_object.as_json(delivery_object.webhook(_find(db, webhook_id)))


@blueprint.patch("/<webhook_id>")
@auth.requires(Scope.WEBHOOKS)
def change(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    request = json_body.validated(shapes.WebhookChange, json_body.read())
    values: dict[str, Any] = request.model_dump(exclude_unset=True)
    if request.url is not None:
        values["lane"] = _lane(request.url)
    with session.transaction() as db:
        _find(db, webhook_id)
        changed = webhooks.change(db, uuid.UUID(webhook_id), organisation_id=auth.caller().organisation_id, **values)
        return job_object.as_json(delivery_object.webhook(_there(changed)))


@blueprint.delete("/<webhook_id>")
@auth.requires(Scope.WEBHOOKS)
def delete(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        webhook = _find(db, webhook_id)
        webhooks.remove(db, webhook.id, organisation_id=webhook.organisation_id)
    return job_object.as_json(shapes.DeletedWebhook(id=webhook.id, deleted=True))


@blueprint.post("/<webhook_id>/rotate-secret")
@auth.requires(Scope.WEBHOOKS)
def rotate_secret(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    raw = json_body.read_if_any()
    request = json_body.validated(shapes.RotateRequest, raw)
    key = idempotency_key.bind(idempotency_key.given(), {"body": raw})

    def make(db: Session) -> tuple[uuid.UUID, Issued]:
        webhook = _find(db, webhook_id)
        overlap = timedelta(seconds=request.overlap_seconds)
        made = _there(webhooks.rotate(db, webhook.id, organisation_id=webhook.organisation_id, overlap=overlap))
        return webhook.id, (made.webhook, made.secret)

    done = _sealed(lambda: once.effect(key, make, _issued))
    answer = job_object.as_json(delivery_object.new_webhook(*done.made))
    answer.headers.update(done.headers)
    return answer


@blueprint.post("/<webhook_id>/enable")
@auth.requires(Scope.WEBHOOKS)
def enable(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        webhook = _find(db, webhook_id)
        enabled = webhooks.enable(db, webhook.id, organisation_id=webhook.organisation_id)
        return job_object.as_json(delivery_object.webhook(_there(enabled)))


@blueprint.post("/<webhook_id>/disable")
@auth.requires(Scope.WEBHOOKS)
def disable(webhook_id: str) -> flask.Response:
    query.read(schemas.NoParameters)
    with session.transaction() as db:
        webhook = _find(db, webhook_id)
        disabled = webhooks.disable(db, webhook.id, reason=f"Disabled by {auth.caller().name}.")
        if disabled is not None:
            deliveries.cancel(db, Delivery.webhook_id == webhook.id, why="The webhook was disabled.")
        return job_object.as_json(delivery_object.webhook(disabled or webhook))


@blueprint.post("/<webhook_id>/test")
@auth.requires(Scope.WEBHOOKS)
def test(webhook_id: str) -> flask.Response:
    """Send a test message the way of all messages, and answer with what came of it."""
    wait = query.read(schemas.WaitQuery).wait
    key = idempotency_key.bind(idempotency_key.given(), {})

    def make(db: Session) -> tuple[uuid.UUID, Delivery]:
        webhook = _find(db, webhook_id)
        if webhook.disabled_at is not None:
            raise problems.Problem(problem_types.WEBHOOK_DISABLED, webhook.disabled_reason or "It is disabled.")
        data = {"id": str(webhook.id), "message": "This is a test.", "requested_by": auth.caller().name}
        made = outbox.record_for(db, webhook, EventType.WEBHOOK_TEST, data)
        return made.id, made

    done = once.effect(key, make, delivery_views.found)
    poking.poke()
    finished = delivery_views.wait_for(done.made, seconds=TEST_PATIENCE if wait is None else wait)
    answer = delivery_views.answer(finished, status=200 if finished.finished_at is not None else 202)
    answer.headers.update({"Location": f"/v1/deliveries/{finished.id}", **done.headers})
    return answer


@blueprint.get("/<webhook_id>/deliveries")
@auth.requires(Scope.WEBHOOKS)
def sent(webhook_id: str) -> flask.Response:
    parameters = query.read(shapes.DeliveriesOfWebhookQuery)
    with session.transaction() as db:
        webhook = _find(db, webhook_id)
    return delivery_views.listing(parameters, Delivery.webhook_id == webhook.id, path=f"{PATH}/{webhook.id}/deliveries")


@blueprint.post("/<webhook_id>/redeliver")
@auth.requires(Scope.WEBHOOKS)
def redeliver(webhook_id: str) -> flask.Response:
    """Send again what did not get through, such as after the receiver was away for days."""
    wanted = query.read(shapes.RedeliverToWebhookQuery)
    with session.transaction() as db:
        webhook = _find(db, webhook_id)
        if webhook.disabled_at is not None:
            raise problems.Problem(
                problem_types.WEBHOOK_DISABLED, "Enable the webhook first: nothing is sent to it now."
            )
        since = [Delivery.created_at >= wanted.since] if wanted.since is not None else []
    return delivery_views.redeliver(wanted.only, Delivery.webhook_id == webhook.id, *since)


def _issued(db: Session, webhook_id: uuid.UUID) -> Issued:
    """Find a webhook for whoever repeats the request that made it or its secret: by now it may have another one."""
    return _find(db, str(webhook_id)), None


def _sealed(do: Any) -> once.Effect[Issued]:
    try:
        effect: once.Effect[Issued] = do()
    except vault.NoKeyError as error:
        raise problems.Problem(
            problem_types.NO_ENCRYPTION_KEY, "This server has no ENCRYPTION_KEYS to keep the secret under."
        ) from error
    return effect


def _find(db: Session, webhook_id: str) -> Webhook:
    try:
        identity = uuid.UUID(webhook_id)
    except ValueError:
        return _there(None)
    return _there(webhooks.find(db, identity, organisation_id=auth.caller().organisation_id))


Found = TypeVar("Found")


def _there(found: Found | None) -> Found:
    if found is None:
        raise problems.Problem(problem_types.NOT_FOUND, "There is no webhook with this id.")
    return found


def _lane(url: str) -> str:
    """Return the lane of a URL that messages may be sent to, as far as it can be judged without asking what its name means."""
    allow_private = settings.load().deliver_to_private
    try:
        return receivers.lane_of_url(auth.caller().organisation_id, url, allow_private=allow_private)
    except addresses.RefusedError as error:
        raise problems.refused(problems.FieldError("#/url", error.code, error.detail)) from error
