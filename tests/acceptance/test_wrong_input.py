"""What a new user gets wrong: each a problem document that says what to do, and nothing half written."""

from collections.abc import Iterator
from typing import Any

import pytest

from cli.stack import Stack
from tests.client import Client, Json

pytestmark = pytest.mark.stack

ORDERS = b"order_id,customer_id,ordered_at,amount\n1,a,2025-01-02,10.00\n2,b,2025-02-03,20.00\n"


@pytest.fixture(scope="module")
def small(stack: Stack) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        assert client.import_("orders", ORDERS)["status"] == "succeeded"
        yield client


def _problem(answer: Any, status: int, slug: str) -> Json:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"].startswith("application/problem+json")
    problem: Json = answer.json()
    assert problem["status"] == status
    assert problem["type"].endswith(slug), problem
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert problem["detail"]
    assert "Traceback" not in answer.text
    return problem


@pytest.mark.parametrize(
    ("body", "status", "pointer"),
    [
        ({"type": "no_such_report"}, 422, "#/type"),
        ({"type": "rfm", "params": {"bin": 5}}, 422, "#/params/bin"),
        ({"type": "rfm", "params": {"bins": "many"}}, 422, "#/params/bins"),
        ({"type": "rfm", "params": {"timezone": "Mars/Olympus"}}, 422, "#/params/timezone"),
        ({"type": "rfm", "colour": "red"}, 422, "#/colour"),
        ({"params": {}}, 422, "#/type"),
    ],
)
def test_a_wrong_report_request_names_the_field(small: Client, body: Json, status: int, pointer: str) -> None:
    before = len(small.http.get("/v1/jobs").json()["data"])
    answer = small.http.post("/v1/reports", json=body)
    assert answer.status_code == status, answer.text
    assert pointer in [error["pointer"] for error in answer.json()["errors"]], answer.text
    assert len(small.http.get("/v1/jobs").json()["data"]) == before


def test_a_report_on_data_that_is_not_there_says_what_to_import(client: Client) -> None:
    problem = _problem(client.http.post("/v1/reports", json={"type": "rfm"}), 422, "dataset-missing")
    assert "orders" in problem["detail"]


def test_without_a_key_with_a_wrong_one_and_with_anothers_id(small: Client, client: Client) -> None:
    job = small.http.get("/v1/jobs").json()["data"][0]
    _problem(client.http.get("/v1/jobs", headers={"Authorization": ""}), 401, "unauthenticated")
    _problem(client.http.get("/v1/jobs", headers={"Authorization": "Bearer rk_wrong"}), 401, "unauthenticated")
    _problem(client.http.get(f"/v1/jobs/{job['id']}"), 404, "not-found")
    _problem(client.http.get("/v1/nothing"), 404, "not-found")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" * 50, "unsupported-format"),
        (b"order_id,nonsense\n1,2\n", "missing-columns"),
        (b"order_id,customer_id,ordered_at,amount\n", "empty-file"),
        (b"order_id,customer_id,ordered_at,amount\n" + b"1,a,not a date,5\n" * 20, "too-many-rejects"),
    ],
)
def test_a_bad_file_fails_with_words_and_writes_nothing(client: Client, content: bytes, code: str) -> None:
    job = client.import_("orders", content)
    assert job["status"] == "failed"
    assert job["error"]["detail"]
    assert job["error"]["type"] == f"/docs/problems/{code}"
    assert client.http.get(job["error"]["type"]).status_code == 200, "and a page says what to do"
    datasets = {row["name"]: row for row in client.http.get("/v1/datasets").json()["data"]}
    assert not datasets["orders"]["rows"]


def test_an_empty_body_and_an_unknown_option_are_refused_at_once(client: Client) -> None:
    assert client.post_import("orders", b"").status_code in {400, 422}
    assert client.post_import("orders", ORDERS, colour="red").status_code == 422
    assert client.post_import("no_such_dataset", ORDERS).status_code == 422
    assert client.http.get("/v1/jobs").json()["data"] == []


def test_the_same_file_twice_changes_nothing(client: Client) -> None:
    assert client.import_("orders", ORDERS)["rows"]["inserted"] == 2
    second = client.import_("orders", ORDERS)["rows"]
    assert (second["inserted"], second["updated"], second["unchanged"]) == (0, 0, 2)


def test_rejected_rows_can_be_read_back(client: Client) -> None:
    rows = b"".join(f"{i},c{i % 7},2025-03-{i % 28 + 1:02d},{i}.50\n".encode() for i in range(1, 41))
    job = client.import_("orders", b"order_id,customer_id,ordered_at,amount\n" + rows + b"99,c1,yesterday,5\n")
    assert job["status"] == "succeeded", job
    assert (job["rows"]["inserted"], job["rows"]["rejected"]) == (40, 1)
    rejects = client.http.get(f"/v1/imports/{job['id']}/rejects")
    assert rejects.status_code == 200
    assert "yesterday" in rejects.text
    assert "42" in rejects.text  # its line in the file
