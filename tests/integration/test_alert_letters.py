"""Letters and files about alerts, as a real mail server takes them; and receivers with a filter who try to see others' rows."""

import io
import math
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from models import session, settings
from models.organisation import Organisation
from tests.integration import alert_hands
from tests.integration.alert_hands import declared, watched
from tests.integration.mail_server import Mailbox
from tests.integration.web_api import Caller
from workers import publisher
from workers.deliveries import sending

EACH = {"column": "net", "each": ["country"]}
ENDS = ["firing", "recovered", "broken"]
OWNERS = ("adalovelace", "gracehopper")


@pytest.fixture
def mailbox(mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch) -> Mailbox:
    monkeypatch.setattr(publisher._Broker, "away_until", math.inf)
    return mailbox


def by_email(to: str = "all@example.com", **of: Any) -> dict[str, Any]:
    return {"channel": "email", "to": [to], "formats": [], "on": ENDS, **of}


def owned_by(owner: str) -> dict[str, Any]:
    return {"column": "owner", "op": "eq", "value": owner}


def sent(mailbox: Mailbox) -> list[EmailMessage]:
    """Send what is due, and return what came since this was last asked."""
    before = len(mailbox.messages)
    sending.send_due()
    return sorted(mailbox.messages[before:], key=lambda message: str(message["To"]))


def read(message: EmailMessage) -> str:
    """Return everything in a message that can be read: both bodies, headers, and files."""
    found = [str(message.items())]
    for part in message.walk():
        if part.is_multipart():
            continue
        data = part.get_payload(decode=True)
        assert isinstance(data, bytes)
        if (part.get_filename() or "").endswith(".xlsx"):
            book = openpyxl.load_workbook(io.BytesIO(data))
            found += [str(row) for sheet in book for row in sheet.iter_rows(values_only=True)]
        else:
            found.append(data.decode("utf-8", "replace"))
    return "\n".join(found).replace("\u200b", "")


def test_a_letter_says_what_crossed_and_has_the_report(ready: Caller, mailbox: Mailbox) -> None:
    alert = declared(name="Too <low>", of=EACH, when={"below": 100})
    with watched(ready, alert, deliveries=[by_email(formats=["xlsx"])], name="By country") as one:
        one.run(alert_hands.nets(FR="500.00", GB="1200.50"), net="1700.50")
        assert sent(mailbox) == []
        one.run(alert_hands.nets(FR="99.50", GB="1200.50"), net="1300.00")
        [message] = sent(mailbox)
        assert message["Subject"] == "Alert: Too <low> (By country)"
        page = message.get_body(("html",))
        plain = message.get_body(("plain",))
        assert isinstance(page, EmailMessage)
        assert isinstance(plain, EmailMessage)
        html, text = page.get_content(), plain.get_content()
        for words in ("99.50", "net of each country: below 100", "1 row newly, 1 row now", "1,300"):
            assert words in html, words
        assert "Too &lt;low&gt;" in html
        assert f"https://reckoner.example.com/v1/schedules/{one.schedule.id}/alerts" in html
        assert "country: FR  now: 99.50" in text.splitlines()
        [file] = message.iter_attachments()
        assert (file.get_filename() or "").endswith(".xlsx")

        one.run(alert_hands.nets(FR="100.00", GB="1200.50"))
        [message] = sent(mailbox)
        assert message["Subject"] == "Recovered: Too <low> (By country)"
        assert "country: FR  now: 100.00  before: 99.50" in read(message)
        assert list(message.iter_attachments()) == []
        assert "1200" not in read(message).replace(",", "")


