"""The role that row-level security applies to: in a database of an ordinary user, with and without the right to make roles."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic import command

from models import migrate, row_access, session, settings
from models.job import Job
from tests.integration import web_api
from web import app
from workers.doctor import of_postgresql
from workers.doctor.finding import Verdict

Owned = Callable[..., None]


def run(*statements: str) -> None:
    """Do what an administrator of the server does."""
    with session.engine().execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        for statement in statements:
            connection.execute(sa.text(statement))


@contextmanager
def database_of(owner: str, *rights: str, role: str, socket_folder: str) -> Iterator[None]:
    """Be a service whose database belongs to an ordinary user with these rights alone."""
    run(f"CREATE ROLE {owner} LOGIN {' '.join(rights)}", f"CREATE DATABASE {owner} OWNER {owner}")
    session.dispose()
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("DATABASE_URL", f"postgresql://{owner}@/{owner}?host={socket_folder}")
            environment.setenv("WEB_DATABASE_ROLE", role)
            settings.load.cache_clear()
            yield
    finally:
        session.dispose()
        settings.load.cache_clear()
        run(f"DROP DATABASE {owner} WITH (FORCE)", f"DROP ROLE IF EXISTS {role}", f"DROP ROLE {owner}")


@pytest.fixture
def name() -> str:
    """A name that nothing else of the server has: roles belong to all its databases."""
    return f"owner_{uuid.uuid4().hex[:12]}"


def warnings() -> list[str]:
    return [finding.subject for finding in of_postgresql.examine() if finding.verdict is Verdict.WARNING]


def jobs_seen_by_a_stranger() -> int:
    """Let one organisation have a job, and count the jobs that a request of another is shown without any filter."""
    http = app.create_app().test_client()
    owner, stranger = web_api.new_caller(http), web_api.new_caller(http)
    assert owner.send("/v1/imports?dataset=orders", web_api.CSV).status_code == 202
    assert len(owner.get("/v1/jobs").json["data"]) == 1
    assert stranger.get("/v1/jobs").json["data"] == []
    with row_access.of_one_organisation(stranger.organisation_id), session.transaction() as db:
        return db.scalar(sa.select(sa.func.count()).select_from(Job)) or 0


def test_a_user_who_may_make_roles_makes_the_one_for_the_web(database: settings.Settings, name: str) -> None:
    role = f"web_{name}"
    with database_of(name, "CREATEROLE", role=role, socket_folder=str(database.socket_folder)):
        migrate.upgrade()
        assert "row-level security" not in warnings()
        assert jobs_seen_by_a_stranger() == 0


def test_a_user_who_may_not_is_told_what_to_ask_for(database: settings.Settings, name: str) -> None:
    role = f"web_{name}"
    with database_of(name, role=role, socket_folder=str(database.socket_folder)):
        migrate.upgrade()
        assert "row-level security" in warnings()
        assert jobs_seen_by_a_stranger() == 1, "the service runs, behind its own filters alone"
        session.dispose()
        settings.load.cache_clear()
        with pytest.MonkeyPatch.context() as administrator:
            administrator.delenv("DATABASE_URL")
            run(f"CREATE ROLE {role} NOLOGIN", f"GRANT {role} TO {name}")
            session.dispose()
        settings.load.cache_clear()
        migrate.upgrade()
        assert "row-level security" not in warnings()
        assert jobs_seen_by_a_stranger() == 0


def test_every_migration_can_be_taken_back(database: settings.Settings, name: str) -> None:
    with database_of(name, "CREATEROLE", role=f"web_{name}", socket_folder=str(database.socket_folder)):
        migrate.upgrade()
        with session.engine().begin() as connection:
            alembic = migrate.config()
            alembic.attributes["connection"] = connection
            command.downgrade(alembic, "base")
        with session.engine().connect() as connection:
            left = connection.execute(
                sa.text(
                    "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace "
                    "AND relname NOT LIKE 'alembic_version%' UNION ALL "
                    "SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace"
                )
            ).all()
        assert left == []
        migrate.upgrade()
        assert "row-level security" not in warnings()
