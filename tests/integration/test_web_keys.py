"""API keys over HTTP: shown once, never more than their maker, two secrets while one replaces the other, useless once revoked."""

import hashlib
import time
import uuid
from collections.abc import Callable
from concurrent import futures
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import structlog.testing

from models import api_keys, organisations, session, tables
from models.api_key import ApiKey, OldSecret, Scope
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller
from web import known_keys

READER = {"name": "reader", "scopes": ["reports:read"]}


def made(caller: Caller, body: Any = None, **headers: str) -> dict[str, Any]:
    answer = caller.post("/v1/api-keys", body or READER, **headers)
    assert answer.status_code == 201, answer.text
    key: dict[str, Any] = answer.json
    assert answer.headers["Location"] == key["links"]["self"] == f"/v1/api-keys/{key['id']}"
    return key


def rotated(caller: Caller, key: dict[str, Any], overlap: int | None = None, **headers: str) -> dict[str, Any]:
    body = {} if overlap is None else {"overlap_seconds": overlap}
    answer = caller.post(key["links"]["rotate"], body, **headers)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json
    return found


def status(caller: Caller, secret: str, path: str = "/v1/reports") -> int:
    return caller.call("GET", path, Authorization=f"Bearer {secret}").status_code


def eventually(what: Callable[[], int], is_: int) -> None:
    """Wait for as long as keys are remembered, and a little for a machine that is busy."""
    deadline = time.monotonic() + known_keys.SECONDS + 5
    while what() != is_:
        assert time.monotonic() < deadline, "still not"
        time.sleep(0.05)


def refused(answer: Answer, status_code: int, slug: str) -> dict[str, Any]:
    assert (answer.status_code, answer.json["type"]) == (status_code, f"/docs/problems/{slug}"), answer.text
    document: dict[str, Any] = answer.json
    return document


def test_a_key_is_made_shown_once_and_works(caller: Caller) -> None:
    expires = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)
    key = made(caller, {**READER, "expires_at": expires.isoformat()})
    assert len(key["api_key"]) == len("rk_") + 43, "256 bits in base64"
    assert key["api_key"].startswith(key["prefix"])
    assert (key["status"], key["scopes"], key["rotated_at"]) == ("active", ["reports:read"], None)
    assert datetime.fromisoformat(key["expires_at"]) == expires
    assert key["created_by"] == f"key {caller.secret[:10]}"
    assert status(caller, key["api_key"]) == 200
    assert status(caller, key["api_key"], "/v1/datasets") == 403
    shown = caller.get(key["links"]["self"])
    assert "api_key" not in shown.json
    assert shown.json["last_used_at"] is not None
    assert key["api_key"] not in shown.text + caller.get("/v1/api-keys").text


def test_nothing_that_is_kept_gives_the_secret_back(caller: Caller) -> None:
    key = made(caller, Idempotency_Key="once")
    second = rotated(caller, key, Idempotency_Key="twice")
    with session.transaction() as db:
        kept = [str(row) for table in tables.Base.metadata.sorted_tables for row in db.execute(sa.select(table))]
        digest = db.scalar(sa.select(ApiKey.sha256).where(ApiKey.id == uuid.UUID(key["id"])))
    for secret in (key["api_key"], second["api_key"]):
        assert not any(secret in row or secret.removeprefix("rk_") in row for row in kept)
    assert digest == hashlib.sha256(second["api_key"].encode()).digest()


def test_the_list_has_every_key_once_newest_first(caller: Caller) -> None:
    ids = [made(caller)["id"] for _ in range(4)]
    web_api.new_caller(caller.http)
    seen: list[str] = []
    path: str | None = "/v1/api-keys?limit=2"
    while path is not None:
        page = caller.get(path).json
        assert len(page["data"]) <= 2
        seen += [key["id"] for key in page["data"]]
        path = page["next"]
    assert seen[:4] == ids[::-1]
    assert len(seen) == 5, "and the first, which the caller speaks with"


def test_a_key_is_renamed_and_nothing_else_can_be_changed(caller: Caller) -> None:
    key = made(caller)
    answer = caller.http.patch(
        key["links"]["self"], json={"name": "other"}, headers={"Authorization": f"Bearer {caller.secret}"}
    )
    assert answer.status_code == 200
    assert answer.json == {**{name: value for name, value in key.items() if name != "api_key"}, "name": "other"}
    for body, pointer in (({"name": "x", "scopes": ["admin"]}, "#/scopes"), ({}, "#/name"), ({"name": ""}, "#/name")):
        wrong = caller.http.patch(key["links"]["self"], json=body, headers={"Authorization": f"Bearer {caller.secret}"})
        assert [one["pointer"] for one in refused(wrong, 422, "invalid-request")["errors"]] == [pointer]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"scopes": ["reports:read"]}, "#/name"),
        ({"name": "x"}, "#/scopes"),
        ({"name": "x", "scopes": []}, "#/scopes"),
        ({"name": "x", "scopes": ["everything"]}, "#/scopes/0"),
        ({"name": "x", "scopes": "admin"}, "#/scopes"),
        ({"name": "x" * 101, "scopes": ["admin"]}, "#/name"),
        ({**READER, "expires_at": "2020-01-01T00:00:00Z"}, "#/expires_at"),
        ({**READER, "expires_at": "2099-01-01T00:00:00"}, "#/expires_at"),
        ({**READER, "expires_in": 5}, "#/expires_in"),
    ],
)
def test_wrong_fields_are_pointed_at(caller: Caller, body: Any, pointer: str) -> None:
    answer = caller.post("/v1/api-keys", body)
    assert [one["pointer"] for one in refused(answer, 422, "invalid-request")["errors"]] == [pointer]


