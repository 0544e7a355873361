"""Idempotency keys: the same request makes one job, however often and from wherever it is sent."""

import concurrent.futures
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy

from models import idempotency, session, settings
from models.api_key import Scope
from models.failpoints import Point
from tests.integration import web_api
from tests.integration.web_api import CSV, Answer, Caller
from web import problem_types

RFM = {"type": "rfm", "params": {"bins": 4}}
IMPORT = "/v1/imports?dataset=orders"
AT_ONCE = 50


@pytest.fixture
def arm(
    database: settings.Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Point], None]]:
    """Let the connection to the database break once at a named point."""
    monkeypatch.setenv("FAILPOINTS_DIR", str(tmp_path))
    settings.load.cache_clear()
    assert settings.load().upload_folder == database.upload_folder

    def arm_point(point: Point) -> None:
        (tmp_path / point.value).write_text("disconnect", encoding="ascii")

    yield arm_point
    monkeypatch.undo()
    settings.load.cache_clear()
    assert [path.name for path in tmp_path.iterdir() if ".hit." not in path.name] == [], "a point was never reached"


def ask(caller: Caller, key: str, path: str = "/v1/reports", **body: Any) -> Answer:
    return caller.post(path, {**RFM, **body}, Idempotency_Key=key)


def ask_report(caller: Caller) -> Answer:
    return ask(caller, "r")


def ask_import(caller: Caller) -> Answer:
    return caller.send(IMPORT, CSV, Idempotency_Key="i")


def jobs_of(caller: Caller) -> list[dict[str, Any]]:
    data: list[dict[str, Any]] = caller.get("/v1/jobs?limit=100").json["data"]
    return [job for job in data if job["status"] != "cancelled"]


def expect(answer: Answer, kind: problem_types.ProblemType) -> dict[str, Any]:
    document: dict[str, Any] = answer.json
    assert (answer.status_code, document["type"]) == (kind.status, kind.uri), answer.text
    return document


def test_the_same_request_again_is_answered_with_the_same_job(ready: Caller) -> None:
    first = ask(ready, "k")
    assert "Idempotent-Replayed" not in first.headers
    again = ready.send(
        "/v1/reports", b' { "params" : {"bins":4},"priority":5,\n"type":"rfm"}', "application/json", Idempotency_Key="k"
    )
    assert again.status_code == 202
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.headers["Location"] == first.headers["Location"]
    assert again.json == first.json
    assert len(jobs_of(ready)) == 1


def test_without_a_key_each_request_for_a_new_result_is_a_job(ready: Caller) -> None:
    anew = {**RFM, "max_age": 0}
    assert ready.post("/v1/reports", anew).json["id"] != ready.post("/v1/reports", anew).json["id"]


def test_a_replay_is_202_and_200_only_for_who_waits_for_a_finished_job(ready: Caller) -> None:
    job = ask(ready, "k").json
    web_api.finish(job["id"], pa.table({"n": [1]}))
    again = ask(ready, "k")
    assert (again.status_code, again.json["status"]) == (202, "succeeded")
    waited = ready.post("/v1/reports?wait=5", RFM, Idempotency_Key="k")
    assert (waited.status_code, waited.json["id"]) == (200, job["id"])
    assert waited.headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize(
    "other",
    [
        {"params": {"bins": 3}},
        {"params": {}},
        {"type": "revenue_trend", "params": {}},
        {"label": "other"},
        {"priority": 6},
        {"dataset_versions": {"orders": 3}},
    ],
    ids=str,
)
def test_a_key_stands_for_one_request(ready: Caller, other: dict[str, Any]) -> None:
    job = ask(ready, "k").json
    expect(ask(ready, "k", **other), problem_types.IDEMPOTENCY_KEY_REUSED)
    expect(ready.send(IMPORT, CSV, Idempotency_Key="k"), problem_types.IDEMPOTENCY_KEY_REUSED)
    assert [one["id"] for one in jobs_of(ready)] == [job["id"]]
    assert ask(ready, "k").json["id"] == job["id"]


