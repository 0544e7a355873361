"""Reports by e-mail, taken by a real mail server and read as a mail program would read them."""

import email
import email.policy
import io
import ssl
import uuid
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from sqlalchemy import select

from models import outbox, session, settings, transitions
from models.api_key import Scope
from models.delivery import Channel, Delivery, DeliveryStatus
from models.job_states import JobKind
from models.outbox import EventType, Target
from models.result import StoredResult
from tests.integration import certificates, mail_server, web_api
from tests.integration.mail_server import Mailbox
from tests.integration.web_api import Caller
from workers.deliveries import by_email, receivers, sending

CHART = {
    "title": "Customers by segment",
    "spec": {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"values": [{"segment": "Champions", "n": 3}, {"segment": "Lost", "n": 1}]},
        "mark": "bar",
        "encoding": {"x": {"field": "n", "type": "quantitative"}, "y": {"field": "segment", "type": "nominal"}},
    },
}
ROWS = pa.table({"customer": ["<b>Ada</b>", "=1+1"], "orders": [3, 1]})


def report(caller: Caller, *wanted: dict[str, Any], table: pa.Table = ROWS, **header: Any) -> uuid.UUID:
    """Finish a report that is to be delivered."""
    with session.transaction() as db:
        job = transitions.accept(
            db,
            transitions.NewJob(
                organisation_id=caller.organisation_id,
                kind=JobKind.REPORT,
                type="rfm",
                params={},
                queue="reports",
                label="Naïve",
                deliveries=receivers.expand(caller.organisation_id, wanted),
            ),
        )
    web_api.finish(str(job.id), table, header={**_header(table), **header})
    return job.id


def _header(table: pa.Table) -> dict[str, Any]:
    return {
        "type": "rfm",
        "version": 1,
        "title": "RFM",
        "definition": "What the test says.",
        "source": "None.",
        "params": {},
        "columns": [
            {"name": "customer", "type": "text", "unit": None, "description": "Who"},
            {"name": "orders", "type": "integer", "unit": None, "description": "How many"},
        ],
        "row_count": table.num_rows,
        "summary": {"customers": 4, "as_of": "2026-11-22"},
        "charts": [CHART],
        "warnings": [{"code": "few-rows", "detail": "There are <few> rows."}],
        "dropped": {},
        "invariants": [],
        "manifest": None,
    }


def of(job_id: uuid.UUID) -> list[Delivery]:
    with session.transaction() as db:
        return list(db.scalars(select(Delivery).where(Delivery.job_id == job_id).order_by(Delivery.id)))


def test_a_report_arrives_with_its_chart_its_files_and_its_words(caller: Caller, mailbox: Mailbox) -> None:
    job_id = report(caller, {"channel": "email", "to": ["ada@example.com"], "formats": ["xlsx", "csv"]})
    sending.send_due()
    [delivery] = of(job_id)
    assert (delivery.status, delivery.error) == ("succeeded", None)
    [message] = mailbox.messages
    assert mailbox.recipients == ["ada@example.com"]
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Naïve"
    assert message["From"] == "Reckoner <reports@example.com>"
    assert message["Message-ID"] == f"<{delivery.id}@example.com>"
    assert message["Auto-Submitted"] == "auto-generated"
    text = message.get_body(("plain",))
    page = message.get_body(("html",))
    assert text is not None
    assert page is not None
    for word in ("customers: 4", "few-rows", "Open the report: https://reckoner.example.com/v1/downloads/"):
        assert word in text.get_content()
    shown = page.get_content()
    assert "There are &lt;few&gt; rows." in shown
    assert "&lt;b&gt;Ada&lt;/b&gt;" in shown
    [picture] = [part for part in message.walk() if part.get_content_type() == "image/png"]
    assert picture.get_content()[:8] == b"\x89PNG\r\n\x1a\n"
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in shown
    assert picture.get_content_disposition() == "inline"
    book, lines = message.iter_attachments()
    assert openpyxl.load_workbook(io.BytesIO(book.get_content())).sheetnames
    assert str(book.get_filename()).startswith("rfm-")
    assert "'=1+1" in lines.get_content()


