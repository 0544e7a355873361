"""What an erasure takes out of what an organisation has set or named: webhooks, API keys, its contact, keys of requests."""

from functools import partial

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from analytics.datasets.mentions import Mention
from models import deliveries, erasure, erasure_receivers, session
from models.delivery import Delivery
from models.erasure import Journal, Receivers
from models.webhook import Webhook
from workers.lake_jobs import erasing_targets
from workers.running_job import RunningJob

WHY_DISABLED = "Its URL named somebody who has been erased."


def named(job: RunningJob, mention: Mention) -> Receivers:
    """Return what names the person; changes nothing."""
    with session.transaction() as db:
        found = _redact(db, job, mention)
        db.rollback()
    return found


def redact(job: RunningJob, mention: Mention) -> None:
    """Let them forget the person. A webhook whose URL named them is disabled: it would not reach whom it was made for."""
    with session.transaction() as db:
        found = _redact(db, job, mention)
        if found != Receivers():
            erasure.note(db, job.id, partial(Journal.take_receivers, named=found))


def _redact(db: Session, job: RunningJob, mention: Mention) -> Receivers:
    every = erasure_receivers.webhooks(db, job.organisation_id)
    webhooks = tuple(one.id for one in every if _redact_webhook(db, one, mention))
    keys = [one for one in erasure_receivers.api_keys(db, job.organisation_id) if mention.is_in(one.name)]
    for key in keys:
        key.name = mention.mask(key.name)
    organisation = erasure_receivers.organisation(db, job.organisation_id)
    contact = organisation.contact_email
    is_named = contact is not None and erasing_targets.url_names(contact, mention)
    if is_named:
        # A part of an address is none.
        organisation.contact_email = None
    requests = erasure_receivers.request_keys(db, job.organisation_id, mention.needles)
    theirs = [key for key in requests if mention.may_be_in(key)]
    removed = erasure_receivers.forget_request_keys(db, job.organisation_id, theirs) if theirs else 0
    return Receivers(webhooks, tuple(key.id for key in keys), removed, is_named)


def _redact_webhook(db: Session, webhook: Webhook, mention: Mention) -> bool:
    members = {name: getattr(webhook, name) for name in ("lane", "description", "disabled_reason")}
    values = {name: mention.mask(value) for name, value in members.items() if mention.is_anywhere_in(value)}
    for name, value in values.items():
        setattr(webhook, name, value)
    if not erasing_targets.url_names(webhook.url, mention):
        return bool(values)
    webhook.url = erasing_targets.masked_url(webhook.url, mention)
    if webhook.disabled_at is None:
        webhook.disabled_at, webhook.disabled_reason = db.scalars(select(func.now())).one(), WHY_DISABLED
    deliveries.cancel(db, Delivery.webhook_id == webhook.id, why=WHY_DISABLED)
    return True
