"""The ordinary way through, seen from the outside: over HTTP, on the command line, in Flower."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from cli.stack import Stack
from tests import generated
from tests.client import ROOT, Client, Json, database, reckoner, wait_for

pytestmark = pytest.mark.stack

JOB_MEMBERS = {
    "id", "kind", "type", "status", "params", "label", "progress", "attempt", "max_attempts",
    "created_at", "started_at", "finished_at", "expires_at", "reused", "error", "links",
}  # fmt: skip


@pytest.fixture(scope="module")
def shop(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        job = client.import_("orders", generated.orders(tmp_path_factory.mktemp("shop"), customers=300))
        assert job["status"] == "succeeded", job
        yield client


def test_a_report_from_request_to_rows(shop: Client) -> None:
    answer = shop.http.post("/v1/reports", json={"type": "rfm", "params": {"bins": 4}, "label": "quarterly"})
    assert answer.status_code == 202
    job: Json = answer.json()
    assert set(job) >= JOB_MEMBERS
    assert answer.headers["location"] == job["links"]["self"]
    assert "retry-after" in answer.headers
    assert job["params"]["bins"] == 4
    assert job["params"]["method"] == "quantile"
    finished = shop.finish(job)
    assert finished["status"] == "succeeded"
    assert finished["attempt"] == 1
    result = shop.result(finished)
    assert result["row_count"] == len(result["rows"]) > 100
    assert all(invariant["holds"] for invariant in result["invariants"])
    text = shop.http.get(job["links"]["result"], headers={"Accept": "text/csv"}).text
    assert len(text.splitlines()) == result["row_count"] + 1


def test_prefer_wait_answers_with_the_finished_job(shop: Client) -> None:
    body = {"type": "revenue_trend", "params": {}}
    answer = shop.http.post("/v1/reports", json=body, headers={"Prefer": "wait=20"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["status"] == "succeeded"
    assert "wait" in answer.headers["preference-applied"]


def test_a_report_that_was_made_is_answered_at_once(shop: Client) -> None:
    body = {"type": "rfm", "params": {"bins": 3}}
    job = shop.finish(shop.http.post("/v1/reports", json=body).json())
    again = shop.http.post("/v1/reports", json=body)
    assert (again.status_code, again.json()["id"], again.json()["reused"]) == (200, job["id"], True)
    assert shop.result(again.json())["row_count"] > 100
    anew = shop.http.post("/v1/reports", json={**body, "max_age": 0}, headers={"Prefer": "wait=20"}).json()
    assert (anew["reused"], anew["status"]) == (False, "succeeded")
    assert shop.result(anew)["rows"] == shop.result(again.json())["rows"]


def test_the_command_line_says_what_it_reuses(shop: Client) -> None:
    def report(*arguments: str) -> tuple[str, str]:
        done = reckoner(shop.stack, "report", "rfm", "-p", "bins=6", *arguments, key=shop.key)
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr

    made, said = report()
    assert "of the same data" not in said
    again, said = report()
    assert "of the same data" in said
    fresh, said = report("--fresh")
    assert "of the same data" not in said
    assert "of the same data" in report("--max-age", "1h")[1]
    assert made == again == fresh
    both = reckoner(shop.stack, "report", "rfm", "--fresh", "--max-age", "1h", key=shop.key)
    assert both.returncode == 2


def test_the_job_id_is_the_same_in_the_api_and_in_flower(shop: Client) -> None:
    job = shop.finish(shop.submit("cohort_retention"))
    password = (shop.stack.home / "flower_password").read_text().strip()

    def look() -> Json | None:
        answer = httpx.get(
            f"{shop.stack.flower_url}/api/task/info/{job['id']}",
            auth=("reckoner", password),
            timeout=10,
            trust_env=False,
        )
        found: Json | None = answer.json() if answer.status_code == 200 else None
        return found if found and found["state"] == "SUCCESS" else None

    task = wait_for(look, seconds=15, pause=0.2)
    assert task["name"] == "reports.run"
    assert task["args"] in (f"['{job['id']}']", f"('{job['id']}',)", f'["{job["id"]}"]')
    assert httpx.get(f"{shop.stack.flower_url}/api/tasks", timeout=10, trust_env=False).status_code == 401


def test_readyz_tells_of_database_broker_beat_and_workers(stack: Stack) -> None:
    answer = httpx.get(f"{stack.web_url}/readyz", timeout=10, trust_env=False)
    assert answer.status_code == 200
    assert answer.json()["status"] == "ready", answer.text
    assert httpx.get(f"{stack.web_url}/healthz", timeout=10, trust_env=False).status_code == 200


def test_the_contract_and_its_page_are_served(stack: Stack) -> None:
    document = httpx.get(f"{stack.web_url}/openapi.json", timeout=10, trust_env=False).json()
    assert document["openapi"].startswith("3.1")
    page = httpx.get(f"{stack.web_url}/docs", timeout=10, trust_env=False)
    assert page.status_code == 200
    assert "/v1/reports" in page.text


def test_the_command_line_imports_reports_and_lists(stack: Stack, tmp_path: Path) -> None:
    made = reckoner(stack, "keys", "create", "--org", f"cli {time.time_ns()}", "--json")
    key = json.loads(made.stdout)["api_key"]
    file = generated.orders(tmp_path, customers=60)
    imported = reckoner(stack, "import", str(file), "--as", "orders", "--json", key=key)
    assert imported.returncode == 0, imported.stderr
    assert json.loads(imported.stdout)["rows"]["rejected"] == 0
    out = tmp_path / "rfm.csv"
    report = reckoner(stack, "report", "rfm", "-p", "bins=3", "--out", str(out), "--json", key=key)
    assert report.returncode == 0, report.stderr
    assert out.read_text().startswith("customer_id,")
    book = tmp_path / "rfm.xlsx"
    again = reckoner(stack, "report", "rfm", "--out", str(book), "--json", key=key)
    assert book.read_bytes().startswith(b"PK"), again.stderr
    first, second = (json.loads(answer.stdout)["id"] for answer in (report, again))
    changed = reckoner(stack, "diff", second, first, "--limit", "3", key=key)
    assert changed.returncode == 0, changed.stderr
    assert "/bins" in changed.stdout
    assert "0 added, 0 removed" in changed.stdout
    listed = reckoner(stack, "jobs", "list", "--json", "--limit", "5")
    found = json.loads(listed.stdout)
    assert {"report", "import"} <= {job["kind"] for job in found}
    shown = reckoner(stack, "jobs", "show", found[0]["id"])
    assert "succeeded" in shown.stdout
    assert reckoner(stack, "doctor").returncode == 0


def test_the_command_line_says_what_is_wrong(stack: Stack, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    failed = reckoner(stack, "import", str(wrong), "--as", "orders")
    assert failed.returncode == 5
    assert "missing" in failed.stderr.lower() or "column" in failed.stderr.lower()
    unknown = reckoner(stack, "report", "no_such_report")
    assert unknown.returncode == 2
    assert "rfm" in unknown.stderr
    nowhere = reckoner(stack, "report", "rfm", "--home", str(tmp_path / "nowhere"), key="rk_x")
    assert nowhere.returncode == 4


def test_results_are_stored_as_parquet_and_are_gone_when_their_time_is_over(shop: Client) -> None:
    job = shop.finish(shop.submit("rfm"))
    with database(shop.stack) as connection:
        chunk = connection.execute("SELECT data FROM result_chunks WHERE job_id = %s", [job["id"]]).fetchone()
        assert chunk is not None
        assert bytes(chunk[0][:4]) == b"PAR1"
        connection.execute("UPDATE results SET expires_at = now() - interval '1 day' WHERE job_id = %s", [job["id"]])
    # What beat asks for every ten minutes, asked for now.
    upkeep = "from workers.celery import app; app.send_task('upkeep.retain')"
    environment = {**os.environ, "RECKONER_HOME": str(shop.stack.home)}
    subprocess.run([sys.executable, "-c", upkeep], check=True, cwd=ROOT, env=environment)
    gone = wait_for(lambda: _gone(shop, job), seconds=20)
    assert gone["type"].endswith("result-expired")
    assert shop.http.get(job["links"]["self"]).json()["status"] == "succeeded", "the job itself stays"


def _gone(shop: Client, job: Json) -> Json | None:
    answer = shop.http.get(job["links"]["result"])
    problem: Json | None = answer.json() if answer.status_code == 410 else None
    return problem
