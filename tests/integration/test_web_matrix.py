"""Every operation of the API for every caller who may not: without a key, with a wrong one, without the scope, of elsewhere.

The operations are those of the OpenAPI document, which another test holds against the routes: a new route is in this matrix,
or, where it takes an id that is not known here, fails it.
"""

import ipaddress
import itertools
import re
import typing
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import flask.testing
import pyarrow as pa
import pytest
import sqlalchemy as sa

from models import organisations, session, tables
from models.api_key import Scope
from models.organisation import Organisation
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller
from web import auth, operations
from web.operation import Operation

OPERATIONS = {operation.name: operation for operation in operations.ALL}
GUARDED = [operation for operation in operations.ALL if operation.scopes]
OPEN = {"healthz", "readyz", "metrics", "openapi"}
# Open to whoever has what was signed; `test_download_links` bends it.
SIGNED = {"download"}

# What stands in a path and is nobody's alone: every organisation has its own under the same name.
NAMES = {"name": "orders", "version": "3", "customer_id": "a"}
NAMES_OF = {"get_report_type": {"name": "rfm"}}
# What is asked is well-formed, so that nothing else is refused first.
QUERIES = {"get_diff": "against={job_id}", "submit_import": "dataset=orders"}
BODIES: Mapping[str, Mapping[str, Any]] = {"KeyChange": {"name": "x"}, "RestoreRequest": {"version": 3}}
# What the owner is told of the little that this world has: rows without keys, and a dataset without files.
MORE_IS_NEEDED = {"get_diff": 422, "get_customer": 409}
TABLE = pa.table({"customer_id": ["a", "b"]})
LABEL = "what the owner calls it"
SCHEDULE = {"name": LABEL, "type": "rfm", "cron": "0 7 1 * *"}

_ADDRESSES = (str(ipaddress.ip_address("10.0.0.0") + number) for number in itertools.count())


@dataclass(frozen=True)
class World:
    """An organisation that has one of everything, and another that has a report of its own."""

    owner: Caller
    stranger: Caller
    ids: Mapping[str, str]
    imported: str
    stranger_report: str

    def path(self, operation: Operation, ids: Mapping[str, str] | None = None) -> str:
        """The path of an operation, with the owner's ids in it unless others are given."""
        known = {**NAMES, **NAMES_OF.get(operation.name, {}), **self.ids, **(ids or {})}
        if operation.path.startswith("/v1/imports/") and ids is None:
            known["job_id"] = self.imported
        path = operation.path.format_map(known)
        return f"{path}?{QUERIES[operation.name].format_map(self.ids)}" if operation.name in QUERIES else path

    def send(self, operation: Operation, path: str, authorization: str | None) -> Answer:
        body = None if operation.body is None else BODIES.get(operation.body.__name__, {})
        answer: Answer = self.owner.http.open(
            path,
            method=operation.method.upper(),
            json=body,
            headers={} if authorization is None else {"Authorization": authorization},
            # Whoever sends many wrong keys is kept out; here it is always somebody else.
            environ_overrides={"REMOTE_ADDR": next(_ADDRESSES)},
        )
        return answer


@pytest.fixture(scope="module")
def world(http: flask.testing.FlaskClient) -> Iterator[World]:
    owner, stranger = web_api.new_caller(http), web_api.new_caller(http)
    web_api.give_dataset(owner, "orders", version=3)
    report = _made(owner.post("/v1/reports", {"type": "rfm", "label": LABEL}))
    web_api.finish(report, TABLE)
    imported = _made(owner.send("/v1/imports?dataset=orders", web_api.CSV))
    counts = dict.fromkeys(("read", "inserted", "updated", "unchanged", "rejected"), 2)
    web_api.finish(imported, TABLE, outcome={"rows": counts, "mapping": {}, "dataset_version": 3, "warnings": []})
    schedule = _made(owner.post("/v1/schedules", SCHEDULE))
    webhook = _made(owner.post("/v1/webhooks", {"url": "https://hooks.example.com/", "description": LABEL}))
    delivery = _made(owner.post(f"/v1/webhooks/{webhook}/test?wait=0"))
    key = _made(owner.post("/v1/api-keys", {"name": LABEL, "scopes": ["reports:read"]}))
    ids = {"job_id": report, "schedule_id": schedule, "webhook_id": webhook, "delivery_id": delivery, "key_id": key}
    web_api.give_dataset(stranger, "orders", version=1)
    yield World(owner, stranger, ids, imported, _made(stranger.post("/v1/reports", {"type": "rfm"})))
    with session.transaction() as db:
        db.execute(sa.update(tables.Schedule).values(deleted_at=sa.func.now()).where(tables.Schedule.id == schedule))
        db.execute(sa.delete(tables.Webhook).where(tables.Webhook.id == webhook))