def test_a_letter_about_one_figure_and_about_what_is_broken(ready: Caller, mailbox: Mailbox) -> None:
    figure = declared(name="Figure", of={"summary": "totals.net"}, when={"above": 10})
    broken = declared(name="Broken", of={"summary": "totals.gross"}, when={"above": 10})
    with watched(ready, figure, broken, deliveries=[by_email()]) as one:
        one.run(alert_hands.nets(FR="1.00"), totals={"net": "10.01"})
        messages = {str(message["Subject"]).partition(" (")[0]: read(message) for message in sent(mailbox)}
        assert set(messages) == {"Alert: Figure", "Cannot be evaluated: Broken"}
        assert "totals net: above 10" in messages["Alert: Figure"]
        assert "totals.gross" in messages["Cannot be evaluated: Broken"]


def test_a_letter_about_a_report_that_failed_comes_without_it(ready: Caller, mailbox: Mailbox, tmp_path: Path) -> None:
    to_file = {"channel": "file", "url": str(tmp_path), "format": "csv", "name": "x.csv", "on": ["firing"]}
    alert = declared(when={"missing": True})
    with watched(ready, alert, deliveries=[by_email(formats=["csv"]), to_file]) as one:
        one.run(None)
        [message] = sent(mailbox)
        assert "There is no report" in read(message)
        assert list(message.iter_attachments()) == []
        assert [told.channel for told in one.told()] == ["email"]


def test_twenty_rows_are_told_and_all_are_counted(ready: Caller, mailbox: Mailbox) -> None:
    rows = alert_hands.table([(f"C{number:03}", None, f"{number}.00") for number in range(50)])
    with watched(ready, declared(of=EACH, when={"below": 45}), deliveries=[by_email()]) as one:
        one.run(rows)
        [told] = one.told()
        data = told.payload["data"]
        assert (len(data["rows"]), data["changed"], data["firing"]) == (20, 45, 45)
        [message] = sent(mailbox)
        assert "The first 20 of 45 rows" in read(message)


def test_whoever_wants_only_one_end_hears_of_no_other(ready: Caller, mailbox: Mailbox) -> None:
    only = [by_email(f"{end}@example.com", on=[end]) for end in ENDS]
    with watched(ready, declared(of=EACH, when={"below": 100}), deliveries=only) as one:
        one.run(alert_hands.nets(FR="1.00"))
        one.run(alert_hands.nets(FR="100.00"))
        assert [message["To"] for message in sent(mailbox)] == ["firing@example.com", "recovered@example.com"]
        # The report itself was for nobody.
        assert len(mailbox.messages) == 2


