"""Erasing a customer over HTTP and with the command line."""

import json
import urllib.parse
import uuid

import pytest

from models.api_key import Scope
from models.job_states import JobStatus
from tests.client import Client, database, reckoner
from tests.integration import web_api
from tests.integration.web_api import Caller

WHO = "Zq/47 11ö"
PATH = "/v1/customers/Zq%2F47%2011%C3%B6"
ORDERS = f"order_id,customer_id,ordered_at,amount\nO1,{WHO},2026-01-02,10\nO2,C-2,2026-01-03,20\n"


def delete(caller: Caller, path: str, **headers: str) -> web_api.Answer:
    return caller.call("DELETE", path, Authorization=f"Bearer {caller.secret}", **headers)


def test_it_is_accepted_as_a_job(caller: Caller) -> None:
    answer = delete(caller, f"{PATH}?priority=7")
    assert answer.status_code == 202
    job = answer.json
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["kind"], job["type"], job["priority"]) == ("erasure", "customers", 7)
    assert job["params"] == {"customer_id": WHO, "dry_run": False, "requested_by": f"key {caller.secret[:10]}"}
    assert (job["plan"], job["certificate"]) == (None, None)
    assert web_api.row(job["id"]).queue == "imports"


def test_the_id_is_what_an_import_would_have_written(caller: Caller) -> None:
    assert delete(caller, "/v1/customers/%20Zoe%CC%88%20").json["params"]["customer_id"] == "Zoë"


@pytest.mark.parametrize(
    "who", ["\u3000X", "Z\u2009", "W\u0085", "\u2028V", "a\nb", "a\r\nb", "/X", "X/", "a//b", "x" * 5000]
)
def test_white_space_and_all_else_of_an_id_is_the_ids(caller: Caller, who: str) -> None:
    answer = delete(caller, f"/v1/customers/{urllib.parse.quote(who, safe='')}")
    assert answer.status_code == 202, answer.text
    assert answer.json["params"]["customer_id"] == who


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/customers/%20", 404),
        ("/v1/customers/a%00b", 404),
        (f"{PATH}?dryrun=true", 422),
        (f"{PATH}?priority=11", 422),
    ],
)
def test_what_cannot_be_meant_is_refused(caller: Caller, path: str, status: int) -> None:
    answer = delete(caller, path)
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"


def test_only_an_admin_may(caller: Caller) -> None:
    writer = web_api.another_key(caller, Scope.DATASETS_WRITE, Scope.REPORTS_WRITE)
    assert delete(writer, PATH).status_code == 403
    job = delete(caller, PATH).json
    assert writer.get(f"/v1/jobs/{job['id']}").status_code == 200


def test_sent_twice_with_a_key_it_is_one_job(caller: Caller) -> None:
    key = str(uuid.uuid4())
    first, again = (delete(caller, PATH, **{"Idempotency-Key": key}) for _ in range(2))
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert delete(caller, "/v1/customers/other", **{"Idempotency-Key": key}).status_code == 422
    assert delete(caller, f"{PATH}?dry_run=true", **{"Idempotency-Key": key}).status_code == 422


def test_one_that_has_begun_is_not_stopped(caller: Caller) -> None:
    waiting, begun, looking = (delete(caller, path).json["id"] for path in (PATH, PATH, f"{PATH}?dry_run=true"))
    web_api.start(begun)
    web_api.start(looking)
    assert caller.post(f"/v1/jobs/{waiting}/cancel").json["status"] == "cancelled"
    refused = caller.post(f"/v1/jobs/{begun}/cancel")
    assert (refused.status_code, refused.json["type"]) == (409, "/docs/problems/not-stoppable")
    assert web_api.row(begun).cancel_requested_at is None
    assert caller.post(f"/v1/jobs/{looking}/cancel").status_code == 202
    rerun = caller.post(f"/v1/jobs/{waiting}/rerun")
    assert (rerun.status_code, rerun.json["type"]) == (409, "/docs/problems/not-repeatable")


@pytest.mark.stack
def test_from_the_request_to_the_certificate(client: Client) -> None:
    client.import_("orders", ORDERS.encode())
    report = client.finish(client.submit("rfm"))
    assert WHO in str(client.result(report))
    planned = client.http.delete(PATH, params={"dry_run": True, "wait": 20}).json()
    assert planned["status"] == JobStatus.SUCCEEDED, planned
    assert [one["rows"] for one in planned["plan"]["datasets"] if one["rows"]] == [1]

    answer = client.http.delete(PATH, params={"wait": 20})
    assert answer.status_code == 200, answer.text
    certificate = answer.json()["certificate"]
    assert certificate["verified"]
    assert [one["job_id"] for one in certificate["results_removed"]] == [report["id"]]
    gone = client.http.get(report["links"]["result"])
    assert (gone.status_code, gone.json()["type"]) == (410, "/docs/problems/result-erased")
    again = client.http.post(report["links"]["rerun"], params={"wait": 20}).json()
    assert WHO not in str(client.result(again))
    with database(client.stack) as connection:
        (held,) = connection.execute(
            "SELECT count(*) FROM jobs AS j WHERE j::text LIKE %s", [f"%{WHO}%"]
        ).fetchone() or (None,)
    # The dry run's job forgets whom it was about with everything else.
    assert held == 0
    logs = [path.read_text(errors="replace") for path in client.stack.home.rglob("*.log")]
    assert logs
    assert not any(WHO in log or PATH in log for log in logs)


@pytest.mark.stack
def test_with_the_command_line(client: Client) -> None:
    client.import_("orders", ORDERS.encode())

    def customers(*arguments: str) -> tuple[int, str, str]:
        done = reckoner(client.stack, "customers", *arguments, key=client.key)
        return done.returncode, done.stdout, done.stderr

    code, out, err = customers("show", WHO)
    assert code == 0, err
    assert "orders\t0\t1\t2026-01-02\t2026-01-02\t10.00 GBP" in out
    assert f"O1\t{WHO}\t2026-01-02T00:00:00Z" in out
    assert json.loads(customers("show", WHO, "--json")[1])["datasets"][0]["rows"] == 1
    code, _, err = customers("show", "nobody")
    assert (code, "No dataset knows" in err) == (2, True)
    code, out, _ = customers("erase", WHO, "--dry-run")
    assert (code, "orders\t1\tcustomer_id: 1\t0" in out) == (0, True), out
    code, _, err = customers("erase", WHO, "--json")
    assert (code, json.loads(err)["exit_code"]) == (2, 2)
    code, out, err = customers("erase", WHO, "--yes", "--json")
    assert code == 0, err
    job = json.loads(out)
    assert job["certificate"]["verified"]
    assert customers("certificate", job["id"], "--verify", WHO)[0] == 0
    code, _, err = customers("certificate", job["id"], "--verify", "C-2")
    assert (code, "somebody else" in err) == (1, True)
    assert customers("certificate", str(uuid.uuid4()))[0] == 2
