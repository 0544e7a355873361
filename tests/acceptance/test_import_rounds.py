"""Imports one after another, over HTTP: what is rejected comes back and is mended, columns grow, doubts are told."""

from pathlib import Path

import pytest

from cli.stack import Stack
from tests.client import Client, Json, reckoner

pytestmark = pytest.mark.stack

ORDERS = "order_id,customer_id,ordered_at,amount,visits\n"


def _imported(client: Client, dataset: str, content: str, **params: object) -> Json:
    job = client.import_(dataset, content.encode(), **params)
    assert job["status"] == "succeeded", job["error"]
    rows = job["rows"]
    assert rows["read"] == rows["inserted"] + rows["updated"] + rows["unchanged"] + rows["rejected"]
    return job


def _counts(job: Json) -> tuple[int, ...]:
    return tuple(job["rows"][name] for name in ("inserted", "updated", "unchanged", "rejected"))


def _kinds(client: Client, dataset: str) -> dict[str, str]:
    answer = client.http.get(f"/v1/datasets/{dataset}")
    assert answer.status_code == 200, answer.text
    kinds: dict[str, str] = answer.json()["stored_columns"]
    return kinds


def test_rejected_rows_are_downloaded_mended_and_imported_again(client: Client) -> None:
    content = ORDERS + '1,a,2024-01-01,10,1\n2,"b, c",2024-01-02,much,2\n-3,=d,soon,30,3\n'
    job = _imported(client, "orders", content, max_rejects=1)
    assert _counts(job) == (1, 0, 0, 2)
    reasons = client.http.get(job["links"]["rejects"], params={"format": "json"}).json()
    assert [row[:4] for row in reasons["rows"]] == [
        [3, "amount", "bad-number", "much"],
        [4, "ordered_at", "bad-timestamp", "soon"],
    ]
    rows = client.http.get(job["links"]["rejects"], params={"format": "rows.csv"})
    assert rows.headers["Content-Disposition"].endswith('.rows.csv"')
    assert rows.text == ORDERS.replace("\n", "\r\n") + '2,"b, c",2024-01-02,much,2\r\n-3,=d,soon,30,3\r\n'
    mended = rows.text.replace("much", "20").replace("soon", "2024-01-03")
    assert _counts(_imported(client, "orders", mended)) == (2, 0, 0, 0)
    right = content.replace("much", "20").replace("soon", "2024-01-03")
    assert _counts(_imported(client, "orders", right)) == (0, 0, 3, 0)


def test_rejected_rows_are_mended_on_the_command_line(client: Client, stack: Stack, tmp_path: Path) -> None:
    file, wrong, rows = (tmp_path / name for name in ("orders.csv", "wrong.csv", "rows.csv"))
    file.write_text(ORDERS + "1,a,2024-01-01,10,1\n2,b,2024-01-02,much,2\n")

    def run(*arguments: str) -> str:
        done = reckoner(stack, "import", *arguments, "--as", "orders", key=client.key)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    assert "1 rejected" in run(str(file), "--max-rejects", "1", "--rejects", str(wrong), "--mend", str(rows))
    assert "bad-number" in wrong.read_text()
    rows.write_text(rows.read_text().replace("much", "20"))
    assert "1 inserted, 0 updated, 0 unchanged, 0 rejected" in run(str(rows))
    early = reckoner(stack, "import", str(file), "--mend", str(rows), "--no-wait", key=client.key)
    assert early.returncode == 2, "there is nothing to write yet"


def test_a_further_column_grows_and_the_table_stays_readable(client: Client) -> None:
    _imported(client, "orders", ORDERS + "1,a,2024-01-01,10,3\n2,b,2024-02-01,20,4\n")
    assert _kinds(client, "orders")["visits"] == "int"
    job = _imported(client, "orders", ORDERS + "3,c,2024-03-01,30,many\n")
    assert [warning["code"] for warning in job["warnings"]] == ["column-widened"]
    assert _kinds(client, "orders")["visits"] == "text"
    report = client.report(
        "revenue_trend", period="month", filter={"column": "visits", "op": "in", "value": ["3", "many"]}
    )
    assert sum(float(row[[c["name"] for c in report["columns"]].index("net")]) for row in report["rows"]) == 40
    again = _imported(client, "orders", ORDERS + "1,a,2024-01-01,10,3\n3,c,2024-03-01,30,many\n")
    assert _counts(again) == (0, 0, 2, 0)


def test_each_mode_does_what_it_says(client: Client) -> None:
    _imported(client, "orders", ORDERS + "1,a,2024-01-01,10,1\n2,b,2024-01-02,20,2\n")
    appended = _imported(
        client, "orders", ORDERS + "2,b,2024-01-02,99,2\n3,c,2024-01-03,30,3\n", mode="append", max_rejects=1
    )
    assert _counts(appended) == (1, 0, 0, 1)
    replaced = _imported(client, "orders", "order_id,customer_id,ordered_at,amount\n9,z,2024-01-01,1\n", mode="replace")
    assert _counts(replaced) == (1, 0, 0, 0)
    assert "visits" not in _kinds(client, "orders")


def test_references_that_lead_nowhere_are_told(client: Client) -> None:
    _imported(client, "customers", "customer_id\nAcme Ltd\nGlobex\n")
    deals = "deal_id,stage,customer_id,created_at\n1,Lead,acme ltd,2024-01-01\n2,Lead,Globex,2999-01-01\n"
    warnings = {warning["code"]: warning["detail"] for warning in _imported(client, "deals", deals)["warnings"]}
    assert "'acme ltd' (1; nearest known: 'Acme Ltd')" in warnings["unmatched-references"]
    assert "created_at after" in warnings["far-dates"]
