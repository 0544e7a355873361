"""The second wall: where the application forgets whose rows a request may see, PostgreSQL does not."""

import threading
import uuid
from collections.abc import Iterator
from concurrent import futures

import psycopg.errors
import pyarrow as pa
import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from models import jobs, row_access, session, settings, tables, transitions
from models.job import Job
from models.job_states import JobKind
from models.transitions import NewJob
from tests.integration import web_api
from tests.integration.web_api import Caller

pytestmark = pytest.mark.usefixtures("database")

# Tables in which no row is anybody's.
NOBODYS = {"alembic_version", "heartbeats", "tallies", "upkeep_runs"}
PROTECTED = [table for table in tables.Base.metadata.sorted_tables if table.name not in NOBODYS]
TABLE = pa.table({"customer_id": ["a", "b"]})


@pytest.fixture
def stranger(caller: Caller) -> Caller:
    """Another organisation, which has a finished report and all that hangs on one."""
    other = web_api.new_caller(caller.http)
    web_api.give_dataset(other)
    web_api.finish(other.post("/v1/reports", {"type": "rfm"}, Idempotency_Key="k").json["id"], TABLE)
    return other


@pytest.fixture
def door(caller: Caller, stranger: Caller) -> Iterator[None]:
    """Be where a request of the caller is once its key is known."""
    with row_access.of_one_organisation(caller.organisation_id):
        yield


def new_job(caller: Caller) -> NewJob:
    return NewJob(organisation_id=caller.organisation_id, kind=JobKind.REPORT, type="rfm", params={}, queue="reports")


def count(table: sa.Table) -> int:
    with session.transaction() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(table)) or 0


def test_every_table_is_somebodys_or_known_to_be_nobodys() -> None:
    with session.engine().connect() as connection:
        rows = connection.execute(
            sa.text(
                "SELECT relname, relrowsecurity AND EXISTS (SELECT FROM pg_policy WHERE polrelid = pg_class.oid) "
                "FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')"
            )
        )
        guarded: dict[str, bool] = dict(rows.all())
    assert {name for name, has_policy in guarded.items() if not has_policy} == NOBODYS


def test_a_request_without_an_organisation_sees_nothing(stranger: Caller) -> None:
    with row_access.behind(row_access.Door()):
        assert {table.name: count(table) for table in PROTECTED} == dict.fromkeys([t.name for t in PROTECTED], 0)