def test_only_an_admin_makes_keys(caller: Caller) -> None:
    everything_else = web_api.another_key(caller, *(scope for scope in Scope if scope is not Scope.ADMIN))
    key = made(caller)
    for answer in (
        everything_else.post("/v1/api-keys", READER),
        everything_else.get("/v1/api-keys"),
        everything_else.post(key["links"]["rotate"]),
        everything_else.call("DELETE", key["links"]["self"], Authorization=f"Bearer {everything_else.secret}"),
    ):
        assert refused(answer, 403, "insufficient-scope")["scopes_needed"] == ["admin"]


def test_while_a_secret_is_replaced_both_work(caller: Caller) -> None:
    first = made(caller)
    second = rotated(caller, first)
    assert second["id"] == first["id"]
    assert second["prefix"] != first["prefix"]
    assert second["rotated_at"] is not None
    assert [one["prefix"] for one in second["earlier_secrets"]] == [first["prefix"]]
    until = datetime.fromisoformat(second["earlier_secrets"][0]["works_until"])
    assert abs(until - datetime.now(UTC) - timedelta(days=1)) < timedelta(minutes=1)
    third = rotated(caller, first, overlap=60)
    secrets = [one["api_key"] for one in (first, second, third)]
    assert [status(caller, secret) for secret in secrets] == [200, 200, 200]
    ends = [datetime.fromisoformat(one["works_until"]) for one in third["earlier_secrets"]]
    assert len(ends) == 2
    assert max(ends) < datetime.now(UTC) + timedelta(seconds=61), "a shorter overlap holds for all that came before"


def test_after_the_overlap_the_old_secret_ends(caller: Caller) -> None:
    first = made(caller)
    second = rotated(caller, first, overlap=3600)
    assert status(caller, first["api_key"]) == 200
    with session.transaction() as db:
        db.execute(sa.update(OldSecret).where(OldSecret.prefix == first["prefix"]).values(expires_at=sa.func.now()))
    eventually(lambda: status(caller, first["api_key"]), 401)
    assert status(caller, second["api_key"]) == 200
    assert caller.get(first["links"]["self"]).json["earlier_secrets"] == []


def test_a_leaked_secret_ends_at_once(caller: Caller) -> None:
    first = made(caller)
    second = rotated(caller, first)
    assert status(caller, first["api_key"]) == status(caller, second["api_key"]) == 200
    third = rotated(caller, first, overlap=0)
    eventually(lambda: status(caller, first["api_key"]), 401)
    eventually(lambda: status(caller, second["api_key"]), 401)
    assert status(caller, third["api_key"]) == 200
    assert third["earlier_secrets"] == []


def test_an_old_secret_does_not_outlive_its_key(caller: Caller) -> None:
    soon = datetime.now(UTC) + timedelta(hours=1)
    first = made(caller, {**READER, "expires_at": soon.isoformat()})
    second = rotated(caller, first)
    assert second["earlier_secrets"][0]["works_until"] == second["expires_at"]
    with session.transaction() as db:
        db.execute(sa.update(ApiKey).where(ApiKey.id == uuid.UUID(first["id"])).values(expires_at=sa.func.now()))
    assert [status(caller, one["api_key"]) for one in (first, second)] == [401, 401]
    assert caller.get(first["links"]["self"]).json["status"] == "expired"
    refused(caller.post(first["links"]["rotate"]), 409, "key-not-active")


def revoke(caller: Caller, path: str) -> Answer:
    return caller.call("DELETE", path, Authorization=f"Bearer {caller.secret}")


def test_a_revoked_key_is_worth_nothing_within_a_second_and_stays_in_the_list(caller: Caller) -> None:
    first = made(caller)
    second = rotated(caller, first)
    assert [status(caller, one["api_key"]) for one in (first, second)] == [200, 200]
    answer = revoke(caller, first["links"]["self"])
    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["revoked_by"]) == ("revoked", f"key {caller.secret[:10]}")
    assert answer.json["earlier_secrets"] == []
    for one in (first, second):
        eventually(lambda secret=one["api_key"]: status(caller, secret), 401)  # type: ignore[misc]
    again = revoke(caller, first["links"]["self"])
    assert again.json == answer.json, "revoking it again changes nothing"
    assert first["id"] in [key["id"] for key in caller.get("/v1/api-keys").json["data"]]
    refused(caller.post(first["links"]["rotate"]), 409, "key-not-active")


