"""One result for many receivers, each with their own rows: what they get is searched, byte by byte, for those of others."""

import io
import json
import zipfile
from decimal import Decimal
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pypdf
import pytest

from models import settings
from models.delivery import Delivery
from tests.integration import test_email_sending, web_api
from tests.integration.mail_server import Mailbox
from tests.integration.web_api import Caller
from workers.deliveries import sending

OWNERS = ("adalovelace", "gracehopper", "maryjackson")
FIGURES = {"adalovelace": "1111.10", "gracehopper": "2222.20", "maryjackson": "3333.30"}
SUM = "6666.60"
FORMATS = ["xlsx", "pdf", "html", "csv", "parquet"]
TABLE = pa.table(
    {
        "owner": pa.array([*OWNERS, None]),
        "revenue": pa.array([*map(Decimal, FIGURES.values()), Decimal("0.10")], pa.decimal128(38, 2)),
    }
)
HEADER: dict[str, Any] = {
    "params": {"timezone": "Europe/London", "filter": {"column": "owner", "op": "in", "value": [*OWNERS]}},
    "columns": [
        {"name": "owner", "type": "text", "unit": None, "description": "Who looks after them"},
        {"name": "revenue", "type": "decimal", "unit": "GBP", "description": "What they brought"},
    ],
    "summary": {"revenue": SUM, "as_of": "2026-11-22", "groups": [{"owner": one} for one in OWNERS]},
    "charts": [{"title": "By maryjackson", "spec": test_email_sending.CHART["spec"]}],
    "warnings": [{"code": "few-rows", "detail": "gracehopper has few rows."}],
    "dropped": {f"not of {OWNERS[0]}, {OWNERS[1]} or {OWNERS[2]}": 6666},
    "invariants": [{"name": "sum", "holds": True, "detail": f"The sum is {SUM}."}],
}
BURST = {
    "channel": "email",
    "formats": FORMATS,
    "burst": {
        "column": "owner",
        "recipients": {
            "adalovelace": ["for-ada@example.com"],
            "gracehopper": ["for-grace@example.com"],
            "nobody": ["for-nobody@example.com"],
        },
        "otherwise": ["for-the-rest@example.com"],
    },
}


def _send(caller: Caller, *wanted: dict[str, Any]) -> dict[str, Delivery]:
    job_id = test_email_sending.report(caller, *wanted, table=TABLE, **HEADER)
    sending.send_due()
    return {str(one.target.get("to")): one for one in test_email_sending.of(job_id)}


def _readable(message: EmailMessage) -> dict[str, str]:
    """Return all that can be read in a message, file by file: bytes as they are, and what is packed in them."""
    found = {"headers": str(message.items())}
    for part in message.walk():
        if part.is_multipart():
            continue
        name, data = part.get_filename() or part.get_content_type(), part.get_payload(decode=True)
        assert isinstance(data, bytes)
        found[name] = data.decode("latin-1")
        kind = name.rpartition(".")[2]
        if kind == "xlsx":
            with zipfile.ZipFile(io.BytesIO(data)) as book:
                found[name] += "".join(book.read(entry).decode("latin-1") for entry in book.namelist())
        elif kind == "pdf":
            document = pypdf.PdfReader(io.BytesIO(data))
            found[name] += "".join(page.extract_text() for page in document.pages) + str(document.metadata)
        elif kind == "parquet":
            # With the dictionaries as they lie in the file: they may hold more than the rows.
            table = pq.read_table(io.BytesIO(data), read_dictionary=["owner"])
            found[name] += str([chunk.dictionary.to_pylist() for chunk in table["owner"].chunks])
            found[name] += json.dumps(table.to_pylist(), default=str) + str(table.schema.metadata)
    return found


def _told(text: str) -> str:
    return text.replace(",", "").replace("\u200b", "")


def test_each_gets_their_own_rows_and_nothing_that_tells_of_others(caller: Caller, mailbox: Mailbox) -> None:
    sent = _send(caller, BURST)
    assert {to: one.status for to, one in sent.items()} == {
        "for-ada@example.com": "succeeded",
        "for-grace@example.com": "succeeded",
        "for-nobody@example.com": "skipped",
        "for-the-rest@example.com": "succeeded",
    }
    owners = {
        "for-ada@example.com": "adalovelace",
        "for-grace@example.com": "gracehopper",
        "for-the-rest@example.com": "maryjackson",
    }
    assert sorted(mailbox.recipients) == sorted(owners)
    for message in mailbox.messages:
        mine = owners[message["To"]]
        found = _readable(message)
        assert len([name for name in found if name.startswith("rfm-")]) == len(FORMATS)
        for name, text in found.items():
            told = _told(text)
            if name.startswith("rfm-") or name == "text/html":
                assert mine in told, name
                assert FIGURES[mine].rstrip("0") in told, name
            for other in set(OWNERS) - {mine}:
                assert other not in told, (mine, name)
                assert FIGURES[other].rstrip("0") not in told, (mine, name)
            assert SUM.rstrip("0") not in told, (mine, name)
            assert "/v1/reports" not in told, (mine, name)
            assert not [to for to in sent if to != message["To"] and to in told], (mine, name)
        assert not [part for part in message.walk() if part.get_content_type() == "image/png"]


