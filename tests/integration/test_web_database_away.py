"""A database that is away, full, read-only or busy: 503, soon, and never a 202 without a row."""

import contextlib
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
import sqlalchemy

from models import row_access, session, settings
from tests.integration import web_api
from tests.integration.web_api import CSV, Answer, Caller
from web import problem_types

RFM = {"type": "rfm"}


@pytest.fixture
def ready(caller: Caller) -> Caller:
    """An organisation that has orders."""
    web_api.give_dataset(caller)
    return caller


@pytest.fixture(autouse=True)
def leaves_no_file(database: settings.Settings) -> Iterator[None]:
    before = _files(database)
    yield
    assert _files(database) == before


def _files(database: settings.Settings) -> set[str]:
    return {path.name for path in database.upload_folder.iterdir()} if database.upload_folder.exists() else set()


def expect(answer: Answer, kind: problem_types.ProblemType) -> None:
    assert (answer.status_code, answer.json["type"]) == (kind.status, kind.uri), answer.text
    assert int(answer.headers["Retry-After"]) >= 1


def reports(caller: Caller) -> int:
    return len(caller.get("/v1/reports").json["data"])


def execute(*statements: str) -> None:
    with session.transaction() as db:
        for statement in statements:
            db.execute(sqlalchemy.text(statement))


@contextmanager
def trigger(caller: Caller, body: str, *, at_commit: bool = False) -> Iterator[None]:
    """Let PostgreSQL itself do something when it takes in a job of this organisation, or when it commits one."""
    name = f"fault_{uuid.uuid4().hex}"
    when = (
        "CONSTRAINT TRIGGER {} AFTER INSERT ON jobs DEFERRABLE INITIALLY DEFERRED"
        if at_commit
        else "TRIGGER {} BEFORE INSERT ON jobs"
    )
    execute(
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN {body}; RETURN NEW; END $$",
        f"CREATE {when.format(name)} FOR EACH ROW WHEN (NEW.organisation_id = '{caller.organisation_id}') "
        f"EXECUTE FUNCTION {name}()",
    )
    try:
        yield
    finally:
        execute(f"DROP TRIGGER {name} ON jobs", f"DROP FUNCTION {name}()")


@pytest.mark.parametrize(
    "code",
    [
        "53000",
        "53100",
        "53200",
        "53300",
        "53400",
        "57P01",
        "57P02",
        "57P03",
        "57014",
        "08000",
        "08006",
        "58030",
        "40001",
    ],
)
def test_whatever_keeps_postgresql_from_taking_the_job(ready: Caller, code: str) -> None:
    with trigger(ready, f"RAISE EXCEPTION 'no' USING ERRCODE = '{code}'"):
        expect(ready.post("/v1/reports", RFM), problem_types.DATABASE_UNAVAILABLE)
        expect(ready.send("/v1/imports?dataset=orders", CSV), problem_types.DATABASE_UNAVAILABLE)
    assert reports(ready) == 0


def test_a_backend_that_is_ended_in_mid_request(ready: Caller) -> None:
    with trigger(ready, "PERFORM pg_terminate_backend(pg_backend_pid())"):
        # Without a key the insert is its own commit: who hears no answer to it cannot know.
        expect(ready.post("/v1/reports", RFM), problem_types.OUTCOME_UNKNOWN)
        expect(ready.post("/v1/reports", RFM, Idempotency_Key="k"), problem_types.DATABASE_UNAVAILABLE)
    assert reports(ready) == 0
    assert ready.post("/v1/reports", RFM).status_code == 202


def test_a_commit_that_fails_is_not_answered_with_202(ready: Caller) -> None:
    with trigger(ready, "RAISE EXCEPTION 'full' USING ERRCODE = '53100'", at_commit=True):
        expect(ready.post("/v1/reports", RFM), problem_types.DATABASE_UNAVAILABLE)
        expect(ready.post("/v1/reports", RFM, Idempotency_Key="k"), problem_types.OUTCOME_UNKNOWN)
    assert reports(ready) == 0


def test_a_backend_that_dies_at_the_commit_leaves_the_outcome_unknown(ready: Caller) -> None:
    with trigger(ready, "PERFORM pg_terminate_backend(pg_backend_pid())", at_commit=True):
        expect(ready.post("/v1/reports", RFM, Idempotency_Key="k"), problem_types.OUTCOME_UNKNOWN)
    assert ready.post("/v1/reports", RFM, Idempotency_Key="k").status_code == 202
    assert reports(ready) == 1


def test_a_read_only_database(ready: Caller) -> None:
    execute("ALTER DATABASE reckoner SET default_transaction_read_only = on")
    session.dispose()
    try:
        expect(ready.post("/v1/reports", RFM), problem_types.DATABASE_UNAVAILABLE)
        assert reports(ready) == 0, "reading still works"
    finally:
        with session.statement_engine().connect() as connection:
            connection.execute(sqlalchemy.text("SET default_transaction_read_only = off"))
            connection.execute(sqlalchemy.text("ALTER DATABASE reckoner RESET default_transaction_read_only"))
        session.dispose()
    assert ready.post("/v1/reports", RFM).status_code == 202


def test_no_connection_left_in_the_pool(ready: Caller) -> None:
    with contextlib.ExitStack() as taken, row_access.behind(row_access.Door()):
        for engine in (session.engine(), session.statement_engine()):
            with contextlib.suppress(sqlalchemy.exc.TimeoutError):
                while True:
                    taken.enter_context(engine.connect())
        began = time.monotonic()
        expect(ready.post("/v1/reports", RFM), problem_types.DATABASE_UNAVAILABLE)
        assert time.monotonic() - began < 5.5
    assert ready.post("/v1/reports", RFM).status_code == 202


def test_no_connection_left_in_postgresql(ready: Caller, database: settings.Settings) -> None:
    session.dispose()
    with contextlib.ExitStack() as taken:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                taken.enter_context(
                    psycopg.connect(dbname="reckoner", user="reckoner", host=str(database.socket_folder))
                )
        began = time.monotonic()
        expect(ready.post("/v1/reports", RFM), problem_types.DATABASE_UNAVAILABLE)
        assert time.monotonic() - began < 5
    assert ready.post("/v1/reports", RFM).status_code == 202
