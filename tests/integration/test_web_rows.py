"""The rows of a result in pages."""

import uuid
from typing import Any

import pyarrow as pa
import pytest

from models import session
from models.result import ResultChunk
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller

ROWS = 2500
TABLE = pa.table({"name": [f"c{n}" for n in range(ROWS)], "orders": list(range(ROWS))})


@pytest.fixture
def job(ready: Caller) -> dict[str, Any]:
    accepted: dict[str, Any] = ready.post("/v1/reports", {"type": "rfm"}).json
    web_api.finish(accepted["id"], TABLE, rows_per_chunk=700)
    return accepted


def rows_of(caller: Caller, job: dict[str, Any], query: str = "") -> Answer:
    return caller.get(f"{job['links']['rows']}{query}")


def refused(answer: Answer) -> None:
    assert (answer.status_code, answer.json["errors"][0]["pointer"]) == (422, "#/query/cursor"), answer.text
    assert answer.json["errors"][0]["code"] == "unknown-cursor"


@pytest.mark.parametrize("limit", [1000, 700, 999])
def test_the_pages_together_are_the_result(ready: Caller, job: dict[str, Any], limit: int) -> None:
    seen: list[list[Any]] = []
    following: str | None = f"{job['links']['rows']}?limit={limit}"
    while following is not None:
        page = ready.get(following)
        assert page.status_code == 200, page.text
        assert page.content_type == "application/json"
        assert len(page.json["data"]) <= limit
        assert page.json["row_count"] == ROWS
        seen += page.json["data"]
        following = page.json["next"]
    assert seen == ready.get(job["links"]["result"]).json["rows"] == [[f"c{n}", n] for n in range(ROWS)]


def test_a_page_says_what_its_cells_are(ready: Caller, job: dict[str, Any]) -> None:
    page = rows_of(ready, job).json
    assert len(page["data"]) == 100
    assert [(column["name"], column["type"]) for column in page["columns"]] == [("name", "text"), ("orders", "integer")]


def test_a_page_needs_only_the_chunks_it_lies_in(ready: Caller, job: dict[str, Any]) -> None:
    following = rows_of(ready, job, "?limit=1000").json["next"]
    with session.transaction() as db:
        for position in (0, 3):
            db.get_one(ResultChunk, (uuid.UUID(job["id"]), position)).data = b"not to be read"
    page = ready.get(following)
    assert [row[1] for row in page.json["data"]] == list(range(1000, 2000))
    assert ready.get(page.json["next"]).status_code == 500


def test_the_last_page_has_no_next(ready: Caller, job: dict[str, Any]) -> None:
    following = rows_of(ready, job, "?limit=999").json["next"]
    following = ready.get(following).json["next"]
    last = ready.get(following).json
    assert (last["next"], len(last["data"])) == (None, ROWS - 2 * 999)


def test_no_rows_are_one_empty_page(ready: Caller) -> None:
    job = ready.post("/v1/reports", {"type": "rfm"}).json
    web_api.finish(job["id"], TABLE.slice(0, 0))
    page = rows_of(ready, job).json
    assert (page["data"], page["row_count"], page["next"]) == ([], 0, None)


def test_a_cursor_is_of_one_result_and_cannot_be_made_up(ready: Caller, job: dict[str, Any]) -> None:
    other = ready.post("/v1/reports", {"type": "rfm", "max_age": 0}).json
    web_api.finish(other["id"], TABLE)
    cursor = rows_of(ready, job, "?limit=5").json["next"].partition("cursor=")[2]
    assert rows_of(ready, job, f"?cursor={cursor}").json["data"][0] == ["c5", 5]
    refused(rows_of(ready, other, f"?cursor={cursor}"))
    refused(ready.get(f"/v1/jobs?cursor={cursor}"))
    for position in (0, 20, len(cursor) - 2):
        forged = cursor[:position] + ("A" if cursor[position] != "A" else "B") + cursor[position + 1 :]
        refused(rows_of(ready, job, f"?cursor={forged}"))
    refused(rows_of(ready, job, "?cursor=" + ready.get("/v1/jobs?limit=1").json["next"].partition("cursor=")[2]))


def test_only_results_have_rows(ready: Caller) -> None:
    job = ready.post("/v1/reports", {"type": "rfm"}).json
    assert rows_of(ready, job).json["type"] == "/docs/problems/not-ready"
    ready.post(job["links"]["cancel"])
    assert rows_of(ready, job).json["type"] == "/docs/problems/no-result"
    for limit in ("0", "1001", "x"):
        assert rows_of(ready, job, f"?limit={limit}").status_code == 422


def test_a_result_that_vanishes_meanwhile_is_not_half_a_page(ready: Caller, job: dict[str, Any]) -> None:
    with session.transaction() as db:
        db.delete(db.get_one(ResultChunk, (uuid.UUID(job["id"]), 1)))
    answer = rows_of(ready, job, "?limit=1000")
    assert answer.status_code == 500
