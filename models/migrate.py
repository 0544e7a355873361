"""Brings the database to the newest schema: `python -m models.migrate`."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from models import session, web_role

SCRIPTS = Path(__file__).parent / "migrations"
# Any number that nothing else in this database locks.
MIGRATION_LOCK = 7_325_366


def config() -> Config:
    alembic = Config()
    alembic.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return alembic


def upgrade() -> None:
    """Apply what is missing, in one transaction. Two at once: the second waits, then finds nothing to do."""
    with session.engine().begin() as connection:
        connection.execute(text("SET LOCAL lock_timeout = '10min'"))
        connection.execute(text("SET LOCAL statement_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": MIGRATION_LOCK})
        alembic = config()
        alembic.attributes["connection"] = connection
        command.upgrade(alembic, "head")
        # After every run, also where there was nothing to apply: the role may have been allowed only since.
        web_role.grant(connection)


def versions(connection: Connection) -> tuple[str | None, str | None]:
    """Return the schema version the database is at, and the newest there is."""
    at = MigrationContext.configure(connection).get_current_revision()
    return at, ScriptDirectory.from_config(config()).get_current_head()


if __name__ == "__main__":
    upgrade()
