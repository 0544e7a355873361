"""Previews by real workers: what they say is what the import then does, and they change nothing."""

import json
from concurrent import futures
from pathlib import Path
from typing import Any

import pytest

from tests.client import Client, Json, reckoner

pytestmark = pytest.mark.stack

ORDERS = b"order_id,customer_id,ordered_at,amount\n" + b"".join(
    f"{number},c{number % 7},2024-01-{number % 28 + 1:02},{number}.50\n".encode() for number in range(1, 101)
)
UNCLEAR = b"order_id,customer_id,ordered_at,amount\n1,a,03/04/2024,5\n2,b,05/06/2024,6\n"


def preview(client: Client, content: bytes, **params: Any) -> Json:
    answer = client.http.post("/v1/imports/preview", params=params, content=content)
    assert answer.status_code == 200, answer.text
    job: Json = answer.json()
    assert job["status"] == "succeeded", job
    found: Json = job["preview"]
    return found


def state(client: Client) -> Any:
    return [client.http.get(path).json() for path in ("/v1/datasets", "/v1/datasets/orders/versions")]


def test_a_preview_says_what_the_import_then_does(client: Client) -> None:
    client.import_("orders", ORDERS.replace(b"c3,", b"c9,"))
    before = state(client)
    found = preview(client, ORDERS + b"101,a,soon,3\n")
    assert (found["dataset"]["chosen"], found["ready"]) == ("orders", True)
    assert state(client) == before
    answer = client.http.request(found["next"]["method"], found["next"]["path"])
    assert answer.status_code == 202, answer.text
    done = client.finish(answer.json())
    assert done["rows"] == found["counts"]
    assert found["counts"]["updated"] > 0
    assert found["counts"]["unchanged"] > 0
    assert found["rejects"] == [
        {
            "code": "bad-timestamp",
            "count": 1,
            "samples": [{"line": 102, "column": "ordered_at", "value": "soon"}],
        }
    ]
    assert state(client) != before


def test_a_question_is_answered_without_sending_the_file_again(client: Client) -> None:
    job = client.http.post("/v1/imports/preview", content=UNCLEAR).json()
    assert [one["code"] for one in job["preview"]["questions"]] == ["ambiguous-date-order"]
    assert not job["preview"]["ready"]
    answered = client.http.post(
        "/v1/imports/preview", params={"upload": job["id"], "dataset": "orders", "date_format": "MDY"}
    )
    assert answered.status_code == 200
    assert answered.json()["preview"]["ready"]
    done = client.finish(client.http.post(answered.json()["preview"]["next"]["path"]).json())
    assert (done["status"], done["rows"]["inserted"]) == ("succeeded", 2)


def test_who_does_not_wait_finds_the_preview_among_the_jobs(client: Client) -> None:
    answer = client.http.post("/v1/imports/preview?wait=0", content=ORDERS)
    assert answer.status_code == 202
    done = client.finish(answer.json())
    assert done["preview"]["counts"]["inserted"] == 100
    assert [job["id"] for job in client.http.get("/v1/jobs", params={"kind": "preview"}).json()["data"]] == [done["id"]]
    assert client.http.get("/v1/imports").json()["data"] == []


def test_what_is_no_table_fails_as_an_import_would(client: Client) -> None:
    job = client.http.post("/v1/imports/preview", content=b"\x00\x01\x02" * 50).json()
    assert job["status"] == "failed"
    imported = client.import_("orders", b"\x00\x01\x02" * 50)
    assert job["error"]["type"] == imported["error"]["type"]
    assert job["preview"] is None


def test_previews_at_once_do_not_meet(client: Client) -> None:
    with futures.ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: preview(client, ORDERS), range(4)))
    assert {json.dumps({**one, "next": None}, sort_keys=True) for one in found} == {
        json.dumps({**found[0], "next": None}, sort_keys=True)
    }
    assert client.http.get("/v1/datasets/orders/versions").json()["data"] == []


def test_the_command_line_shows_asks_and_imports(client: Client, tmp_path: Path) -> None:
    unclear, clear = tmp_path / "unclear orders.csv", tmp_path / "orders.csv"
    unclear.write_bytes(UNCLEAR)
    clear.write_bytes(ORDERS)
    shown = reckoner(client.stack, "import", str(unclear), "--dry-run", key=client.key)
    assert shown.returncode == 1
    assert "--date-format DMY  the day comes first" in shown.stdout
    assert f"reckoner import '{unclear}' --as orders" in shown.stdout
    assert max(map(len, shown.stdout.splitlines()[:-1])) <= 100
    refused = reckoner(client.stack, "import", str(unclear), key=client.key)
    assert refused.returncode == 2
    assert "--date-format MDY" in refused.stderr
    as_json = reckoner(client.stack, "import", str(clear), "--dry-run", "--json", key=client.key)
    assert as_json.returncode == 0
    assert json.loads(as_json.stdout)["preview"]["counts"]["inserted"] == 100
    done = reckoner(client.stack, "import", str(clear), key=client.key)
    assert (done.returncode, "100 rows read: 100 inserted" in done.stdout) == (0, True), done