def test_an_import_is_its_options_and_its_bytes(caller: Caller, folder: Path) -> None:
    first = caller.send(f"{IMPORT}&mode=append", CSV, Idempotency_Key="k").json
    kept = set(folder.iterdir())
    again = caller.send("/v1/imports?mode=append&dataset=orders&wait=0", CSV, Idempotency_Key="k")
    assert (again.status_code, again.json["id"]) == (202, first["id"])
    assert again.headers["Idempotent-Replayed"] == "true"
    for path, content in (
        (IMPORT, CSV),
        (f"{IMPORT}&mode=append&priority=1", CSV),
        (f"{IMPORT}&mode=append", CSV + b"2\n"),
    ):
        expect(caller.send(path, content, Idempotency_Key="k"), problem_types.IDEMPOTENCY_KEY_REUSED)
    assert set(folder.iterdir()) == kept, "a file was kept that no job needs"


def test_keys_are_the_organisations_own(ready: Caller) -> None:
    other = web_api.new_caller(ready.http)
    web_api.give_dataset(other)
    assert ask(ready, "k").json["id"] != ask(other, "k").json["id"]
    colleague = web_api.another_key(ready, Scope.REPORTS_WRITE)
    assert ask(colleague, "k").headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("key", ["", "x" * 256, "\xe9", "a\tb"])
def test_what_is_no_key(ready: Caller, folder: Path, key: str) -> None:
    kept = set(folder.iterdir())
    for answer in (ask(ready, key), ready.send(IMPORT, CSV, Idempotency_Key=key)):
        document = expect(answer, problem_types.INVALID_REQUEST)
        assert document["errors"][0]["pointer"] == "#/header/Idempotency-Key"
    assert (jobs_of(ready), set(folder.iterdir())) == ([], kept)


def test_the_longest_key_and_odd_characters(ready: Caller) -> None:
    for key in ("x" * 255, '"8e03978e" \'; -- ~', "1"):
        assert ask(ready, key).json["id"] == ask(ready, key).json["id"]


def test_a_dry_run_judges_a_key_and_takes_none(ready: Caller) -> None:
    assert ask(ready, "", "/v1/reports?dry_run=true").status_code == 422
    assert ask(ready, "k", "/v1/reports?dry_run=true").status_code == 200
    assert "Idempotent-Replayed" not in ask(ready, "k", params={}).headers


def test_a_refused_request_takes_no_key(ready: Caller) -> None:
    assert ask(ready, "k", params={"bins": -1}).status_code == 422
    assert ask(ready, "k").status_code == 202


def test_after_its_day_a_key_is_free(ready: Caller) -> None:
    job = ask(ready, "k").json
    _age(ready, "k", "23:59:00")
    assert ask(ready, "k").json["id"] == job["id"]
    _age(ready, "k", "24:00:01")
    later = ask(ready, "k", params={"bins": 3})
    assert (later.status_code, later.json["id"] != job["id"]) == (202, True)
    assert ask(ready, "k", params={"bins": 3}).json["id"] == later.json["id"]
    _age(ready, "k", "24:00:01")
    with session.transaction() as db:
        assert idempotency.forget_old(db) >= 1


def _age(caller: Caller, key: str, age: str) -> None:
    with session.transaction() as db:
        changed = db.execute(
            sqlalchemy.text(
                "UPDATE idempotency_keys SET created_at = now() - CAST(:age AS interval) "
                "WHERE organisation_id = :organisation AND key = :key RETURNING 1"
            ),
            {"age": age, "organisation": caller.organisation_id, "key": key},
        ).all()
    assert len(changed) == 1


def _at_once(send: Callable[[], Answer]) -> list[Answer]:
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(send) for _ in range(AT_ONCE)]]