def test_rows_of_none_of_them_go_to_the_rest_with_those_of_nobody(caller: Caller, mailbox: Mailbox) -> None:
    _send(caller, {**BURST, "formats": ["csv"]})
    [message] = [one for one in mailbox.messages if one["To"] == "for-the-rest@example.com"]
    [lines] = message.iter_attachments()
    assert lines.get_content().split() == ["owner,revenue", "maryjackson,3333.30", ",0.10"]


def test_money_is_compared_exactly_and_who_wants_to_hear_of_nothing_does(caller: Caller, mailbox: Mailbox) -> None:
    exact = {"column": "revenue", "op": "le", "value": "2222.20"}
    below = {"column": "revenue", "op": "lt", "value": "0.0999999999999999999"}
    sent = _send(
        caller,
        {"channel": "email", "to": ["exact@example.com"], "formats": ["csv"], "filter": exact},
        {"channel": "email", "to": ["none@example.com"], "formats": FORMATS, "filter": below, "if_empty": "send"},
    )
    assert [one.status for one in sent.values()] == ["succeeded", "succeeded"], [one.error for one in sent.values()]
    messages = {message["To"]: message for message in mailbox.messages}
    [lines] = messages["exact@example.com"].iter_attachments()
    assert lines.get_content().split() == ["owner,revenue", "adalovelace,1111.10", "gracehopper,2222.20", ",0.10"]
    for name, text in _readable(messages["none@example.com"]).items():
        assert not [one for one in OWNERS if one in text], name


@pytest.mark.parametrize(
    "wanted",
    [{"column": "manager", "op": "eq", "value": "x"}, {"column": "revenue", "op": "eq", "value": "much"}],
    ids=["no such column", "another kind"],
)
def test_a_filter_that_does_not_suit_the_rows_lets_nothing_out(
    caller: Caller, mailbox: Mailbox, wanted: dict[str, Any]
) -> None:
    sent = _send(caller, {"channel": "email", "to": ["for-ada@example.com"], "formats": ["csv"], "filter": wanted})
    [delivery] = sent.values()
    assert delivery.status == "failed"
    assert wanted["column"] in str(delivery.error)
    assert mailbox.messages == []


def test_a_file_has_its_receivers_rows(
    caller: Caller, mailbox: Mailbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_FOLDERS", str(tmp_path))
    settings.load.cache_clear()
    mine = {"column": "owner", "op": "eq", "value": "gracehopper"}
    to_file = {"channel": "file", "url": str(tmp_path), "format": "json", "on": ["succeeded"]}
    _send(
        caller,
        {**to_file, "name": "grace.json", "filter": mine},
        {**to_file, "name": "none.json", "filter": {**mine, "value": "nobody"}},
    )
    assert [file.name for file in tmp_path.iterdir()] == ["grace.json"]
    found = json.loads((tmp_path / "grace.json").read_text())
    assert found["rows"] == [["gracehopper", "2222.20"]]
    assert (found["summary"], found["charts"], found["manifest"]) == ({"rows": 1, "as_of": "2026-11-22"}, [], None)


@pytest.mark.parametrize(
    ("changes", "pointer", "code"),
    [
        ({"filter": {"column": "owner", "op": "eq", "value": "x"}}, "/filter/column", "unknown-column"),
        (
            {"filter": {"and": [{"column": "frequency", "op": "gt", "value": "many"}]}},
            "/filter/and/0/value",
            "filter-type",
        ),
        ({"burst": {"column": "owner", "recipients": {"x": ["x@example.com"]}}}, "/burst/column", "unknown-column"),
        (
            {"burst": {"column": "frequency", "recipients": {"a/b": ["x@example.com"]}}},
            "/burst/recipients/a~1b",
            "filter-type",
        ),
    ],
)
def test_what_the_result_will_not_have_is_refused_at_once(
    caller: Caller, mailbox: Mailbox, changes: dict[str, Any], pointer: str, code: str
) -> None:
    web_api.give_dataset(caller, "orders")
    to = {} if "burst" in changes else {"to": ["for-ada@example.com"]}
    answer = caller.post("/v1/reports", {"type": "rfm", "deliveries": [{"channel": "email", **to, **changes}]})
    assert answer.status_code == 422, answer.text
    assert [(error["pointer"], error["code"]) for error in answer.json["errors"]] == [
        (f"#/deliveries/0{pointer}", code)
    ]


def test_a_schedule_keeps_its_shares_and_judges_them_when_its_question_changes(
    caller: Caller, mailbox: Mailbox
) -> None:
    web_api.give_dataset(caller, "orders")
    shares = {"channel": "email", "burst": {"column": "owner", "recipients": {"ada": ["ada@example.com"]}}}
    body = {
        "name": "Shares",
        "type": "rfm",
        "params": {"segment_by": ["owner"]},
        "cron": "0 6 1 * *",
        "deliveries": [shares],
    }
    made = caller.post("/v1/schedules", body)
    assert made.status_code == 201, made.text
    address = made.json["links"]["self"]
    assert made.json["deliveries"][0]["burst"] == {**shares["burst"], "otherwise": []}  # type: ignore[dict-item]
    assert caller.patch(address, {"name": "Still shares"}).status_code == 200
    refused = caller.patch(address, {"params": {"segment_by": None}})
    assert refused.status_code == 422, refused.text
    assert refused.json["errors"][0]["pointer"] == "#/deliveries/0/burst/column"
