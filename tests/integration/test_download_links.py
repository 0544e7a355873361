"""Links in e-mails: they lead to what that receiver may see, need no key, and to nothing else however they are bent."""

import base64
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from models import deliveries, erasure_traces, session, settings, tables, vault
from models.api_key import Scope
from models.delivery import Delivery, DeliveryStatus
from models.result import StoredResult
from tests.integration import schedule_hands, test_bursting, test_email_sending, web_api
from tests.integration.mail_server import Mailbox
from tests.integration.web_api import Answer, Caller
from web import limits, render_pool, request_quota
from workers.deliveries import links, sending
from workers.deliveries.links import Link

PREFIX = "https://reckoner.example.com"
ADA, GRACE, REST = "for-ada@example.com", "for-grace@example.com", "for-the-rest@example.com"
OWNERS = {ADA: "adalovelace", GRACE: "gracehopper", REST: "maryjackson"}


@pytest.fixture
def mailbox(mailbox: Mailbox) -> Iterator[Mailbox]:
    request_quota._counts_of_process.cache_clear()
    yield mailbox
    request_quota._counts_of_process.cache_clear()


@pytest.fixture(scope="module", autouse=True)
def _end_processes() -> Iterator[None]:
    yield
    render_pool.close_all()


@pytest.fixture
def _one_window(monkeypatch: pytest.MonkeyPatch) -> None:
    """No minute ends during a test."""
    monkeypatch.setattr(request_quota, "_number", lambda *_: 7)


def _get(caller: Caller, address: str, **headers: str) -> Answer:
    """Ask as a reader of mail does: without a key."""
    return caller.call("GET", address.removeprefix(PREFIX), **headers)


def _text(message: EmailMessage, kind: str = "plain") -> str:
    body = message.get_body((kind,))
    assert isinstance(body, EmailMessage)
    return str(body.get_content())


def _addresses(message: EmailMessage) -> dict[str, str]:
    found = dict(re.findall(r"^(\S.*?): (https://\S+)\r?$", _text(message), re.MULTILINE))
    shown = [address for address in found.values() if links.PATH in address]
    # Both bodies have the same.
    assert sorted(re.findall(r'href="([^"]+)"', _text(message, "html"))) == sorted(shown)
    return found


def _page(message: EmailMessage) -> str:
    return _addresses(message)["Open the report"]


def _sent(caller: Caller, *wanted: dict[str, Any]) -> uuid.UUID:
    job_id = test_email_sending.report(caller, *wanted, table=test_bursting.TABLE, **test_bursting.HEADER)
    sending.send_due()
    return job_id


def _delivery(job_id: uuid.UUID, to: str) -> Delivery:
    [found] = [one for one in test_email_sending.of(job_id) if one.target["to"] == to]
    return found


def _signed(caller: Caller, delivery: Delivery, fmt: str = "csv", **past: float) -> str:
    expires_at = datetime.now(UTC) + timedelta(**past or {"days": 1})
    return f"{links.PATH}/{links.sign(Link(caller.organisation_id, delivery.id, fmt, expires_at))}"


def _burst(**more: Any) -> dict[str, Any]:
    return {**test_bursting.BURST, "formats": [], **more}


def test_each_gets_by_their_link_what_is_theirs_in_every_format(caller: Caller, mailbox: Mailbox) -> None:
    job_id = _sent(caller, _burst())
    assert sorted(mailbox.recipients) == sorted(OWNERS)
    for message in mailbox.messages:
        mine = OWNERS[message["To"]]
        answer = _get(caller, _page(message))
        assert answer.status_code == 200, answer.text
        assert answer.content_type == "text/html; charset=utf-8"
        pages = {"html": answer.data}
        for fmt in links.FORMATS:
            pages[fmt] = _get(caller, _signed(caller, _delivery(job_id, message["To"]), fmt)).data
        attached = EmailMessage()
        attached["To"] = message["To"]
        for fmt, data in pages.items():
            attached.add_attachment(data, maintype="application", subtype="x-any", filename=f"{fmt}.{fmt}")
        for name, text in test_bursting._readable(attached).items():
            told = test_bursting._told(text)
            for other in set(test_bursting.OWNERS) - {mine}:
                assert other not in told, (mine, name)
                assert test_bursting.FIGURES[other].rstrip("0") not in told, (mine, name)
            assert test_bursting.SUM.rstrip("0") not in told, (mine, name)
            if not name.startswith("headers"):
                assert mine in told, (mine, name)