def _made(answer: Answer) -> str:
    assert answer.status_code in {201, 202}, answer.text
    identity: str = answer.json["id"]
    return identity


@pytest.fixture(scope="module")
def useless(world: World) -> Mapping[str, str]:
    """Keys that are worth nothing, each for its own reason."""
    with session.transaction() as db:
        owner = db.get_one(Organisation, world.owner.organisation_id)
        over = datetime.now(UTC) - timedelta(seconds=1)
        expired = organisations.issue_key(db, owner, name="old", scopes=[Scope.ADMIN], expires_at=over)
        revoked = organisations.issue_key(db, owner, name="lost", scopes=[Scope.ADMIN])
        organisations.revoke_key(db, revoked.key.id)
    return {
        "unknown": organisations.new_secret().text,
        "almost right": world.owner.secret[:-1] + ("A" if world.owner.secret[-1] != "A" else "B"),
        "expired": expired.secret,
        "revoked": revoked.secret,
        "long": "rk_" + "x" * 500,
        "not ASCII": "rk_\xe9",
    }


def problem(answer: Answer, status: int, slug: str) -> dict[str, Any]:
    """Check that an answer is this problem and says nothing else, and return it."""
    assert answer.status_code == status, answer.text
    assert answer.content_type == "application/problem+json"
    document: dict[str, Any] = answer.json
    assert (document["type"], document["status"], document["errors"]) == (f"/docs/problems/{slug}", status, [])
    assert document["request_id"] == answer.headers["X-Request-Id"]
    assert document["title"]
    assert document["detail"]
    return document


def parameters(operation: Operation) -> set[str]:
    return set(re.findall(r"{(\w+)}", operation.path))


def rows_of(caller: Caller) -> dict[str, list[str]]:
    """Everything that the database keeps of an organisation, but when its key was last used."""
    found: dict[str, list[str]] = {}
    with session.transaction() as db:
        for table in tables.Base.metadata.sorted_tables:
            columns = [column for column in table.c if column.name != "last_used_at"]
            if "organisation_id" in table.c:
                query = sa.select(*columns).where(table.c.organisation_id == caller.organisation_id)
                found[table.name] = sorted(str(row) for row in db.execute(query))
    return found


def test_every_id_in_a_path_is_known_here(world: World) -> None:
    assert set().union(*map(parameters, GUARDED)) == set(NAMES) | set(world.ids)
    assert {operation.name for operation in operations.ALL if not operation.scopes} == OPEN | SIGNED


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
def test_without_a_key(operation: Operation, world: World) -> None:
    answer = world.send(operation, world.path(operation), None)
    problem(answer, 401, "unauthenticated")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="reckoner"'
    for other in ("", "Bearer", "Bearer ", f"Basic {world.owner.secret}", world.owner.secret):
        answer = world.send(operation, world.path(operation), other)
        problem(answer, 401, "unauthenticated")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="reckoner", error="invalid_request"'


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
def test_with_a_key_that_is_worth_nothing(operation: Operation, world: World, useless: Mapping[str, str]) -> None:
    told = set()
    for secret in useless.values():
        answer = world.send(operation, world.path(operation), f"Bearer {secret}")
        told.add(problem(answer, 401, "unauthenticated")["detail"])
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="reckoner", error="invalid_token"'
    assert len(told) == 1, "why it is worth nothing is not told: that would say that it was once worth something"


