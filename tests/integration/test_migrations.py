"""The migrations make exactly the tables that the models declare."""

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from models import migrate, session, tables

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
