"""Results over HTTP: every format, whole or not at all."""

import csv
import io
import json
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models import session, settings
from models.result import ResultChunk, StoredResult
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller

ROWS = 2500
TABLE = pa.table({"name": [f"c{number}" for number in range(ROWS)], "orders": list(range(ROWS))})


@pytest.fixture
def job(caller: Caller) -> dict[str, Any]:
    """A report that has been accepted and not yet run."""
    web_api.give_dataset(caller, "orders")
    accepted: dict[str, Any] = caller.post("/v1/reports", {"type": "rfm"}).json
    return accepted


def test_json_has_all_rows_and_what_belongs_to_them(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = caller.get(job["links"]["result"])
    assert answer.status_code == 200
    assert answer.content_type == "application/json"
    document = json.loads(answer.data)
    assert document["row_count"] == ROWS
    assert document["rows"] == [[f"c{number}", number] for number in range(ROWS)]
    assert document["manifest"] == job["links"]["manifest"]
    assert [column["name"] for column in document["columns"]] == ["name", "orders"]


def test_csv_has_all_rows_and_a_name(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = caller.get(job["links"]["result"], Accept="text/csv")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="rfm-{job["id"]}.csv"'
    assert answer.headers["Cache-Control"].startswith("private")
    rows = list(csv.reader(io.StringIO(answer.data.decode())))
    assert rows[0] == ["name", "orders"]
    assert len(rows) == ROWS + 1
    assert rows[-1] == [f"c{ROWS - 1}", str(ROWS - 1)]


def test_html_is_a_page_that_may_run_nothing(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = caller.get(f"{job['links']['result']}?format=html")
    assert answer.status_code == 200
    assert answer.data.lstrip().lower().startswith(b"<!doctype html")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in answer.headers["Content-Security-Policy"]


def test_no_rows_is_a_result(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE.slice(0, 0))
    assert json.loads(caller.get(job["links"]["result"]).data)["rows"] == []
    assert caller.get(f"{job['links']['result']}?format=csv").data.strip() == b"name,orders"


def test_an_etag_belongs_to_one_format_and_spares_the_body(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    as_json = caller.get(job["links"]["result"]).headers["ETag"]
    as_csv = caller.get(f"{job['links']['result']}?format=csv").headers["ETag"]
    assert as_json != as_csv
    assert not as_json.startswith("W/")
    unchanged = caller.get(job["links"]["result"], If_None_Match=as_json)
    assert (unchanged.status_code, unchanged.data) == (304, b"")
    assert caller.get(job["links"]["result"], If_None_Match=as_csv).status_code == 200


def test_the_format_is_chosen_or_refused_with_the_list(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    refused = caller.get(job["links"]["result"], Accept="image/webp")
    assert refused.status_code == 406
    offered = ["json", "ndjson", "csv", "html", "parquet", "xlsx", "pdf", "svg", "png"]
    assert [one["format"] for one in refused.json["available"]] == offered
    assert caller.get(f"{job['links']['result']}?format=docx").status_code == 406
    preferred = caller.get(job["links"]["result"], Accept="text/csv;q=0.5, application/x-ndjson")
    assert preferred.content_type == "application/x-ndjson"
    assert len(preferred.data.splitlines()) == ROWS


def _closed(answer: Answer) -> Answer:
    """The answer read whole and closed, as a server does."""
    assert answer.data is not None
    answer.close()
    return answer


def test_a_parquet_file_has_all_rows_and_its_parts_can_be_fetched(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    address = f"{job['links']['result']}?format=parquet"
    whole = _closed(caller.get(address))
    assert whole.content_type == "application/vnd.apache.parquet"
    assert pq.read_table(pa.BufferReader(whole.data)).equals(TABLE)
    assert whole.headers["Accept-Ranges"] == "bytes"
    middle = _closed(caller.get(address, Range="bytes=100-299", If_Range=whole.headers["ETag"]))
    assert (middle.status_code, middle.data) == (206, whole.data[100:300])
    assert middle.headers["Content-Range"] == f"bytes 100-299/{len(whole.data)}"
    changed = _closed(caller.get(address, Range="bytes=100-299", If_Range='"another"'))
    assert (changed.status_code, changed.data) == (200, whole.data)
    behind = caller.get(address, Range=f"bytes={len(whole.data)}-")
    assert (behind.status_code, behind.json["type"]) == (416, "/docs/problems/range-not-satisfiable")
    assert behind.headers["Content-Range"] == f"bytes */{len(whole.data)}"


@pytest.mark.parametrize(("fmt", "begins"), [("xlsx", b"PK"), ("pdf", b"%PDF-")])
def test_documents_are_files_and_nothing_of_them_stays(
    caller: Caller, job: dict[str, Any], fmt: str, begins: bytes
) -> None:
    web_api.finish(job["id"], TABLE)
    answer = _closed(caller.get(f"{job['links']['result']}?format={fmt}"))
    assert answer.status_code == 200
    assert answer.data.startswith(begins)
    assert int(answer.headers["Content-Length"]) == len(answer.data)
    assert list(settings.load().rendering_folder.iterdir()) == []


def test_a_picture_that_is_not_there(caller: Caller, job: dict[str, Any]) -> None:
    web_api.finish(job["id"], TABLE)
    answer = caller.get(f"{job['links']['result']}?format=svg&chart=1")
    assert (answer.status_code, answer.json["type"]) == (404, "/docs/problems/not-found")


def _keyed(rows: pa.Table) -> dict[str, Any]:
    columns = [{"name": name, "type": "text" if name == "name" else "integer"} for name in rows.column_names]
    keyed = [{**columns[0], "key": True}, *columns[1:]]
    return {"type": "rfm", "version": 1, "columns": keyed, "summary": {"customers": rows.num_rows}}


def test_two_runs_beside_one_another(caller: Caller, job: dict[str, Any]) -> None:
    other = caller.post("/v1/reports", {"type": "rfm", "params": {"bins": 3}}).json
    before = TABLE.slice(0, 2000)
    web_api.finish(job["id"], TABLE, header=_keyed(TABLE))
    web_api.finish(other["id"], before, header=_keyed(before))
    found = caller.get(f"{job['links']['self']}/diff?against={other['id']}&limit=1")
    assert found.status_code == 200, found.text
    assert found.json["rows"] == {"added": 500, "removed": 0, "changed": 0, "unchanged": 2000}
    first = {"change": "added", "key": {"name": "c2000"}, "values": {"orders": {"this": 2000, "against": None}}}
    assert found.json["changes"] == [first]
    assert found.json["summary"] == [{"path": "/customers", "this": ROWS, "against": 2000}]
    assert found.json["same"] is False
    assert found.json["against"]["id"] == other["id"]
    assert list(settings.load().rendering_folder.iterdir()) == []


def test_what_cannot_be_compared(caller: Caller, job: dict[str, Any]) -> None:
    trend = caller.post("/v1/reports", {"type": "revenue_trend"}).json
    web_api.finish(job["id"], TABLE)
    web_api.finish(trend["id"], TABLE)
    here = f"{job['links']['self']}/diff"
    for against, status, problem in (
        (trend["id"], 422, "not-comparable"),
        # Rows without a key.
        (job["id"], 422, "not-comparable"),
        ("0198c2f0-0000-7000-8000-000000000000", 404, "not-found"),
        ("nonsense", 422, "invalid-request"),
    ):
        answer = caller.get(f"{here}?against={against}")
        assert (answer.status_code, answer.json["type"]) == (status, f"/docs/problems/{problem}"), against
    waiting = caller.post("/v1/reports", {"type": "rfm", "max_age": 0}).json
    assert caller.get(f"{here}?against={waiting['id']}").status_code == 409


def test_an_unfinished_job_has_no_result_yet(caller: Caller, job: dict[str, Any]) -> None:
    for path in (job["links"]["result"], job["links"]["manifest"]):
        answer = caller.get(path)
        assert answer.status_code == 409
        assert answer.json["type"] == "/docs/problems/not-ready"
        assert answer.json["job_status"] == "queued"
        assert int(answer.headers["Retry-After"]) >= 1


def test_a_cancelled_job_never_has_one(caller: Caller, job: dict[str, Any]) -> None:
    caller.post(job["links"]["cancel"])
    answer = caller.get(job["links"]["result"])
    assert answer.status_code == 409
    assert answer.json["type"] == "/docs/problems/no-result"
    assert "Retry-After" not in answer.headers


def test_a_removed_result_is_gone(caller: Caller, job: dict[str, Any]) -> None:
    stored = web_api.finish(job["id"], TABLE)
    with session.transaction() as db:
        db.delete(db.get_one(StoredResult, stored.job_id))
    assert caller.get(job["links"]["result"]).status_code == 410
    assert caller.get(job["links"]["manifest"]).status_code == 410


def test_what_cannot_be_rendered_is_a_problem_and_not_half_an_answer(caller: Caller, job: dict[str, Any]) -> None:
    stored = web_api.finish(job["id"], TABLE)
    with session.transaction() as db:
        db.get_one(ResultChunk, (stored.job_id, 0)).data = b"not parquet"
    answer = caller.get(job["links"]["result"])
    assert answer.status_code == 500
    assert answer.json["type"] == "/docs/problems/internal-error"
    assert "Traceback" not in answer.text


def test_rejects_are_csv(caller: Caller) -> None:
    job = caller.send("/v1/imports?dataset=orders", web_api.CSV).json
    outcome = {
        "rows": {"read": 3, "inserted": 1, "updated": 0, "unchanged": 0, "rejected": 2},
        "mapping": {"order_id": "order_id"},
        "dataset_version": 5,
    }
    web_api.finish(job["id"], TABLE.slice(0, 2), outcome=outcome)
    answer = caller.get(job["links"]["rejects"])
    assert answer.content_type.startswith("text/csv")
    assert len(answer.data.splitlines()) == 3
    finished = caller.get(job["links"]["self"]).json
    assert finished["rows"]["rejected"] == 2
    assert finished["dataset_version"] == 5
    assert finished["warnings"] == []