def test_the_last_admin_key_cannot_be_revoked(caller: Caller) -> None:
    (own,) = caller.get("/v1/api-keys").json["data"]
    made(caller)
    refused(revoke(caller, own["links"]["self"]), 409, "last-admin-key")
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    other = made(caller, {"name": "second admin", "scopes": ["admin"], "expires_at": soon})
    with session.transaction() as db:
        db.execute(sa.update(ApiKey).where(ApiKey.id == uuid.UUID(other["id"])).values(expires_at=sa.func.now()))
    refused(revoke(caller, own["links"]["self"]), 409, "last-admin-key")
    made(caller, {"name": "third admin", "scopes": ["admin"]})
    assert revoke(caller, own["links"]["self"]).status_code == 200


def test_two_admins_who_revoke_each_other_at_once_leave_one(caller: Caller) -> None:
    for _ in range(3):
        one = web_api.new_caller(caller.http)
        other = web_api.another_key(one, Scope.ADMIN)
        paths = [key["links"]["self"] for key in one.get("/v1/api-keys").json["data"]]
        with futures.ThreadPoolExecutor(2) as threads:
            answers = list(threads.map(revoke, (one, other), paths))
        assert sorted(answer.status_code for answer in answers) in ([200, 409], [200, 401])


def test_a_retry_makes_one_key_and_does_not_get_its_secret(caller: Caller) -> None:
    first = made(caller, Idempotency_Key="k1")
    again = caller.post("/v1/api-keys", READER, Idempotency_Key="k1")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (201, "true")
    assert again.json == {**first, "api_key": None}
    refused(caller.post("/v1/api-keys", {**READER, "name": "b"}, Idempotency_Key="k1"), 422, "idempotency-key-reused")
    assert len(caller.get("/v1/api-keys").json["data"]) == 2
    second = rotated(caller, first, Idempotency_Key="k2")
    assert "Idempotent-Replayed" not in caller.get("/v1/api-keys").headers
    assert rotated(caller, first, Idempotency_Key="k2") == {**second, "api_key": None}
    third = rotated(caller, first, Idempotency_Key="k3")
    assert [status(caller, one["api_key"]) for one in (first, second, third)] == [200, 200, 200], (
        "whoever lost an answer asks again, and those who use the first secret do not notice"
    )


def test_ten_requests_at_once_with_one_key_make_one(caller: Caller) -> None:
    with futures.ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(lambda _: caller.post("/v1/api-keys", READER, Idempotency_Key="k"), range(10)))
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len([1 for answer in answers if answer.status_code == 201 and answer.json["api_key"]]) == 1
    assert len(caller.get("/v1/api-keys").json["data"]) == 2


def test_there_is_an_end_to_how_many_keys_work(caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_keys, "MOST_PER_ORGANISATION", 2)
    key = made(caller)
    refused(caller.post("/v1/api-keys", READER), 409, "too-many-keys")
    revoke(caller, key["links"]["self"])
    made(caller)


def test_another_organisations_keys_do_not_exist(caller: Caller) -> None:
    key = made(caller)
    stranger = web_api.new_caller(caller.http)
    for answer in (
        stranger.get(key["links"]["self"]),
        stranger.post(key["links"]["rotate"]),
        revoke(stranger, key["links"]["self"]),
    ):
        theirs = refused(answer, 404, "not-found")
        assert theirs["detail"] == refused(stranger.get(f"/v1/api-keys/{uuid.uuid4()}"), 404, "not-found")["detail"]
    assert key["id"] not in stranger.get("/v1/api-keys").text
    assert caller.get(key["links"]["self"]).json["status"] == "active"


def test_what_happens_to_keys_is_in_the_log_and_their_secrets_are_not(caller: Caller) -> None:
    with structlog.testing.capture_logs() as lines:
        key = made(caller, Idempotency_Key="k")
        caller.post("/v1/api-keys", READER, Idempotency_Key="k")
        second = rotated(caller, key)
        revoke(caller, key["links"]["self"])
        revoke(caller, key["links"]["self"])
    events = [(line["event"], line["key_id"]) for line in lines if line["event"].startswith("key ")]
    assert events == [(f"key {what}", key["id"]) for what in ("created", "rotated", "revoked")]
    assert not any(secret in str(lines) for secret in (caller.secret, key["api_key"], second["api_key"]))


def test_the_organisation_of_an_old_secret_is_found_behind_the_door(caller: Caller) -> None:
    first = made(caller)
    rotated(caller, first)
    with session.statement() as db:
        found = organisations.find_valid_key(db, first["api_key"])
    assert found is not None
    assert (found.organisation_id, found.prefix) == (caller.organisation_id, first["prefix"])
    assert found.seconds_left is not None
    assert 86_000 < found.seconds_left <= 86_400