def test_each_has_a_delivery_of_their_own_and_only_who_was_missed_gets_it_again(
    caller: Caller, mailbox: Mailbox
) -> None:
    mailbox.refusals["bob@example.com"] = "550 no such user"
    job_id = report(caller, {"channel": "email", "to": ["ada@example.com", "bob@example.com"]})
    sending.send_due()
    status = {one.target["to"]: (one.status, one.error) for one in of(job_id)}
    assert status == {
        "ada@example.com": ("succeeded", None),
        "bob@example.com": ("failed", "The mail server answered 550."),
    }
    mailbox.refusals.clear()
    assert caller.post(f"/v1/reports/{job_id}/redeliver?only=failed").json == {"count": 1, "withdrawn": 0}
    sending.send_due()
    assert mailbox.recipients == ["ada@example.com", "bob@example.com"]
    assert {one.status for one in of(job_id)} == {"succeeded"}


def test_what_may_pass_is_tried_again_under_the_same_message_id(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sending, "WAITS_SECONDS", (0.0,) * 9)
    mailbox.answers.append("451 try later")
    job_id = report(caller, {"channel": "email", "to": ["ada@example.com"]})
    while not mailbox.messages:
        sending.send_due()
    [delivery] = of(job_id)
    assert (delivery.status, delivery.attempts) == ("succeeded", 2)
    assert mailbox.messages[0]["Message-ID"] == f"<{delivery.id}@example.com>"


