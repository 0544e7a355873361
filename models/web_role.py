"""The role the web's statements run as: it owns nothing, so that row-level security applies to it.

It cannot log in. The web takes it on every connection of its own (`models.session`); what it may do is granted here, after
every migration. A database user who may not make roles is left without, the web then runs as the owner, who sees all rows,
and `reckoner doctor` says so.
"""

import logging

import psycopg
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from models import settings

log = logging.getLogger(__name__)

# Who asks may take it: the role itself is named only where it can be taken.
TAKE = """
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE rolname = %(role)s AND pg_has_role(session_user, oid, 'SET') AND NOT rolsuper AND NOT rolbypassrls
"""
_EXISTS = text("SELECT 1 FROM pg_roles WHERE rolname = :role")
_MAY_TAKE = text("SELECT pg_has_role(current_user, :role, 'SET')")
_PROTECTED = text(
    """
    SELECT oid::regclass::text AS name, relname = 'organisations' AS is_organisations
    FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'p') AND relrowsecurity
    """
)
_SCHEMA = text("SELECT current_schema()::regnamespace::text")


def grant(connection: Connection) -> bool:
    """Make the role where it is missing, and let it at the rows of every protected table; False: it may not be made."""
    role = settings.load().web_database_role
    if not _ensure(connection, role):
        log.warning("no role %s for the web: this database user may not make one; see `reckoner doctor`", role)
        return False
    quoted = connection.dialect.identifier_preparer.quote(role)
    connection.execute(text(f"GRANT USAGE ON SCHEMA {connection.scalar(_SCHEMA)} TO {quoted}"))
    for table, is_organisations in connection.execute(_PROTECTED):
        rights = "SELECT" if is_organisations else "SELECT, INSERT, UPDATE, DELETE"
        connection.execute(text(f"GRANT {rights} ON {table} TO {quoted}"))
    return True


def _ensure(connection: Connection, role: str) -> bool:
    quoted = connection.dialect.identifier_preparer.quote(role)
    if connection.scalar(_EXISTS, {"role": role}) is None:
        _try(connection, f"CREATE ROLE {quoted} NOLOGIN")
    if connection.scalar(_EXISTS, {"role": role}) is None:
        return False
    if not connection.scalar(_MAY_TAKE, {"role": role}):
        _try(connection, f"GRANT {quoted} TO CURRENT_USER WITH SET TRUE, INHERIT FALSE")
    return bool(connection.scalar(_MAY_TAKE, {"role": role}))


def _try(connection: Connection, statement: str) -> None:
    """Do it, unless it is not allowed, or another database of this server does it at this moment: roles belong to them all."""
    try:
        with connection.begin_nested():
            connection.execute(text(statement))
    except DBAPIError as error:
        expected = (
            psycopg.errors.InsufficientPrivilege,
            psycopg.errors.DuplicateObject,
            psycopg.errors.UniqueViolation,
            psycopg.errors.InvalidGrantOperation,
        )
        if not isinstance(error.orig, expected):
            raise
