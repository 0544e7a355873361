"""Reports that are asked for again: what is reused, what is joined, and what is made anew."""

import concurrent.futures
import dataclasses
import json
import uuid
from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy
from billiard import process

from analytics.catalogue import registry
from models import erasure_traces, reuse, session, settings, transitions
from models.job_states import JobKind, Reason
from models.new_job import NewJob
from models.organisation import Organisation
from tests.integration import erasures, web_api
from tests.integration.web_api import Answer, Caller
from web import limits
from workers import report_identity

TABLE = pa.table({"n": [1]})
RFM = {"type": "rfm", "params": {"bins": 4}}
AT_ONCE = 50


def ask(caller: Caller, path: str = "/v1/reports", *, key: str | None = None, **body: Any) -> Answer:
    headers = {"Idempotency_Key": key} if key is not None else {}
    return caller.post(path, {**RFM, **body}, **headers)


def asked(caller: Caller, **body: Any) -> dict[str, Any]:
    """Ask for what is not there yet."""
    answer = ask(caller, **body)
    assert (answer.status_code, answer.json["reused"]) == (202, False), answer.text
    job: dict[str, Any] = answer.json
    return job


def finished(caller: Caller, **body: Any) -> dict[str, Any]:
    job = asked(caller, **body)
    web_api.finish(job["id"], TABLE)
    return job


def is_new(answer: Answer, *, beside: dict[str, Any]) -> bool:
    assert answer.status_code == 202, answer.text
    return not answer.json["reused"] and bool(answer.json["id"] != beside["id"])


def change(statement: str, job: dict[str, Any], **values: Any) -> None:
    with session.transaction() as db:
        changed = db.execute(sqlalchemy.text(f"{statement} RETURNING 1"), {"job": uuid.UUID(job["id"]), **values}).all()
    assert len(changed) == 1


def test_a_stored_result_is_the_answer_to_the_same_question(ready: Caller) -> None:
    job = finished(ready)
    again = ready.send("/v1/reports", b'{"params": {"method":"quantile", "bins":4.0},"type":"rfm"}', "application/json")
    assert (again.status_code, again.json["id"]) == (200, job["id"]), again.text
    assert (again.json["reused"], again.json["status"]) == (True, "succeeded")
    assert again.headers["Location"] == job["links"]["self"]
    assert "Retry-After" not in again.headers
    assert ready.get(again.json["links"]["result"]).status_code == 200
    assert ready.get(job["links"]["self"]).json["reused"] is False, "it tells of a request, not of the job"
    assert len(ready.get("/v1/reports").json["data"]) == 1


@pytest.mark.parametrize("running", [False, True])
def test_a_job_under_way_is_joined(ready: Caller, *, running: bool) -> None:
    job = asked(ready)
    if running:
        web_api.start(job["id"])
    again = ask(ready)
    assert (again.status_code, again.json["id"], again.json["reused"]) == (202, job["id"], True)
    assert int(again.headers["Retry-After"]) >= 1


def test_who_joins_can_wait_for_the_end(ready: Caller) -> None:
    job = asked(ready)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        waiting = pool.submit(ask, _elsewhere(ready), "/v1/reports?wait=20")
        web_api.finish(job["id"], TABLE)
        answer = waiting.result()
    assert (answer.status_code, answer.json["id"], answer.json["status"]) == (200, job["id"], "succeeded")


@pytest.mark.parametrize(
    "other", [{"params": {"bins": 5}}, {"params": {}}, {"type": "revenue_trend", "params": {}}], ids=str
)
def test_another_question_is_another_job(ready: Caller, other: dict[str, Any]) -> None:
    assert is_new(ask(ready, **other), beside=finished(ready))


def test_other_data_are_another_question(ready: Caller) -> None:
    old = finished(ready)
    web_api.give_dataset(ready, "orders", version=4)
    new = finished(ready)
    assert new["id"] != old["id"]
    assert ask(ready).json["id"] == new["id"]
    assert ask(ready, dataset_versions={"orders": 3}).json["id"] == old["id"]
    web_api.give_dataset(ready, "customers", version=0)
    assert is_new(ask(ready), beside=new), "a dataset that is only there now is read as well"