def test_what_is_too_large_is_named_and_not_sent(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ATTACHMENT_BYTES", "300")
    settings.load.cache_clear()
    report(caller, {"channel": "email", "to": ["ada@example.com"], "formats": ["xlsx", "csv"]})
    sending.send_due()
    [message] = mailbox.messages
    assert [str(part.get_filename()).rpartition(".")[2] for part in message.iter_attachments()] == ["csv"]
    text = message.get_body(("plain",))
    assert text is not None
    assert "Too large to be attached: rfm-" in text.get_content()


def test_a_result_that_is_gone_is_not_waited_for(caller: Caller, mailbox: Mailbox) -> None:
    job_id = report(caller, {"channel": "email", "to": ["ada@example.com"]})
    with session.transaction() as db:
        db.delete(db.get_one(StoredResult, job_id))
    sending.send_due()
    [delivery] = of(job_id)
    assert (delivery.status, delivery.error, delivery.attempts) == ("failed", "The result is not kept any more.", 1)
    assert mailbox.messages == []


def test_a_failed_report_is_told_to_who_asked_for_that(caller: Caller, mailbox: Mailbox) -> None:
    wanted = receivers.expand(
        caller.organisation_id,
        [
            {"channel": "email", "to": ["ada@example.com"], "on": ["failed"]},
            {"channel": "email", "to": ["bob@example.com"]},
        ],
    )
    with session.transaction() as db:
        job = transitions.accept(
            db,
            transitions.NewJob(
                organisation_id=caller.organisation_id,
                kind=JobKind.REPORT,
                type="rfm",
                params={},
                queue="reports",
                deliveries=wanted,
            ),
        )
    started = web_api.start(str(job.id))
    with session.transaction() as db:
        assert transitions.time_out(db, started, 60)
    sending.send_due()
    [message] = mailbox.messages
    assert message["To"] == "ada@example.com"
    assert message["Subject"] == "Reckoner: rfm report failed"
    assert "The job ran too long" in message.get_content()


@pytest.mark.parametrize("evil", ["ada@example.com\r\nBcc: eve@example.com", "a@example.com\nX: 1"])
def test_an_address_cannot_end_its_header(caller: Caller, mailbox: Mailbox, evil: str) -> None:
    targets = [Target(Channel.EMAIL, "email", {"to": evil, "formats": []}, on=("paused",))]
    with session.transaction() as db:
        outbox.record(db, caller.organisation_id, EventType.SCHEDULE_PAUSED, {"id": "1"}, targets=targets)
    sending.send_due()
    with session.transaction() as db:
        mine = Delivery.organisation_id == caller.organisation_id
        [delivery] = db.scalars(select(Delivery).where(mine, Delivery.event_type == "schedule.paused"))
    assert (delivery.status, mailbox.messages) == (DeliveryStatus.FAILED, [])


def test_a_subject_is_one_line() -> None:
    delivery = Delivery(id=uuid.uuid4(), target={"to": "ada@example.com"})
    message = by_email.compose(delivery, by_email.Content("A\r\nBcc: eve@example.com", "text"), sender="r@example.com")
    assert message["Subject"] == "A Bcc: eve@example.com"
    assert message["Bcc"] is None


ENCODED = "=?utf-8?q?Q3=0d=0aBcc:_eve@example.com=0d=0aContent-Type:_text/html=0d=0a=0d=0a<b>Pay</b>?="


@pytest.mark.parametrize("text", [ENCODED, f"Yours {ENCODED} truly", f"é {ENCODED}", "=\x00?utf-8?q?a=0d=0aBcc:_b?="])
def test_an_encoded_word_in_a_subject_is_text(text: str) -> None:
    delivery = Delivery(id=uuid.uuid4(), target={"to": "ada@example.com"})
    sent = by_email.compose(delivery, by_email.Content(text, "The report."), sender="r@example.com").as_bytes()
    got = email.message_from_bytes(sent, policy=email.policy.default)
    assert (got["Bcc"], got.get_content_type(), got["X-Reckoner-Delivery"]) == (None, "text/plain", str(delivery.id))
    assert "utf-8?q?" in got["Subject"]
    assert got.get_content().strip() == "The report."


def test_an_address_holds_no_encoded_word(caller: Caller) -> None:
    address = "=?utf-8?q?a=0d=0aBcc=3a_eve?=@example.com"
    delivery = Delivery(id=uuid.uuid4(), target={"to": address})
    with pytest.raises(ValueError, match="none that mail can be sent to"):
        by_email.compose(delivery, by_email.Content("A", "text"), sender="r@example.com")
    asked = {"type": "rfm", "deliveries": [{"channel": "email", "to": [address]}]}
    assert caller.post("/v1/reports", asked).status_code == 422


def test_the_connection_is_protected_before_the_password_is_told(
    caller: Caller, mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = certificates.make(tmp_path / "mail", "localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(made.certificate, made.key)
    with mail_server.receiving(starttls=context, password="right") as box:
        for name, value in {"HOST": "localhost", "PORT": str(box.port), "SECURITY": "starttls"}.items():
            monkeypatch.setenv(f"SMTP_{name}", value)
        monkeypatch.setenv("SMTP_USER", "reckoner")
        monkeypatch.setenv("SMTP_PASSWORD", "right")
        settings.load.cache_clear()
        job_id = report(caller, {"channel": "email", "to": ["ada@example.com"]})
        sending.send_due()
        [delivery] = of(job_id)
        # Nobody has vouched for this certificate.
        assert "SSLCertVerificationError" in (delivery.error or "")
        assert box.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(made.certificate))
        assert by_email.send(delivery).succeeded
        assert box.logins == [("reckoner", "right")]
        assert len(box.messages) == 1


def test_who_gets_a_report_is_said_when_it_is_asked_for(caller: Caller, mailbox: Mailbox) -> None:
    web_api.give_dataset(caller)
    asked = {"type": "rfm", "deliveries": [{"channel": "email", "to": ["ada@example.com"], "subject": "Yours"}]}
    job_id = caller.post("/v1/reports", asked).json["id"]
    # Somebody else's job for the same answer would tell nobody.
    assert caller.post("/v1/reports", asked).json["id"] != job_id
    web_api.finish(job_id, ROWS, header=_header(ROWS))
    sending.send_due()
    [message] = mailbox.messages
    assert message["Subject"] == "Yours"
    only_reports = web_api.another_key(caller, Scope.REPORTS_WRITE)
    assert only_reports.post("/v1/reports", asked).status_code == 403


@pytest.mark.parametrize(
    ("receiver", "pointer", "code"),
    [
        ({"channel": "email", "to": ["ada"]}, "/to/0", "string-pattern-mismatch"),
        ({"channel": "email", "to": ["a@example.com\nBcc: b@example.com"]}, "/to/0", "string-pattern-mismatch"),
        ({"channel": "email", "to": []}, "/to", "too-short"),
        ({"channel": "email", "to": ["a@example.com"], "subject": "a\nb"}, "/subject", "string-pattern-mismatch"),
        ({"channel": "email", "to": ["a@example.com"], "formats": ["exe"]}, "/formats/0", "literal-error"),
        ({"channel": "webhook", "webhook_id": str(uuid.uuid4())}, "/webhook_id", "unknown-webhook"),
        ({"channel": "file", "url": "/etc"}, "/url", "bad-folder"),
        ({"channel": "file", "url": "/etc", "name": "../x"}, "/url", "bad-folder"),
        ({"channel": "file", "url": "/etc", "on": ["failed"]}, "/on/0", "literal-error"),
        ({"channel": "pigeon"}, "", "union-tag-invalid"),
    ],
)
def test_receivers_that_cannot_be(
    caller: Caller, mailbox: Mailbox, receiver: dict[str, Any], pointer: str, code: str
) -> None:
    web_api.give_dataset(caller)
    refused = caller.post("/v1/reports", {"type": "rfm", "deliveries": [receiver]})
    assert refused.status_code == 422
    first = refused.json["errors"][0]
    assert (first["pointer"], first["code"]) == (f"#/deliveries/0{pointer}", code)
