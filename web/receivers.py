"""Judges who is to get the result of a report, as far as only the database and the settings can tell."""

import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from analytics.catalogue import row_filters
from analytics.catalogue.filters import Filter, Op
from models import settings, webhooks
from models.base import Json
from web import problems
from web.delivery_schemas import Burst, EmailReceiver, FileReceiver, Receiver, WebhookReceiver
from web.problems import FieldError
from workers.deliveries import folders

# The endings that a name gets which says none.
DEFAULT_NAME = "{type}-{date}-{id}"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked for: which columns its answer has, says what receivers' filters may name."""

    type: str
    params: Mapping[str, Any]
    timezone: str


def check(
    db: Session,
    organisation_id: uuid.UUID,
    receivers: Sequence[Receiver],
    question: Question,
    *,
    base: str = "/deliveries",
) -> list[Json]:
    """Return the receivers as they are kept: canonical, with defaults filled in.

    Raises:
        problems.Problem: a filter does not suit the columns of the result, a webhook is not the organisation's, a folder is
            not open, or no e-mail is sent from here.
    """
    wrong = [
        error
        for number, receiver in enumerate(receivers)
        for error in (
            *_errors(db, organisation_id, receiver, f"#{base}/{number}"),
            *_errors_of_filter(receiver, question, f"#{base}/{number}"),
        )
    ]
    if wrong:
        raise problems.refused(*wrong)
    return [_canonical(receiver) for receiver in receivers]


def obstacle(db: Session, organisation_id: uuid.UUID, receiver: Receiver) -> str | None:
    """Say why nothing can be sent to a receiver as things stand now; None: it can."""
    wrong = next(_errors(db, organisation_id, receiver, ""), None)
    if wrong is not None or not isinstance(receiver, WebhookReceiver):
        return None if wrong is None else wrong.detail
    webhook = webhooks.find(db, receiver.webhook_id, organisation_id=organisation_id)
    return "The webhook is disabled." if webhook is not None and webhook.disabled_at is not None else None


def _canonical(receiver: Receiver) -> Json:
    kept = receiver.model_dump(mode="json")
    if isinstance(receiver, FileReceiver) and receiver.name is None:
        kept["name"] = f"{DEFAULT_NAME}.{receiver.format}"
    return kept


def _errors(db: Session, organisation_id: uuid.UUID, receiver: Receiver, pointer: str) -> Iterator[FieldError]:
    match receiver:
        case EmailReceiver():
            if settings.load().smtp_host is None or settings.load().mail_from is None:
                detail = "This server sends no e-mail: SMTP_HOST and MAIL_FROM are not set."
                yield FieldError(f"{pointer}/channel", "no-e-mail", detail)
        case WebhookReceiver():
            if webhooks.find(db, receiver.webhook_id, organisation_id=organisation_id) is None:
                yield FieldError(f"{pointer}/webhook_id", "unknown-webhook", "There is no webhook with this id.")
        case FileReceiver():
            yield from _errors_of_file(organisation_id, receiver, pointer)


def _errors_of_filter(receiver: Receiver, question: Question, pointer: str) -> Iterator[FieldError]:
    if isinstance(receiver, WebhookReceiver):
        return
    burst = receiver.burst if isinstance(receiver, EmailReceiver) else None
    if receiver.filter is None and burst is None:
        return
    try:
        known = row_filters.kinds(question.type, question.params)
    except row_filters.UnfitError as error:
        yield FieldError(f"{pointer}/{'filter' if burst is None else 'burst'}", "not-divisible", str(error))
        return
    if known is None:
        return
    if receiver.filter is not None:
        for misfit in row_filters.misfits(receiver.filter, known, zone=question.timezone):
            yield FieldError(f"{pointer}/filter{misfit.path}", misfit.code, misfit.detail)
    if burst is not None:
        yield from _errors_of_burst(burst, known, question, f"{pointer}/burst")


def _errors_of_burst(burst: Burst, known: row_filters.Kinds, question: Question, pointer: str) -> Iterator[FieldError]:
    for value in burst.recipients:
        leaf = Filter(column=burst.column, op=Op.EQ, value=value)
        for misfit in row_filters.misfits(leaf, known, zone=question.timezone):
            if misfit.code == "unknown-column":
                yield FieldError(f"{pointer}/column", misfit.code, misfit.detail)
                return
            place = value.replace("~", "~0").replace("/", "~1")
            yield FieldError(f"{pointer}/recipients/{place}", misfit.code, misfit.detail)


def _errors_of_file(organisation_id: uuid.UUID, receiver: FileReceiver, pointer: str) -> Iterator[FieldError]:
    try:
        folders.parse(receiver.url, roots=settings.load().delivery_roots, organisation_id=organisation_id)
    except folders.RefusedError as error:
        yield FieldError(f"{pointer}/url", "bad-folder", str(error))
    if receiver.name is not None:
        try:
            folders.check_template(receiver.name)
        except folders.RefusedError as error:
            yield FieldError(f"{pointer}/name", "bad-name", str(error))