def test_a_process_that_is_shut_sees_nothing_unless_it_says_that_it_means_everything(
    stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(row_access._Process, "is_shut", True)
    jobs_table = tables.Base.metadata.tables["jobs"]
    assert count(jobs_table) == 0
    with row_access.of_all_organisations():
        assert count(jobs_table) > 0
    door = row_access.door()
    assert door is not None
    door.open_for(stranger.organisation_id)
    assert count(jobs_table) == 0, "there is no door to open where no request came in"


@pytest.mark.parametrize("table", PROTECTED, ids=lambda table: table.name)
def test_an_organisation_sees_its_own_rows_alone(table: sa.Table, caller: Caller, stranger: Caller) -> None:
    everybodys = count(table)
    with row_access.of_one_organisation(stranger.organisation_id):
        theirs = count(table)
    with row_access.of_one_organisation(caller.organisation_id):
        own = count(table)
    assert own == (1 if table.name in {"organisations", "api_keys"} else 0)
    assert theirs <= everybodys - own
    filled = {"organisations", "api_keys", "jobs", "job_events", "dataset_versions", "idempotency_keys"}
    assert theirs > 0 or table.name not in filled | {"results", "result_chunks"}


@pytest.mark.usefixtures("door")
def test_what_is_not_theirs_cannot_be_written(caller: Caller, stranger: Caller) -> None:
    with session.statement() as db, pytest.raises(ProgrammingError) as refused:
        transitions.accept(db, new_job(stranger))
    assert isinstance(refused.value.orig, psycopg.errors.InsufficientPrivilege)
    assert "row-level security" in str(refused.value.orig)
    with session.statement() as db:
        own = transitions.accept(db, new_job(caller))
    with pytest.raises(ProgrammingError, match="row-level security"), session.transaction() as db:
        db.execute(sa.update(Job).where(Job.id == own.id).values(organisation_id=stranger.organisation_id))
    with session.transaction() as db:
        assert db.scalars(sa.update(Job).values(label="mine").returning(Job.id)).all() == [own.id]
        assert db.scalars(sa.delete(Job).returning(Job.id)).all() == [own.id]


@pytest.mark.usefixtures("door")
def test_what_hangs_on_a_row_that_is_not_theirs_cannot_be_written(stranger: Caller) -> None:
    theirs = stranger.get("/v1/reports").json["data"][0]["id"]
    statement = sa.insert(tables.ErasureJournal).values(job_id=uuid.UUID(theirs), journal={})
    with pytest.raises(ProgrammingError, match="row-level security"), session.transaction() as db:
        db.execute(statement)


def test_a_request_whose_filter_was_forgotten_still_finds_nothing(
    caller: Caller, stranger: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = stranger.get("/v1/reports").json["data"][0]["id"]
    monkeypatch.setattr(jobs, "find", lambda db, job_id, **_filter: db.get(Job, job_id))
    assert stranger.get(f"/v1/reports/{theirs}").status_code == 200
    for path in ("", "/result", "/manifest", "/rows"):
        assert caller.get(f"/v1/reports/{theirs}{path}").status_code == 404
    assert caller.post(f"/v1/reports/{theirs}/cancel").status_code == 404
    everything = property(lambda _wanted: [])
    monkeypatch.setattr(jobs.Wanted, "conditions", everything)
    assert caller.get("/v1/reports").json["data"] == []
    assert theirs in {job["id"] for job in stranger.get("/v1/reports").json["data"]}


def test_a_connection_carries_nothing_into_the_next_transaction(caller: Caller, stranger: Caller) -> None:
    with row_access.behind(row_access.Door()):
        pool = session.engine().pool
    for who, seen in ((stranger, 1), (None, 0), (caller, 0), (stranger, 1)):
        with row_access.behind(row_access.Door(who.organisation_id if who else None)):
            for open_session in (session.transaction, session.statement):
                with open_session() as db:
                    assert db.scalar(sa.select(sa.func.count()).select_from(Job).where(Job.kind == "report")) == seen
                    who_am_i = db.scalar(sa.text("SELECT current_user::text"))
                    assert who_am_i == settings.load().web_database_role
    assert pool.checkedout() == 0  # type: ignore[attr-defined]


def test_a_transaction_that_fails_leaves_its_connection_to_the_next_organisation(
    caller: Caller, stranger: Caller
) -> None:
    for open_session in (session.transaction, session.statement):
        for who, seen in ((stranger, 2), (caller, 0), (stranger, 2)):
            with row_access.of_one_organisation(who.organisation_id):
                with pytest.raises(sa.exc.DataError), open_session() as db:
                    db.execute(sa.text("SELECT 1 / 0"))
                with open_session() as db:
                    assert len(db.scalars(sa.select(Job)).all()) == seen


def test_rows_that_stream_are_of_the_organisation(caller: Caller, stranger: Caller) -> None:
    for who, seen in ((stranger, 2), (caller, 0)):
        with row_access.of_one_organisation(who.organisation_id), session.transaction() as db:
            assert len(list(db.scalars(sa.select(Job).execution_options(stream_results=True)))) == seen


def test_many_organisations_at_once_each_see_their_own(caller: Caller) -> None:
    many = [web_api.new_caller(caller.http) for _ in range(8)]
    own = {who.organisation_id: who.post("/v1/imports?dataset=orders").status_code for who in many}
    assert set(own.values()) == {422}
    for who in many:
        web_api.give_dataset(who)
    start = threading.Barrier(len(many))

    def look(who: Caller) -> set[tuple[uuid.UUID, str]]:
        start.wait(30)
        seen = set()
        with row_access.of_one_organisation(who.organisation_id):
            for turn in range(40):
                with session.transaction() if turn % 2 else session.statement() as db:
                    seen |= {(who.organisation_id, str(one)) for one in db.scalars(sa.select(Job.organisation_id))}
        return seen

    with futures.ThreadPoolExecutor(len(many)) as threads:
        seen = set().union(*threads.map(look, many))
    assert seen == {(who.organisation_id, str(who.organisation_id)) for who in many}


def test_a_door_opens_for_one_organisation_only(caller: Caller, stranger: Caller) -> None:
    door = row_access.Door()
    door.open_for(caller.organisation_id)
    door.open_for(caller.organisation_id)
    with pytest.raises(RuntimeError, match="cannot be for another"):
        door.open_for(stranger.organisation_id)


def test_a_body_is_read_behind_the_door_of_its_request_and_the_next_request_is_not(
    caller: Caller, stranger: Caller
) -> None:
    theirs = stranger.get("/v1/reports").json["data"][0]["id"]
    answer = stranger.get(f"/v1/reports/{theirs}/result?format=csv")
    assert row_access.door() is None
    assert answer.text.count("\n") == TABLE.num_rows + 1
    assert caller.get("/v1/reports").json["data"] == []
    assert row_access.door() is None