def test_fifty_at_once_make_one_report(ready: Caller) -> None:
    answers = _at_once(lambda: _elsewhere(ready).post("/v1/reports", RFM, Idempotency_Key="k"))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert Counter(answer.headers.get("Idempotent-Replayed") for answer in answers) == {None: 1, "true": AT_ONCE - 1}
    assert len(jobs_of(ready)) == 1


def test_fifty_at_once_make_one_import_and_keep_one_file(caller: Caller, folder: Path) -> None:
    kept = set(folder.iterdir())
    answers = _at_once(lambda: _elsewhere(caller).send(IMPORT, CSV, Idempotency_Key="k"))
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len(jobs_of(caller)) == 1
    assert {path.name for path in set(folder.iterdir()) - kept} == {answers[0].json["id"]}


def test_fifty_different_requests_at_once_with_one_key(ready: Caller) -> None:
    labels = iter(map(str, range(AT_ONCE)))
    answers = _at_once(lambda: ask(_elsewhere(ready), "k", label=next(labels)))
    assert Counter(answer.status_code for answer in answers) == {202: 1, 422: AT_ONCE - 1}
    assert len(jobs_of(ready)) == 1


def _elsewhere(caller: Caller) -> Caller:
    """The same caller with a client of its own: Flask's is not made for threads."""
    return Caller(caller.http.application.test_client(), caller.organisation_id, caller.secret)


def test_a_key_that_stays_undecided_is_409_and_free_when_its_request_fails(ready: Caller) -> None:
    job_id = uuid.UUID(ready.post("/v1/reports", RFM).json["id"])
    with session.engine().connect() as connection:
        connection.execute(
            sqlalchemy.insert(idempotency.IdempotencyKey).values(
                organisation_id=ready.organisation_id, key="k", request_sha256=b"x" * 32, job_id=job_id
            )
        )
        began = time.monotonic()
        answer = ask(ready, "k")
        assert 2.5 < time.monotonic() - began < 5
        connection.rollback()
    expect(answer, problem_types.IDEMPOTENCY_KEY_IN_USE)
    assert answer.headers["Retry-After"] == "1"
    assert "Idempotent-Replayed" not in ask(ready, "k").headers


def test_a_lock_that_is_not_the_keys_is_not_the_keys_fault(ready: Caller) -> None:
    with session.engine().connect() as connection:
        connection.execute(sqlalchemy.text("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE"))
        answer = ask(ready, "k")
    expect(answer, problem_types.DATABASE_UNAVAILABLE)
    assert "nothing was accepted" in answer.json["detail"]
    assert len(jobs_of(ready)) == 0


def test_a_connection_that_breaks_before_the_commit_leaves_nothing(
    ready: Caller, arm: Callable[[Point], None], folder: Path
) -> None:
    kept = set(folder.iterdir())
    for send in (ask_report, ask_import):
        arm(Point.ACCEPT_BEFORE_COMMIT)
        expect(send(ready), problem_types.DATABASE_UNAVAILABLE)
        assert (jobs_of(ready), set(folder.iterdir())) == ([], kept)
    assert "Idempotent-Replayed" not in ask_report(ready).headers


@pytest.mark.parametrize("point", [Point.ACCEPT_AFTER_COMMIT, Point.RESPOND])
def test_an_unknown_outcome_is_said_and_the_retry_finds_the_job(
    ready: Caller, arm: Callable[[Point], None], folder: Path, point: Point
) -> None:
    for number, send in enumerate((ask_report, ask_import)):
        arm(point)
        refused = send(ready)
        document = expect(refused, problem_types.OUTCOME_UNKNOWN)
        assert int(refused.headers["Retry-After"]) >= 1
        assert "nothing was accepted" not in document["detail"]
        job = jobs_of(ready)[0]
        again = send(ready)
        assert (again.status_code, again.json["id"]) == (202, job["id"])
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(jobs_of(ready)) == number + 1
    assert (folder / jobs_of(ready)[0]["id"]).read_bytes() == CSV
