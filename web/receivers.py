"""Judges who is to get the result of a report, as far as only the database and the settings can tell."""

import uuid
from collections.abc import Iterator, Sequence

from sqlalchemy.orm import Session

from models import settings, webhooks
from models.base import Json
from web import problems
from web.delivery_schemas import EmailReceiver, FileReceiver, Receiver, WebhookReceiver
from web.problems import FieldError
from workers.deliveries import folders

# The endings that a name gets which says none.
DEFAULT_NAME = "{type}-{date}-{id}"


def check(
    db: Session, organisation_id: uuid.UUID, receivers: Sequence[Receiver], *, base: str = "/deliveries"
) -> list[Json]:
    """Return the receivers as they are kept: canonical, with defaults filled in.

    Raises:
        problems.Problem: a webhook is not the organisation's, a folder is not open, or no e-mail is sent from here.
    """
    wrong = [
        error
        for number, receiver in enumerate(receivers)
        for error in _errors(db, organisation_id, receiver, f"#{base}/{number}")
    ]
    if wrong:
        raise problems.refused(*wrong)
    return [_canonical(receiver) for receiver in receivers]


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