def test_another_definition_is_another_question(ready: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    old = finished(ready)
    kind = registry.REPORT_TYPES["rfm"]
    newer = dataclasses.replace(kind, version=kind.version + 1)
    monkeypatch.setattr(registry, "REPORT_TYPES", {**registry.REPORT_TYPES, "rfm": newer})
    assert is_new(ask(ready), beside=old)


def test_another_organisation_has_its_own(ready: Caller) -> None:
    job = finished(ready)
    other = web_api.new_caller(ready.http)
    web_api.give_dataset(other, "orders", version=3, rows=42)
    assert is_new(ask(other), beside=job)


def test_no_reuse_where_none_is_wanted(ready: Caller) -> None:
    job = finished(ready)
    first = ask(ready, max_age=0)
    assert is_new(first, beside=job)
    assert is_new(ask(ready, max_age=0), beside=first.json)
    assert ask(ready).json["id"] == job["id"], "a result is there at once"


def test_how_old_a_result_may_be(ready: Caller) -> None:
    job = finished(ready)
    change("UPDATE jobs SET finished_at = now() - interval '1 hour' WHERE id = :job", job)
    assert ask(ready, max_age=3700).json["id"] == job["id"]
    newer = ask(ready, max_age=3500)
    assert is_new(newer, beside=job)
    assert ask(ready, max_age=3500).json["id"] == newer.json["id"], "what is being made is younger than any age"
    assert ask(ready).json["id"] == job["id"]
    web_api.finish(newer.json["id"], TABLE)
    assert ask(ready).json["id"] == newer.json["id"], "of two results it is the newer one"


def test_what_has_no_result_is_neither_reused_nor_joined(ready: Caller) -> None:
    cancelled = asked(ready)
    ready.post(cancelled["links"]["cancel"])
    failed = asked(ready)
    attempt = web_api.start(failed["id"]).attempt
    with session.transaction() as db:
        job_id = uuid.UUID(failed["id"])
        assert transitions.fail(db, job_id, attempt=attempt, reason=Reason.PERMANENT_ERROR, error={"type": "x"})
    ending = asked(ready)
    web_api.start(ending["id"])
    ready.post(ending["links"]["cancel"])
    new = asked(ready)
    assert len({job["id"] for job in (cancelled, failed, ending, new)}) == 4


def test_a_cancelled_job_is_cancelled_for_all_who_joined_it(ready: Caller) -> None:
    job = asked(ready)
    assert ask(ready).json["id"] == job["id"]
    assert ready.post(job["links"]["cancel"], {"reason": "enough"}).json["status"] == "cancelled"
    assert ready.get(job["links"]["self"]).json["cancellation"]["reason"] == "enough"
    assert is_new(ask(ready), beside=job)


def test_a_result_that_is_gone_is_made_anew(ready: Caller) -> None:
    expired = finished(ready)
    change("UPDATE results SET expires_at = now() - interval '1 second' WHERE job_id = :job", expired)
    removed = finished(ready)
    change("DELETE FROM results WHERE job_id = :job", removed)
    erased = finished(ready)
    with session.transaction() as db:
        assert erasure_traces.remove_result(db, uuid.UUID(erased["id"]))
    new = finished(ready)
    assert len({job["id"] for job in (expired, removed, erased, new)}) == 4


def test_a_job_whose_question_was_changed_is_not_recognised_by_it(ready: Caller) -> None:
    for column, value in (("dataset_versions", {"orders": 4}), ("params", {"bins": 9}), ("type", "revenue_trend")):
        job = asked(ready)
        kept = value if column == "type" else json.dumps(value)
        kind = "text" if column == "type" else "jsonb"
        change(f"UPDATE jobs SET {column} = CAST(:value AS {kind}) WHERE id = :job", job, value=kept)
        assert web_api.row(job["id"]).reuse_key is None
        again = ask(ready)
        assert is_new(again, beside=job)
        ready.post(again.json["links"]["cancel"])


def test_a_reused_result_is_kept_as_long_as_a_new_one(ready: Caller) -> None:
    job = finished(ready)
    made = ready.get(job["links"]["self"]).json["expires_at"]
    assert ask(ready).json["expires_at"] == made, "nothing is written where it makes no difference"
    change("UPDATE results SET expires_at = now() + interval '1 hour' WHERE job_id = :job", job)
    change("UPDATE jobs SET expires_at = now() + interval '1 hour' WHERE id = :job", job)
    assert ask(ready).json["expires_at"] >= made
    with session.transaction() as db:
        query = "SELECT r.expires_at = j.expires_at FROM results r JOIN jobs j ON j.id = r.job_id WHERE j.id = :job"
        assert db.scalar(sqlalchemy.text(query), {"job": uuid.UUID(job["id"])})


def test_a_job_that_is_joined_is_as_urgent_as_the_most_urgent_asks(ready: Caller) -> None:
    job = asked(ready, priority=4)
    assert ask(ready, priority=8).json["priority"] == 8
    assert ask(ready, priority=2).json["priority"] == 8
    assert web_api.row(job["id"]).priority == 8
    web_api.start(job["id"])
    assert ask(ready, priority=9).json["priority"] == 8, "it has had its turn"


def test_a_reused_job_keeps_its_label(ready: Caller) -> None:
    job = finished(ready, label="Q1")
    again = ask(ready, label="Board")
    assert (again.json["id"], again.json["label"]) == (job["id"], "Q1")


def test_a_rerun_is_always_a_new_job_whose_result_others_may_have(ready: Caller) -> None:
    old = finished(ready)
    new = ready.post(old["links"]["rerun"])
    assert is_new(new, beside=old)
    assert ask(ready).json["id"] == old["id"]
    web_api.finish(new.json["id"], TABLE)
    assert ask(ready).json["id"] == new.json["id"]


def test_a_key_stands_for_the_job_that_was_reused(ready: Caller) -> None:
    job = asked(ready)
    first = ask(ready, key="k")
    assert (first.status_code, first.json["id"], first.json["reused"]) == (202, job["id"], True)
    assert "Idempotent-Replayed" not in first.headers
    web_api.finish(job["id"], TABLE)
    web_api.give_dataset(ready, "orders", version=4)
    again = ask(ready, key="k")
    assert (again.status_code, again.json["id"], again.json["reused"]) == (200, job["id"], True)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert ask(ready, key="k", max_age=0).json["type"] == "/docs/problems/idempotency-key-reused"


def test_fifty_at_once_make_one_job_between_them(ready: Caller) -> None:
    answers = _at_once(ready, keyed=False)
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert len({answer.json["id"] for answer in answers}) == 1
    assert Counter(answer.json["reused"] for answer in answers) == {False: 1, True: AT_ONCE - 1}
    assert len(ready.get("/v1/reports").json["data"]) == 1


def test_fifty_at_once_with_keys_of_their_own_make_one_job_between_them(ready: Caller) -> None:
    answers = _at_once(ready, keyed=True)
    assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
    assert Counter(answer.json["reused"] for answer in answers) == {False: 1, True: AT_ONCE - 1}
    assert not any("Idempotent-Replayed" in answer.headers for answer in answers)


def _at_once(caller: Caller, *, keyed: bool) -> list[Answer]:
    keys = [str(number) if keyed else None for number in range(AT_ONCE)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        return [future.result() for future in [pool.submit(ask, _elsewhere(caller), key=key) for key in keys]]


def _elsewhere(caller: Caller) -> Caller:
    """The same caller with a client of its own: Flask's is not made for threads."""
    return Caller(caller.http.application.test_client(), caller.organisation_id, caller.secret)


def test_what_is_there_needs_no_room(ready: Caller) -> None:
    with session.transaction() as db:
        db.get_one(Organisation, ready.organisation_id).max_unfinished = 1
    job = finished(ready)
    # Otherwise it would be a moment before the end of the job is noticed.
    limits._known_of_process.cache_clear()
    under_way = asked(ready, params={"bins": 5})
    assert ask(ready, params={"bins": 6}).json["type"] == "/docs/problems/too-many-jobs"
    assert ask(ready, max_age=0).json["type"] == "/docs/problems/too-many-jobs"
    assert ask(ready).json["id"] == job["id"]
    assert ask(ready, key="k", params={"bins": 5}).json["id"] == under_way["id"]


def test_a_dry_run_says_which_job_would_be_used(ready: Caller) -> None:
    dry = "/v1/reports?dry_run=true"
    assert (ask(ready, dry).json["reused"], ask(ready, dry).json["job"]) == (False, None)
    job = asked(ready, label="Q1")
    joined = ask(ready, dry).json
    assert (joined["reused"], joined["job"]["id"], joined["job"]["status"]) == (True, job["id"], "queued")
    web_api.finish(job["id"], TABLE)
    reused = ask(ready, dry).json["job"]
    assert (reused["status"], reused["label"], reused["links"]) == ("succeeded", "Q1", {"self": job["links"]["self"]})
    assert reused["finished_at"].endswith("Z")
    assert ask(ready, dry, max_age=0).json["job"] is None
    assert len(ready.get("/v1/reports").json["data"]) == 1


def test_another_request_that_stays_undecided_is_not_waited_for_long(ready: Caller) -> None:
    new = NewJob(
        organisation_id=ready.organisation_id,
        kind=JobKind.REPORT,
        type="rfm",
        params={},
        queue="reports",
        reuse_key=uuid.uuid4().bytes,
    )
    with session.transaction() as first:
        assert not reuse.accept(first, new, keep_for=web_api.KEEP).reused
        with pytest.raises(reuse.BusyError):
            _accept_impatiently(new)
    with session.transaction() as third:
        assert reuse.accept(third, new, keep_for=web_api.KEEP).reused


def _accept_impatiently(new: NewJob) -> None:
    with session.transaction() as db:
        db.execute(sqlalchemy.text("SET LOCAL lock_timeout = '100ms'"))
        reuse.accept(db, new, keep_for=web_api.KEEP)


def test_a_worker_of_another_release_makes_nothing_that_others_are_given(
    database: settings.Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The place in the pool that Celery gives to a child, and no broker to publish what comes next.
    monkeypatch.setattr(process.current_process(), "index", 0, raising=False)
    monkeypatch.setattr("workers.runtime.publisher.publish", lambda _lanes: None)
    shop = erasures.open_shop()
    shop.give("orders", "order_id,customer_id,ordered_at,amount,currency\no1,c1,2026-01-05,10.50,GBP\n")
    kind = registry.REPORT_TYPES["rfm"]
    params = kind.parse_params({}, timezone="UTC", currency="GBP")
    question: dict[str, Any] = {"params": params.model_dump(mode="json"), "dataset_versions": {"orders": 0}}
    for version, is_kept in ((kind.version, True), (kind.version + 1, False)):
        of_web = dataclasses.replace(kind, version=version)
        key = report_identity.key(shop.organisation_id, of_web, params, {"orders": 0})
        done = shop.run(shop.accept(JobKind.REPORT, "rfm", reuse_key=key, **question))
        assert (done.status, done.reuse_key) == ("succeeded", key if is_kept else None), done.error
