"""Can deliveries be made, safely, and do they arrive?"""

from collections.abc import Iterator

import sqlalchemy.exc

from models import alerts, delivery_figures, session
from models.settings import Settings
from workers.doctor.finding import Check, Finding, Look, Verdict, judge_all
from workers.doctor.of_settings import is_local

# Beat asks for a sender every few seconds.
LATE_SECONDS = 120.0


def examine(configured: Settings) -> list[Finding]:
    """Judge the settings."""
    return judge_all(CHECKS, configured)


def examine_outbox() -> list[Finding]:
    """Judge what is in the outbox, what was given up lately, and whether alerts are evaluated."""
    try:
        with session.transaction() as db:
            return [*_of_outbox(delivery_figures.read(db)), _of_alerts(alerts.figures(db))]
    except sqlalchemy.exc.SQLAlchemyError:
        # That the database does not answer, or has no schema, is said by its own checks.
        return []


def _of_outbox(figures: delivery_figures.DeliveryFigures) -> Iterator[Finding]:
    waiting = sum(count for (_, status), count in figures.counts.items() if status == "pending")
    seen = f"{waiting} wait, the longest overdue for {figures.oldest_due or 0:.0f} s"
    if (figures.oldest_due or 0.0) <= LATE_SECONDS:
        yield Finding("outbox", Verdict.OK, seen)
    else:
        why = "Nobody is told of what has happened."
        yield Finding("outbox", Verdict.WARNING, seen, why=why, remedy="Start a worker with -Q deliveries, or more.")
    failed = f"{figures.failed_lately} given up in the last day"
    if figures.failed_lately:
        remedy = "See `GET /v1/deliveries?status=failed` or `reckoner webhooks deliveries --status failed`."
        yield Finding(
            "deliveries", Verdict.WARNING, failed, why="Somebody did not get what they asked for.", remedy=remedy
        )
    else:
        yield Finding("deliveries", Verdict.OK, failed)


def _of_alerts(figures: alerts.Figures) -> Finding:
    seen = f"{figures.states[alerts.BROKEN]} cannot be evaluated; {figures.due} slots wait, for {figures.oldest_due or 0:.0f} s"
    if (figures.oldest_due or 0.0) <= LATE_SECONDS:
        return Finding("alerts", Verdict.OK, seen)
    why = "Nobody is told that a figure has crossed its line."
    return Finding(
        "alerts", Verdict.WARNING, seen, why=why, remedy="Start a worker with -Q deliveries; its log says more."
    )


def _encryption_keys(configured: Settings) -> Look:
    if configured.encryption_keys is not None:
        return Look(False, "set")
    if configured.uses_embedded_database:
        return Look(False, "made by `reckoner up`")
    return Look(True, "ENCRYPTION_KEYS is not set")


def _private_receivers(configured: Settings) -> Look:
    opened = configured.deliver_to_private and not configured.uses_embedded_database
    return Look(opened, "DELIVER_TO_PRIVATE is on" if configured.deliver_to_private else "closed")


def _mail_sender(configured: Settings) -> Look:
    missing = configured.smtp_host is not None and configured.mail_from is None
    return Look(missing, "MAIL_FROM is not set" if missing else configured.mail_from or "no e-mail is sent")


def _mail_connection(configured: Settings) -> Look:
    opened = configured.smtp_security == "none" and not is_local(configured.smtp_host)
    return Look(opened, f"SMTP_SECURITY={configured.smtp_security}")


CHECKS: tuple[Check[Settings], ...] = (
    Check(
        subject="keys for secrets",
        look=_encryption_keys,
        why="No webhook can be made, because its secret could not be kept.",
        remedy="Make one with `reckoner webhooks new-key`, and set ENCRYPTION_KEYS for web and workers alike.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="private receivers",
        look=_private_receivers,
        why="Whoever may make a webhook can reach servers of the network that Reckoner runs in.",
        remedy="Unset DELIVER_TO_PRIVATE: it is for local use.",
    ),
    Check(
        subject="sender of e-mails",
        look=_mail_sender,
        why="No e-mail is sent without one.",
        remedy="Set MAIL_FROM.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="connection to the mail server",
        look=_mail_connection,
        why="Reports, and the password if there is one, travel where others can read them.",
        remedy="Set SMTP_SECURITY to starttls or tls.",
    ),
)
