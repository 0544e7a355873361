"""Versions over HTTP: listed, looked at, restored, refused; on the real application, with hands for the workers."""

import uuid
from typing import Any

import pytest

from models.api_key import Scope
from models.job_states import JobKind
from tests.integration import web_api
from tests.integration.lake_hands import WIDE, Hands
from tests.integration.test_lake_restore import restore
from tests.integration.test_web_rerun import expect
from tests.integration.web_api import Caller
from web import problem_types

VERSIONS = "/v1/datasets/orders/versions"
RESTORE = "/v1/datasets/orders/restore"


@pytest.fixture
def three(orders: Hands) -> Caller:
    """An organisation with an import, another that added a column, and a restore of the first."""
    orders.write("1")
    orders.write("2", schema=WIDE)
    restore(orders, 0)
    return orders.caller


def test_versions_say_what_made_them(three: Caller) -> None:
    answer = three.get(VERSIONS)
    assert answer.json["next"] is None
    newest, second, first = answer.json["data"]
    assert [(one["version"], one["kind"], one["rows"], one["readable"]) for one in (newest, second, first)] == [
        (2, "restore", 1, True),
        (1, "import", 2, True),
        (0, "import", 1, True),
    ]
    assert (second["files"], newest["files"]) == (2, 1)
    assert second["bytes"] > newest["bytes"] > 0
    assert three.get(newest["links"]["job"]).json["params"] == {"version": 0}
    assert three.get(first["links"]["job"]).json["id"] == first["job_id"]
    assert three.get(second["links"]["self"]).json == second
    assert three.get("/v1/datasets/orders").json["links"]["restore"] == RESTORE


def test_versions_come_in_pages(three: Caller) -> None:
    seen: list[int] = []
    following: str | None = f"{VERSIONS}?limit=2"
    while following is not None:
        page = three.get(following).json
        seen += [one["version"] for one in page["data"]]
        following = page["next"]
    assert seen == [2, 1, 0]
    job_cursor = three.get("/v1/jobs?limit=1").json["next"].partition("cursor=")[2]
    for wrong in ("x", job_cursor):
        document = expect(three.get(f"{VERSIONS}?cursor={wrong}"), problem_types.INVALID_REQUEST)
        assert document["errors"][0]["code"] == "unknown-cursor"


def test_what_there_is_not_is_not_found(three: Caller, caller: Caller) -> None:
    for path in (f"{VERSIONS}/3", f"{VERSIONS}/99999999999999999999", "/v1/datasets/nothing/versions"):
        expect(three.get(path), problem_types.NOT_FOUND)
    expect(web_api.new_caller(caller.http).get(f"{VERSIONS}/0"), problem_types.NOT_FOUND)


def test_a_restore_is_accepted_once(three: Caller) -> None:
    first = three.post(RESTORE, {"version": 1, "label": "undo"}, Idempotency_Key="k")
    assert first.status_code == 202, first.text
    job = first.json
    assert (job["kind"], job["type"], job["params"], job["label"]) == ("restore", "orders", {"version": 1}, "undo")
    assert first.headers["Location"] == job["links"]["self"] == f"/v1/jobs/{job['id']}"
    again = three.post(RESTORE, {"label": "undo", "version": 1}, Idempotency_Key="k")
    assert (again.json["id"], again.headers["Idempotent-Replayed"]) == (job["id"], "true")
    expect(three.post(RESTORE, {"version": 0}, Idempotency_Key="k"), problem_types.IDEMPOTENCY_KEY_REUSED)
    kept = web_api.row(job["id"])
    assert (kept.queue, kept.dataset_versions) == ("imports", {"orders": 1}), "its files are pinned until it is done"


def test_a_dry_run_says_what_would_change_and_accepts_nothing(three: Caller) -> None:
    before = len(three.get("/v1/jobs").json["data"])
    answer = three.post(f"{RESTORE}?dry_run=true", {"version": 1})
    assert answer.status_code == 200
    assert answer.json == {
        "dataset": "orders",
        "version": 1,
        "current_version": 2,
        "rows_now": 1,
        "rows_then": 2,
        "columns_lost": [],
        "columns_back": ["shop"],
        "versions_undone": 1,
    }
    assert len(three.get("/v1/jobs").json["data"]) == before


@pytest.mark.parametrize("asked", ["", "?dry_run=true"])
def test_a_restore_is_refused(three: Caller, orders: Hands, asked: str) -> None:
    orders.give_up(1)
    path = f"{RESTORE}{asked}"
    current = expect(three.post(path, {"version": 2}), problem_types.VERSION_IS_CURRENT)
    assert current["errors"][0]["pointer"] == "#/version"
    assert "newest is 2" in expect(three.post(path, {"version": 3}), problem_types.UNKNOWN_DATASET_VERSION)["detail"]
    assert "no longer kept" in expect(three.post(path, {"version": 1}), problem_types.DATASET_VERSION_GONE)["detail"]
    bodies: list[dict[str, Any]] = [{}, {"version": -1}, {"version": "1"}, {"version": 1.5}, {"version": 1, "why": ""}]
    for body in bodies:
        expect(three.post(path, body), problem_types.INVALID_REQUEST)
    expect(three.post(f"/v1/datasets/nothing/restore{asked}", {"version": 0}), problem_types.NOT_FOUND)
    for scope in (Scope.DATASETS_READ, Scope.REPORTS_WRITE):
        reader = web_api.another_key(three, scope)
        expect(reader.post(path, {"version": 0}), problem_types.INSUFFICIENT_SCOPE)


def test_what_is_gone_says_so_wherever_it_is_named(three: Caller, orders: Hands) -> None:
    report = three.post("/v1/reports", {"type": "rfm", "dataset_versions": {"orders": 1}})
    assert report.status_code == 202
    undo = three.post(RESTORE, {"version": 1}).json
    for job in (report.json, undo):
        three.post(f"/v1/jobs/{job['id']}/cancel")
    orders.give_up(1)
    gone = three.get(f"{VERSIONS}/1").json
    assert (gone["readable"], gone["gone_at"] is None, gone["rows"]) == (False, False, 2)
    kind = problem_types.DATASET_VERSION_GONE
    document = expect(three.post("/v1/reports", {"type": "rfm", "dataset_versions": {"orders": 1}}), kind)
    assert document["errors"][0]["pointer"] == "#/dataset_versions/orders"
    expect(three.post("/v1/reports?dry_run=true", {"type": "rfm", "dataset_versions": {"orders": 1}}), kind)
    expect(three.post(f"/v1/reports/{report.json['id']}/rerun?pinned=true"), kind)
    expect(three.post(f"/v1/jobs/{undo['id']}/rerun"), kind)
    assert three.post(f"/v1/reports/{report.json['id']}/rerun").status_code == 202, "the newest version is there"
    huge = {"type": "rfm", "dataset_versions": {"orders": 10**30}}
    expect(three.post("/v1/reports", huge), problem_types.UNKNOWN_DATASET_VERSION)


def test_a_compaction_is_a_job_like_any_other(three: Caller, orders: Hands) -> None:
    job = orders.accept(JobKind.COMPACTION)
    seen = three.get(f"/v1/jobs/{job.id}").json
    assert (seen["kind"], seen["type"], seen["dataset_version"]) == ("compaction", "orders", None)
    assert three.get("/v1/jobs?kind=compaction").json["data"][0]["id"] == str(job.id)
    assert uuid.UUID(seen["id"]) == job.id