@pytest.mark.parametrize("operation", GUARDED, ids=lambda operation: operation.name)
def test_with_a_key_that_may_do_everything_else(operation: Operation, world: World) -> None:
    suffices = {
        *operation.scopes,
        Scope.ADMIN,
        *(more for more, less in auth.INCLUDED.items() if less in operation.scopes),
    }
    weak = web_api.another_key(world.owner, *(scope for scope in Scope if scope not in suffices))
    before = rows_of(world.owner)
    answer = world.send(operation, world.path(operation), f"Bearer {weak.secret}")
    document = problem(answer, 403, "insufficient-scope")
    assert document["scopes_needed"] == [scope.value for scope in operation.scopes]
    assert all(f"`{scope}`" in document["detail"] for scope in operation.scopes)
    needed = " ".join(operation.scopes)
    expected = f'Bearer realm="reckoner", error="insufficient_scope", scope="{needed}"'
    assert answer.headers["WWW-Authenticate"] == expected
    assert rows_of(world.owner) == before


@pytest.mark.parametrize(
    "operation",
    [operation for operation in GUARDED if parameters(operation) - set(NAMES)],
    ids=lambda operation: operation.name,
)
def test_with_another_organisations_ids(operation: Operation, world: World) -> None:
    before = rows_of(world.owner)
    random = dict.fromkeys(world.ids, str(uuid.uuid4()))
    as_stranger = f"Bearer {world.stranger.secret}"
    theirs = problem(world.send(operation, world.path(operation), as_stranger), 404, "not-found")
    nobodys = problem(world.send(operation, world.path(operation, random), as_stranger), 404, "not-found")
    nonsense = problem(
        world.send(operation, world.path(operation, dict.fromkeys(world.ids, "x")), as_stranger), 404, "not-found"
    )
    assert theirs["detail"] == nobodys["detail"] == nonsense["detail"], "that it exists elsewhere is not told"
    assert rows_of(world.owner) == before


@pytest.mark.parametrize(
    "operation", [operation for operation in GUARDED if operation.method == "get"], ids=lambda operation: operation.name
)
def test_the_owner_sees_it_and_another_organisation_nothing_of_it(operation: Operation, world: World) -> None:
    own = world.send(operation, world.path(operation), f"Bearer {world.owner.secret}")
    own.close()
    assert own.status_code == MORE_IS_NEEDED.get(operation.name, 200), own.text
    told = world.send(operation, world.path(operation), f"Bearer {world.stranger.secret}").text
    assert not any(what in told for what in (*world.ids.values(), world.imported, LABEL))


@pytest.mark.parametrize("name", sorted(OPEN))
def test_what_needs_no_key_tells_nothing_of_anybody(name: str, world: World) -> None:
    operation = OPERATIONS[name]
    told = world.send(operation, operation.path, None)
    assert told.status_code == 200
    everybody = (world.owner.organisation_id, world.stranger.organisation_id, *world.ids.values(), LABEL)
    assert not any(str(what) in told.text for what in everybody)


def test_what_nobody_has_signed_opens_nothing(world: World) -> None:
    operation = OPERATIONS["download"]
    for token in (world.ids["delivery_id"], world.ids["job_id"], world.owner.secret, "A" * 99):
        for key in (None, f"Bearer {world.owner.secret}"):
            answer = world.send(operation, operation.path.format(token=token), key)
            assert not any(what in problem(answer, 404, "not-found")["detail"] for what in (*world.ids.values(), LABEL))


def ids_in_query(operation: Operation) -> list[str]:
    """Query parameters that are ids."""
    fields = operation.query.model_fields.items()
    return [name for name, field in fields if uuid.UUID in (field.annotation, *typing.get_args(field.annotation))]


@pytest.mark.parametrize(
    ("operation", "name"),
    [(operation, name) for operation in GUARDED for name in ids_in_query(operation)],
    ids=lambda given: given if isinstance(given, str) else given.name,
)
def test_with_another_organisations_id_in_the_query(operation: Operation, name: str, world: World) -> None:
    """An id that is a filter finds nothing; one that is needed is as good as none."""
    identity = world.ids.get(name, world.ids["job_id"])
    path = world.path(operation, {"job_id": world.stranger_report}).partition("?")[0]
    rest = "" if f"{name}=" in QUERIES.get(operation.name, "") else QUERIES.get(operation.name, "")
    answer = world.send(operation, f"{path}?{name}={identity}&{rest}", f"Bearer {world.stranger.secret}")
    if answer.status_code == 200:
        assert answer.json["data"] == []
    else:
        problem(answer, 404, "not-found")