def test_whoever_gets_the_whole_gets_it_by_the_link_with_the_headers_of_a_secret(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_ATTACHMENT_BYTES", "10")
    settings.load.cache_clear()
    job_id = _sent(caller, {"channel": "email", "to": ["ada@example.com"], "formats": ["csv"]})
    [message] = mailbox.messages
    found = _addresses(message)
    [(name, address)] = [(name, one) for name, one in found.items() if name.startswith("Download ")]
    assert re.fullmatch(r"Download rfm-\d{4}-\d\d-\d\d\.csv", name)
    assert "/v1/reports/" not in _text(message)
    answer = _get(caller, address)
    assert answer.data == caller.get(f"/v1/reports/{job_id}/result?format=csv").data
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    assert answer.headers["Content-Disposition"].startswith("attachment; filename=")
    assert '"downloads";q=60;w=60' in answer.headers["RateLimit-Policy"]
    part = _get(caller, f"{address}?utm_source=mail", Range="bytes=0-4")
    assert (part.status_code, part.data) == (206, answer.data[:5])
    kept_until = datetime.now(UTC) + timedelta(days=settings.load().download_link_days)
    assert f"Good until {kept_until.day} {kept_until:%B %Y}, " in _text(message)
    assert links.read(address.rpartition("/")[2]) == Link(
        caller.organisation_id, _delivery(job_id, "ada@example.com").id, "csv", _until(address)
    )


def _until(address: str) -> datetime:
    link = links.read(address.rpartition("/")[2])
    assert link is not None
    assert abs(link.expires_at - datetime.now(UTC) - timedelta(days=7)) < timedelta(minutes=5)
    return link.expires_at


def test_no_bent_link_leads_anywhere(caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> None:
    _sent(caller, _burst())
    ada, grace = (next(_page(one) for one in mailbox.messages if one["To"] == to) for to in (ADA, GRACE))
    ada, grace = ada.rpartition("/")[2], grace.rpartition("/")[2]
    raw, other = (base64.urlsafe_b64decode(token + "=") for token in (ada, grace))
    body = len(raw) - 32
    bent = {
        "a bit of it": [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(len(raw))],
        "another's delivery": [raw[:17] + other[17:33] + raw[33:], other[:body] + raw[body:]],
        "no signature": [raw[:body], raw[:body] + bytes(32), b"", raw + b"\0"],
    }
    tokens = [base64.urlsafe_b64encode(one).decode().rstrip("=") for many in bent.values() for one in many]
    # Another spelling of the same bytes, and of the address.
    last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".index(ada[-1])
    tokens += [ada[:-1] + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"[last ^ 1]]
    tokens += [f"{ada}=", f" {ada}", ada.upper(), "preview", str(uuid.uuid4()), "x" * 5_000]
    for token in filter(None, tokens):
        answer = _get(caller, f"{links.PATH}/{token}")
        assert (answer.status_code, answer.json["type"]) == (404, "/docs/problems/not-found"), token
        assert answer.headers["Cache-Control"] == "private, no-store"
    assert _get(caller, f"{links.PATH}/{ada}").status_code == 200
    assert _get(caller, links.PATH).status_code == 404
    assert caller.call("POST", f"{links.PATH}/{ada}").status_code == 405
    # A link opens nothing else, neither as a key nor beside one.
    assert caller.call("GET", "/v1/reports", Authorization=f"Bearer {ada}").status_code == 401
    # A server that signs by another key has never signed this.
    monkeypatch.setenv("ENCRYPTION_KEYS", vault.new_key())
    settings.load.cache_clear()
    assert _get(caller, f"{links.PATH}/{ada}").status_code == 404


def test_a_key_that_came_before_is_good_until_it_is_dropped(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    _sent(caller, _burst())
    address = _page(mailbox.messages[0])
    old = settings.load().encryption_keys
    assert old is not None
    monkeypatch.setenv("ENCRYPTION_KEYS", f"{vault.new_key()},{old.get_secret_value()}")
    settings.load.cache_clear()
    assert _get(caller, address).status_code == 200


def test_a_link_of_another_organisation_signed_here_leads_nowhere(caller: Caller, mailbox: Mailbox) -> None:
    """Even a signature of ours, over what does not belong together, shows nobody's rows."""
    job_id = _sent(caller, _burst())
    stranger = web_api.new_caller(caller.http)
    assert _gone(_get(caller, _signed(stranger, _delivery(job_id, ADA))))


def _gone(answer: Answer) -> str:
    assert (answer.status_code, answer.json["type"]) == (410, "/docs/problems/download-gone"), answer.text
    return str(answer.json["detail"])


def test_a_link_ends_with_its_time(caller: Caller, mailbox: Mailbox) -> None:
    delivery = _delivery(_sent(caller, _burst()), ADA)
    assert "good until" in _gone(_get(caller, _signed(caller, delivery, seconds=-1)))
    assert _get(caller, _signed(caller, delivery, seconds=60)).status_code == 200


def test_a_browser_is_told_on_a_page(caller: Caller, mailbox: Mailbox) -> None:
    address = _signed(caller, _delivery(_sent(caller, _burst()), ADA), seconds=-1)
    answer = _get(caller, address, Accept="text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
    assert (answer.status_code, answer.content_type) == (410, "text/html; charset=utf-8")
    assert "The link leads nowhere any more" in answer.text
    assert "The link was good until" in answer.text
    assert "script" not in answer.text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
    for accept in ("*/*", "application/json", "application/problem+json, text/html;q=0.5"):
        assert _get(caller, address, Accept=accept).content_type == "application/problem+json"


@pytest.mark.parametrize("how", ["expired", "erased", "deleted report", "deleted delivery", "erased receiver"])
def test_a_link_ends_with_what_it_leads_to(caller: Caller, mailbox: Mailbox, how: str) -> None:
    job_id = _sent(caller, _burst())
    delivery = _delivery(job_id, ADA)
    address = _signed(caller, delivery)
    # It has been rendered, and is kept for a while: that must not outlive it.
    assert _get(caller, address).status_code == 200
    slug = "download-gone"
    if how == "deleted report":
        assert caller.delete(f"/v1/reports/{job_id}").status_code == 204
    elif how == "deleted delivery":
        assert caller.delete(f"/v1/deliveries/{delivery.id}").json == {"id": str(delivery.id), "deleted": True}
        assert caller.get(f"/v1/deliveries/{delivery.id}").status_code == 404
    else:
        with session.transaction() as db:
            if how == "expired":
                db.execute(delete(StoredResult).where(StoredResult.job_id == job_id))
                slug = "result-expired"
            elif how == "erased":
                erasure_traces.remove_result(db, job_id)
                slug = "result-erased"
            else:
                db.execute(update(Delivery).where(Delivery.id == delivery.id).values(erased_at=func.now()))
    answer = _get(caller, address)
    assert (answer.status_code, answer.json["type"]) == (410, f"/docs/problems/{slug}"), answer.text
    assert answer.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"


def test_a_link_ends_when_its_receiver_is_none_any_more(caller: Caller, mailbox: Mailbox) -> None:
    with schedule_hands.scheduled(caller, deliveries=[_burst(on=["succeeded"], if_empty="skip")]) as schedule:
        job_id = _sent(caller, _burst())
        with session.transaction() as db:
            db.execute(update(Delivery).where(Delivery.job_id == job_id).values(schedule_id=schedule.id))
        ada, grace = (_signed(caller, _delivery(job_id, to)) for to in (ADA, GRACE))
        assert [_get(caller, one).status_code for one in (ada, grace)] == [200, 200]
        # Ada is given Grace's customers: what was hers before she sees no more.
        recipients = {"gracehopper": [ADA]}
        moved = {**_burst(), "burst": {"column": "owner", "recipients": recipients, "otherwise": []}}
        schedule_hands.change(schedule, deliveries=[moved])
        for address in (ada, grace):
            assert "does not send" in _gone(_get(caller, address))
        schedule_hands.change(schedule, deliveries=[_burst()])
        assert _get(caller, grace).status_code == 200
        schedule_hands.change(schedule, deleted_at=schedule_hands.START)
        _gone(_get(caller, grace))


def test_what_is_still_being_tried_is_not_deleted(caller: Caller, mailbox: Mailbox) -> None:
    job_id = test_email_sending.report(caller, {"channel": "email", "to": ["ada@example.com"]})
    [delivery] = test_email_sending.of(job_id)
    assert delivery.status == DeliveryStatus.PENDING
    answer = caller.delete(f"/v1/deliveries/{delivery.id}")
    assert (answer.status_code, answer.json["type"]) == (409, "/docs/problems/delivery-pending")
    reader = web_api.another_key(caller, Scope.REPORTS_WRITE)
    assert reader.delete(f"/v1/deliveries/{delivery.id}").status_code == 403
    with session.transaction() as db:
        assert db.scalar(select(Delivery.status).where(Delivery.id == delivery.id)) == DeliveryStatus.PENDING
        assert not deliveries.forget(db, delivery.id)


@pytest.mark.usefixtures("_one_window")
def test_a_link_spends_a_quota_of_its_own_and_forgeries_that_of_wrong_keys(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "DOWNLOADS_PER_MINUTE", 2)
    monkeypatch.setenv("WRONG_KEYS_PER_MINUTE", "3")
    settings.load.cache_clear()
    job_id = _sent(caller, _burst())
    ada, grace = (_signed(caller, _delivery(job_id, to)) for to in (ADA, GRACE))
    assert [_get(caller, ada).status_code for _ in range(3)] == [200, 200, 429]
    answer = _get(caller, grace)
    assert (answer.status_code, answer.headers["RateLimit"].split(";")[:2]) == (200, ['"downloads"', "r=1"])
    assert 'default";r=' in caller.get("/v1/reports").headers["RateLimit"]
    forged = [_get(caller, f"{links.PATH}/{'x' * 99}").status_code for _ in range(4)]
    assert forged == [404, 404, 404, 429]


@pytest.mark.parametrize("missing", ["PUBLIC_URL", "ENCRYPTION_KEYS", "DOWNLOAD_LINK_DAYS"])
def test_without_what_they_need_there_are_no_links(
    caller: Caller, mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    monkeypatch.setenv(missing, "0" if missing == "DOWNLOAD_LINK_DAYS" else "")
    settings.load.cache_clear()
    job_id = _sent(caller, {"channel": "email", "to": ["ada@example.com"]}, _burst())
    for message in mailbox.messages:
        assert _addresses(message) == (
            {} if message["To"] in OWNERS or missing == "PUBLIC_URL" else _with_a_key(job_id)
        )


def _with_a_key(job_id: uuid.UUID) -> dict[str, str]:
    return {"The whole report, with a key that may read it": f"{PREFIX}/v1/reports/{job_id}"}


def test_a_link_is_not_good_for_longer_than_its_result_is_kept(caller: Caller, mailbox: Mailbox) -> None:
    job_id = test_email_sending.report(caller, {"channel": "email", "to": ["ada@example.com"]})
    soon = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    with session.transaction() as db:
        db.execute(update(StoredResult).where(StoredResult.job_id == job_id).values(expires_at=soon))
        db.execute(update(tables.Job).where(tables.Job.id == job_id).values(expires_at=soon))
    sending.send_due()
    [message] = mailbox.messages
    link = links.read(_page(message).rpartition("/")[2])
    assert link is not None
    assert link.expires_at == soon