def test_a_file_is_written_only_when_the_alert_fires(
    ready: Caller, mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_FOLDERS", str(tmp_path))
    settings.load.cache_clear()
    to_file = {"channel": "file", "url": str(tmp_path), "format": "csv", "name": "{id}.csv", "on": ["firing"]}
    with watched(ready, declared(of=EACH, when={"below": 100}), deliveries=[to_file]) as one:
        for net in ("100.00", "99.00", "98.00", "100.00"):
            one.run(alert_hands.nets(FR=net))
            sending.send_due()
        assert [file.name for file in tmp_path.iterdir()] == [f"{one.jobs[1]}.csv"]
        assert "FR,,99.00" in (tmp_path / f"{one.jobs[1]}.csv").read_text()


# --- Each their own ---

SHARED = [
    by_email("ada@example.com", filter=owned_by("adalovelace"), formats=["xlsx", "csv"]),
    by_email("grace@example.com", filter=owned_by("gracehopper"), formats=["csv"]),
]
# Where all rows are to be had.
WHOLE = ("/v1/reports", "/v1/schedules")
OF_ADA = [("ADALAND", "adalovelace", "11.10"), ("ADAMARK", "adalovelace", "777.70")]
OF_GRACE = [("GRACELAND", "gracehopper", "22.20"), ("GRACEMARK", "gracehopper", "888.80")]


def test_receivers_with_a_filter_are_told_of_their_own_rows_alone(ready: Caller, mailbox: Mailbox) -> None:
    with watched(ready, declared(of=EACH, when={"below": 100}), deliveries=[*SHARED, by_email()]) as one:
        one.run(alert_hands.table([*OF_ADA, *OF_GRACE, ("NOLAND", None, "33.30")]), net="1733.10")
        messages = {str(message["To"]): read(message) for message in sent(mailbox)}
        assert set(messages) == {"ada@example.com", "grace@example.com", "all@example.com"}
        mine = {"ada@example.com": ("ADALAND", "11.1"), "grace@example.com": ("GRACELAND", "22.2")}
        others = {
            "ada@example.com": ("GRACE", "22.2", "888.8", "gracehopper", "NOLAND", "33.3", "1733", "1,733", *WHOLE),
            "grace@example.com": ("ADALAND", "ADAMARK", "11.1", "777.7", "adalovelace", "NOLAND", "1733", *WHOLE),
        }
        for to, words in mine.items():
            assert all(word in messages[to] for word in words), to
            assert [word for word in others[to] if word in messages[to]] == [], to
            assert "1 row newly, 1 row now" in messages[to]
        assert "3 rows newly, 3 rows now" in messages["all@example.com"]
        told = {str(delivery.target["to"]): str(delivery.payload) for delivery in one.told(channel="email")}
        assert [word for word in others["ada@example.com"] if word in told["ada@example.com"]] == []


def test_recovery_is_told_to_whom_the_firing_was_even_if_the_row_is_somebody_elses_now(
    ready: Caller, mailbox: Mailbox
) -> None:
    with watched(ready, declared(of=EACH, when={"below": 100}), deliveries=SHARED) as one:
        one.run(alert_hands.table([("FR", "adalovelace", "1.00"), ("GB", "adalovelace", "2.00")]))
        assert [message["To"] for message in sent(mailbox)] == ["ada@example.com"]
        # One row is gone, the other one is Grace's now: she was not told that it fired.
        one.run(alert_hands.table([("FR", "gracehopper", "500.00")]))
        [message] = sent(mailbox)
        assert message["To"] == "ada@example.com"
        assert "2 rows no more, 0 rows now" in read(message)
        assert "500.00" not in read(message)


def test_a_receiver_with_a_filter_hears_nothing_of_figures_of_all_rows(ready: Caller, mailbox: Mailbox) -> None:
    wanted = [
        declared(name="Summary", of={"summary": "net"}, when={"above": 0}),
        declared(name="Count", when={"above": 0}),
        declared(name="Sum", of={"column": "net", "take": "sum"}, when={"above": 0}),
        declared(name="Broken", of={"summary": "nothing"}, when={"above": 0}),
        declared(name="Missing", when={"missing": True}),
    ]
    with watched(ready, *wanted, deliveries=SHARED) as one:
        one.run(alert_hands.table([*OF_ADA, *OF_GRACE]), net="5.00")
        one.run(None)
        one.run(alert_hands.nets(), net="-5.00")
        assert len(one.changes()) > len(wanted)
        assert one.told() == []
        assert sent(mailbox) == []


def test_a_row_that_goes_missing_is_told_to_whose_it_was(ready: Caller, mailbox: Mailbox) -> None:
    with watched(ready, declared(of=EACH, when={"missing": True}), deliveries=SHARED) as one:
        one.run(alert_hands.table([*OF_ADA, *OF_GRACE]))
        one.run(alert_hands.table([*OF_ADA, OF_GRACE[0]]))
        [message] = sent(mailbox)
        assert message["To"] == "grace@example.com"
        assert "GRACEMARK" in read(message)
        assert "ADA" not in read(message)
        # It is back, and Ada's now: Grace is told that it is over, and nothing of what it is now.
        one.run(alert_hands.table([*OF_ADA, OF_GRACE[0], ("GRACEMARK", "adalovelace", "4.44")]))
        [message] = sent(mailbox)
        assert message["To"] == "grace@example.com"
        assert "4.44" not in read(message)


def test_values_of_a_row_are_told_only_to_those_whose_they_were(ready: Caller, mailbox: Mailbox) -> None:
    low, rising = declared(of=EACH, when={"below": 100}), declared(name="Rising", of=EACH, when={"rises_by": "10%"})
    with watched(ready, low, rising, deliveries=SHARED) as one:
        one.run(alert_hands.table([("FR", "adalovelace", "11.11")]))
        # It is Grace's and still low; she has not been told of it, nor that it has risen from what was Ada's.
        one.run(alert_hands.table([("FR", "gracehopper", "22.22")]))
        assert [message["To"] for message in sent(mailbox)] == ["ada@example.com"]
        one.run(alert_hands.table([("FR", "gracehopper", "333.33")]))
        messages = {str(message["Subject"]).partition(" (")[0]: message for message in sent(mailbox)}
        assert {subject: message["To"] for subject, message in messages.items()} == {
            "Recovered: Watched": "ada@example.com",
        }
        over = read(messages["Recovered: Watched"])
        assert [value for value in ("22.22", "333.33") if value in over] == []
        # What is hers in two runs is told her with both values.
        one.run(alert_hands.table([("FR", "gracehopper", "333.33")]))
        one.run(alert_hands.table([("FR", "gracehopper", "444.44")]))
        [message] = sent(mailbox)
        assert (message["To"], message["Subject"]) == ("grace@example.com", "Alert: Rising (Every five minutes)")
        assert "now: 444.44  before: 333.33" in read(message)


def test_a_filter_that_does_not_suit_the_rows_lets_nothing_out_and_fails_visibly(
    ready: Caller, mailbox: Mailbox
) -> None:
    unfit = by_email("ada@example.com", filter={"column": "manager", "op": "eq", "value": "x"})
    with watched(ready, declared(of=EACH, when={"below": 100}), deliveries=[unfit]) as one:
        one.run(alert_hands.table(OF_ADA))
        assert sent(mailbox) == []
        [told] = one.told()
        assert (told.status, told.payload["data"]["rows"]) == ("failed", [])
        assert "manager" in str(told.error)


def test_the_contact_hears_of_a_broken_alert_that_nobody_else_does(ready: Caller, mailbox: Mailbox) -> None:
    with session.transaction() as db:
        db.get_one(Organisation, ready.organisation_id).contact_email = "owner@example.com"
    with watched(ready, declared(of={"summary": "nothing"}, when={"above": 0}), deliveries=SHARED) as one:
        one.run(alert_hands.nets(FR="1.00"))
        assert [message["To"] for message in sent(mailbox)] == ["owner@example.com"]


def test_the_columns_of_a_key_stand_in_the_order_they_were_given_in(ready: Caller, mailbox: Mailbox) -> None:
    alert = declared(of={"column": "net", "each": ["owner", "country"]}, when={"below": 100})
    with watched(ready, alert, deliveries=[by_email()]) as one:
        one.run(alert_hands.table([("FR", "ada", "1.00"), ("GB", "grace", "2.00")]))
        # One is read again, of the other only what was kept is known.
        one.run(alert_hands.table([("FR", "ada", "500.00")]))
        [_, over] = [told.payload["data"] for told in one.told()]
        assert over["key"] == ["owner", "country"]
        assert sorted(over["rows"], key=str) == [["ada", "FR", "500.00", "1.00"], ["grace", "GB", None, "2.00"]]


def test_figures_are_exact_in_what_is_told(ready: Caller, mailbox: Mailbox) -> None:
    total = declared(of={"column": "net", "take": "sum"}, when={"equals": "99999999999999999999.98"})
    with watched(ready, total, deliveries=[by_email()]) as one:
        one.run(alert_hands.nets(FR="99999999999999999999.97", GB="0.01"))
        [told] = one.told()
        assert told.payload["data"]["rows"] == [["99999999999999999999.98", None]]
