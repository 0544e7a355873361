"""The migrations make exactly the tables that the models declare."""

from collections.abc import Iterator

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, NullPool, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from models import migrate, session, settings, tables
from tests.integration import rows_of_every_table

DATABASE = "up_and_down"

pytestmark = pytest.mark.usefixtures("database")


def test_the_migrated_schema_is_the_declared_one() -> None:
    with session.engine().connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.Base.metadata) == []


def test_migrating_again_changes_nothing() -> None:
    migrate.upgrade()
    with session.engine().connect() as connection:
        at, newest = migrate.versions(connection)
    assert at == newest is not None


@pytest.fixture
def emptied(database: settings.Settings) -> Iterator[Engine]:
    """A database of its own in the same PostgreSQL, with nothing in it."""
    made = create_engine(make_url(database.sqlalchemy_url).set(database=DATABASE), poolclass=NullPool)
    server = create_engine(database.sqlalchemy_url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with server.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {DATABASE}"))
        try:
            yield made
        finally:
            connection.execute(text(f"DROP DATABASE {DATABASE} WITH (FORCE)"))


def go(engine: Engine, to: str) -> None:
    """Bring a database up or down to a revision, as a release does: in one transaction."""
    with engine.begin() as connection:
        alembic = migrate.config()
        alembic.attributes["connection"] = connection
        at = migrate.versions(connection)[0] or ""
        (command.downgrade if to == "base" or to < at else command.upgrade)(alembic, to)


def filled(engine: Engine) -> dict[str, bool]:
    """Return whether there are rows in each table that there is."""
    with engine.connect() as connection:
        names = connection.scalars(text("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")).all()
        return {
            name: bool(connection.scalar(text(f'SELECT EXISTS (SELECT FROM "{name}")')))
            for name in names
            if name != "alembic_version"
        }


def makers(engine: Engine) -> dict[str, int]:
    """Count the versions of datasets by the kind of job that made them."""
    query = text("SELECT kind, count(*) FROM dataset_versions JOIN jobs ON jobs.id = job_id GROUP BY kind")
    with engine.connect() as connection:
        return dict(connection.execute(query).all())


def test_every_migration_goes_down_and_up_again_with_rows_in_every_table(emptied: Engine) -> None:
    revisions = [one.revision for one in ScriptDirectory.from_config(migrate.config()).walk_revisions()]
    go(emptied, "head")
    with Session(emptied) as db, db.begin():
        rows_of_every_table.add(db)
    assert [name for name, has_rows in filled(emptied).items() if not has_rows] == []
    for newer, older in zip(revisions, [*revisions[1:], "base"], strict=True):
        go(emptied, older)
        go(emptied, newer)
        go(emptied, older)
        kept = filled(emptied)
        assert older == "base" or (kept["jobs"] and kept["results"] and kept["job_events"]), f"rows went with {newer}"
        if older == "0002":
            assert makers(emptied) == {"import": 4}, "a version keeps its maker, of whichever kind that was"
    assert kept == {}
    go(emptied, "head")
    with emptied.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, tables.Base.metadata) == []
