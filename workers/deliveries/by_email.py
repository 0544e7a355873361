"""Sends a delivery by SMTP: a report with its chart and its files, or a notice of something that happened."""

import dataclasses
import email.message
import email.policy
import email.utils
import smtplib
import socket
import ssl
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from models import settings
from models.deliveries import Attempted
from models.delivery import Delivery
from models.settings import Settings
from workers.deliveries import alert_letters, links, rendering
from workers.deliveries.rendering import GoneError, Report

if TYPE_CHECKING:
    from analytics.render.letter import Letter

TIMEOUT_SECONDS = 20.0
PICTURES_SHOWN = 3
LONGEST_SUBJECT = 150
# How an encoded word begins: `=?utf-8?q?…?=`.
ENCODED_WORD = "=?"
# Control characters, half pairs, ends of lines and paragraphs.
NOT_SHOWN = frozenset({"Cc", "Cs", "Zl", "Zp"})
PERMANENT = 500
MEDIA_TYPES = {
    "csv": ("text", "csv"),
    "json": ("application", "json"),
    "ndjson": ("application", "x-ndjson"),
    "html": ("text", "html"),
    "pdf": ("application", "pdf"),
    "parquet": ("application", "vnd.apache.parquet"),
    "xlsx": ("application", "vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
}


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a message: its words, and its files by name."""

    subject: str
    text: str
    html: str | None = None
    pictures: Sequence[tuple[str, bytes]] = ()
    files: Sequence[tuple[str, str, bytes]] = field(default=())
    """Name, format and bytes of each attachment."""


def send(delivery: Delivery) -> Attempted:
    """Make one attempt."""
    configured = settings.load()
    if configured.smtp_host is None or configured.mail_from is None:
        return Attempted(succeeded=False, error="This server sends no e-mail: SMTP_HOST and MAIL_FROM are not set.")
    try:
        message = compose(delivery, _content(delivery, configured), sender=configured.mail_from)
    except rendering.EmptyError:
        return rendering.SKIPPED
    except (GoneError, ValueError) as error:
        return Attempted(succeeded=False, error=str(error), permanent=True)
    return _hand_over(message, configured, configured.smtp_host)


def _hand_over(message: email.message.EmailMessage, configured: Settings, host: str) -> Attempted:
    try:
        with _connected(configured, host) as server:
            server.send_message(message)
    except smtplib.SMTPRecipientsRefused as error:
        code, words = next(iter(error.recipients.values()))
        return _refused(code, words, permanent=code >= PERMANENT)
    except smtplib.SMTPDataError as error:
        return _refused(error.smtp_code, error.smtp_error, permanent=error.smtp_code >= PERMANENT)
    except smtplib.SMTPResponseException as error:
        # Before the recipient was named: it is about us, and whoever runs this server can mend it.
        return _refused(error.smtp_code, error.smtp_error, permanent=False)
    except (smtplib.SMTPException, OSError) as error:
        return Attempted(succeeded=False, error=f"The mail server was not reached: {type(error).__name__}: {error}")
    return Attempted(succeeded=True, status_code=250)


def compose(delivery: Delivery, content: Content, *, sender: str) -> email.message.EmailMessage:
    """Put a message together. Its id is the delivery's, so that two copies can be known as one.

    Raises:
        ValueError: an address or the subject would end its header.
    """
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = sender
    if ENCODED_WORD in delivery.target["to"]:
        raise ValueError("The address is none that mail can be sent to.")
    message["To"] = delivery.target["to"]
    message["Subject"] = _one_line(content.subject)
    message["Date"] = email.utils.localtime()
    domain = email.utils.parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["Message-ID"] = f"<{delivery.id}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["X-Reckoner-Delivery"] = str(delivery.id)
    message.set_content(content.text)
    if content.html is not None:
        message.add_alternative(content.html, subtype="html")
        page = message.get_body(("html",))
        for cid, picture in content.pictures:
            if isinstance(page, email.message.EmailMessage):
                page.add_related(picture, "image", "png", cid=f"<{cid}>", disposition="inline", filename=f"{cid}.png")
    for name, fmt, data in content.files:
        main, sub = MEDIA_TYPES[fmt]
        message.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return message


def _one_line(text: str) -> str:
    """Return text as it may stand in a header, whoever chose it.

    The standard library decodes an encoded word that it finds in what is to be a header, and sends the line breaks in it.
    """
    printable = "".join(" " if unicodedata.category(sign) in NOT_SHOWN else sign for sign in text)
    return " ".join(printable.split()).replace(ENCODED_WORD, "= ?")[:LONGEST_SUBJECT]


def _content(delivery: Delivery, configured: Settings) -> Content:
    if delivery.event_type in alert_letters.EVENTS:
        return _alert(delivery, configured)
    if delivery.event_type != "report.succeeded":
        return _notice(delivery, configured)
    report = rendering.load(delivery)
    return _letter(delivery, report, configured)


def _alert(delivery: Delivery, configured: Settings) -> Content:
    """Tell of an alert; of one that fires with the report it was seen in."""
    path = (delivery.payload["data"].get("links") or {}).get("self")
    address = _address(configured, path) if path and delivery.filter is None else None
    subject, report = alert_letters.subject(delivery), alert_letters.report(delivery)
    if report is None:
        written = alert_letters.alone(delivery, address)
        return Content(subject, written.text, written.html)
    with_report = _letter(delivery, report, configured, lead=alert_letters.lead(delivery, address))
    return dataclasses.replace(with_report, subject=subject)


def _letter(delivery: Delivery, report: Report, configured: Settings, *, lead: "Letter | None" = None) -> Content:
    from analytics.render import letter  # noqa: PLC0415 - heavy

    charts = report.header["charts"][:PICTURES_SHOWN]
    drawn = [(f"chart-{number}", rendering.picture(report, number)) for number in range(len(charts))]
    files, left_out = _files(delivery, report, configured.mail_attachment_bytes)
    offered = links.offered(delivery, report.stored.expires_at, left_out)
    enclosed = letter.Enclosed(
        pictures=[(chart["title"], cid) for chart, (cid, _) in zip(charts, drawn, strict=True)],
        attached=[name for name, _, _ in files],
        left_out=left_out,
        links=offered.named,
        links_until=offered.until,
        # Whoever sees a part is not led to the whole.
        address=None if report.filter is not None else _address(configured, f"/v1/reports/{report.job.id}"),
    )
    title = report.title
    written = letter.compose(title, report.header, rendering.first_rows(report, letter.ROWS_SHOWN), enclosed, lead=lead)
    subject = str(delivery.target.get("subject") or title)
    return Content(subject, written.text, written.html, pictures=drawn, files=files)


def _files(delivery: Delivery, report: Report, most_bytes: int) -> tuple[list[tuple[str, str, bytes]], list[str]]:
    """Render the wanted formats; what is too large for a message, together with those before it, is only named."""
    files: list[tuple[str, str, bytes]] = []
    left_out: list[str] = []
    for fmt in delivery.target.get("formats") or ():
        name = f"{report.job.type}-{report.job.finished_at:%Y-%m-%d}.{fmt}"
        size = rendering.size(report, fmt)
        if size <= most_bytes:
            most_bytes -= size
            files.append((name, fmt, rendering.rendered(report, fmt)))
        else:
            left_out.append(name)
    return files, left_out


def _notice(delivery: Delivery, configured: Settings) -> Content:
    """Tell of an event in a few lines; it has no figures."""
    about = delivery.payload["data"]
    what = (
        about.get("label") or about.get("type") or about.get("channel") or about.get("url") or about.get("name") or ""
    )
    error = about.get("error")
    why = error.get("title") if isinstance(error, dict) else error or about.get("reason")
    link = (about.get("links") or {}).get("self") if delivery.filter is None else None
    lines = [
        f"{delivery.event_type} at {delivery.payload['timestamp']}",
        str(what),
        str(why or ""),
        f"Id: {about.get('id')}",
        (_address(configured, link) or link) if link else "",
    ]
    title = " ".join(part for part in (str(what), delivery.event_type.replace(".", " ")) if part)
    return Content(f"Reckoner: {title}", "\n".join(line for line in lines if line) + "\n")


def _address(configured: Settings, path: str) -> str | None:
    return None if configured.public_url is None else configured.public_url.rstrip("/") + path


@contextmanager
def _connected(configured: Settings, host: str) -> Iterator[smtplib.SMTP]:
    context = ssl.create_default_context()
    # The system's full name is a question to DNS, which may take long; that of the machine is as good.
    name = socket.gethostname()
    if configured.smtp_security == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            host, configured.smtp_port, local_hostname=name, timeout=TIMEOUT_SECONDS, context=context
        )
    else:
        server = smtplib.SMTP(host, configured.smtp_port, local_hostname=name, timeout=TIMEOUT_SECONDS)
    with server:
        if configured.smtp_security == "starttls":
            server.starttls(context=context)
        if configured.smtp_user is not None and configured.smtp_password is not None:
            server.login(configured.smtp_user, configured.smtp_password.get_secret_value())
        yield server


def _refused(code: int, words: bytes | str, *, permanent: bool) -> Attempted:
    said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
    return Attempted(
        succeeded=False,
        error=f"The mail server answered {code}.",
        status_code=code,
        excerpt=said,
        permanent=permanent,
    )
