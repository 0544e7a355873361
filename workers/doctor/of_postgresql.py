"""Does PostgreSQL keep what it confirms, and is it the database this code was written for? Asked over a session like all others."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy.exc
from sqlalchemy import Connection, text

from models import session, settings
from workers.doctor import of_settings
from workers.doctor.finding import Check, Finding, Look, Verdict, judge_all

# Not asked of `models.migrate`, because every worker and the web import this, and Alembic would stay in their memory.
MIGRATIONS = Path(settings.__file__).with_name("migrations") / "versions"

OLDEST_MAJOR = 16
LARGEST_CLOCK_DIFFERENCE = 2.0

# `system_user` is how the session proved who it is; without a proof (trust) it is null.
_STATE = text(
    """
    SELECT current_setting('fsync') AS fsync,
           current_setting('synchronous_commit') AS synchronous_commit,
           current_setting('full_page_writes') AS full_page_writes,
           current_setting('data_checksums') AS data_checksums,
           pg_is_in_recovery() AS standby,
           to_regclass('alembic_version') IS NOT NULL AS has_schema,
           CAST(system_user AS text) AS proof,
           EXISTS (
               SELECT FROM pg_roles
               WHERE rolname = :web AND pg_has_role(session_user, oid, 'SET') AND NOT rolsuper AND NOT rolbypassrls
           ) AS guarded
    """
)


@dataclass(frozen=True, slots=True)
class PostgresFacts:
    major: int
    fsync: str
    synchronous_commit: str
    full_page_writes: str
    data_checksums: str
    standby: bool
    at: str | None
    """The schema version the database is at."""
    revisions: tuple[str, ...]
    """Those this code knows, oldest first."""
    proof: str | None
    embedded: bool
    local: bool
    guarded: bool
    """Whether there is a role for the web, which is shown the rows of one organisation alone."""
    clock_ahead: float
    """By how many seconds PostgreSQL's clock is ahead of this machine's."""


def examine() -> list[Finding]:
    try:
        with session.engine().connect() as connection:
            major = int((connection.dialect.server_version_info or (0,))[0])
            if major < OLDEST_MAJOR:
                return [_too_old(major)]
            return judge_all(CHECKS, facts(connection, major=major))
    except sqlalchemy.exc.SQLAlchemyError as error:
        said = str(getattr(error, "orig", None) or error).strip().splitlines()
        detail = f"does not answer: {said[0] if said else type(error).__name__}"
        return [
            Finding("PostgreSQL", Verdict.UNKNOWN, detail, why="Nothing is accepted or run before it does."),
        ]


def facts(connection: Connection, *, major: int) -> PostgresFacts:
    configured = settings.load()
    state: Any = connection.execute(_STATE, {"web": configured.web_database_role}).one()
    at = connection.execute(text("SELECT max(version_num) FROM alembic_version")).scalar() if state.has_schema else None
    return PostgresFacts(
        major=major,
        fsync=state.fsync,
        synchronous_commit=state.synchronous_commit,
        full_page_writes=state.full_page_writes,
        data_checksums=state.data_checksums,
        standby=state.standby,
        at=at,
        revisions=revisions(),
        proof=state.proof,
        embedded=configured.uses_embedded_database,
        local=of_settings.is_local(of_settings.database_host(configured)),
        guarded=state.guarded,
        clock_ahead=_clock_ahead(connection),
    )


def revisions() -> tuple[str, ...]:
    """Return the schema versions by their files' names; reading them with Alembic would cost each start a quarter second."""
    files = MIGRATIONS.glob("[0-9]*.py")
    return tuple(sorted(file.name.partition("_")[0] for file in files))


def _clock_ahead(connection: Connection) -> float:
    before = time.time()
    theirs = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())")).scalar_one()
    return float(theirs) - (before + time.time()) / 2


def _too_old(major: int) -> Finding:
    why = "The schema and the queries are written for newer ones."
    return Finding(
        "PostgreSQL's version", Verdict.UNSAFE, str(major), why=why, remedy=f"Use PostgreSQL {OLDEST_MAJOR} or newer."
    )


def _behind(known: PostgresFacts) -> Look:
    newest = known.revisions[-1]
    behind = known.at is None or (known.at in known.revisions and known.at != newest)
    return Look(behind, f"at {known.at or 'nothing'}, the newest is {newest}")


def _ahead(known: PostgresFacts) -> Look:
    ahead = known.at is not None and known.at not in known.revisions
    return Look(ahead, f"at {known.at}, this code knows {known.revisions[-1]}" if ahead else "known to this code")


def _unproven(known: PostgresFacts) -> Look:
    if known.embedded:
        return Look(False, "embedded: its socket's folder is private")
    # An unproven session from this machine is the weaker fault; it is a check of its own.
    trusted = known.proof is None and not known.local
    return Look(trusted, "the server trusts everybody who reaches it" if trusted else known.proof or "trusted locally")


def _unproven_here(known: PostgresFacts) -> Look:
    trusted = known.proof is None and known.local and not known.embedded
    return Look(trusted, "the server trusts everybody on this machine" if trusted else "asked for, or not needed")


def _clock(known: PostgresFacts) -> Look:
    return Look(abs(known.clock_ahead) > LARGEST_CLOCK_DIFFERENCE, f"{known.clock_ahead:+.2f} s")


def _off(value: str) -> Look:
    return Look(value == "off", value)


_VANISH = "A job that was accepted or finished could vanish, or come back, when the server crashes."

CHECKS: tuple[Check[PostgresFacts], ...] = (
    Check(
        subject="PostgreSQL fsync",
        look=lambda known: _off(known.fsync),
        why=_VANISH,
        remedy="Set fsync = on in postgresql.conf.",
    ),
    Check(
        subject="PostgreSQL synchronous_commit",
        look=lambda known: _off(known.synchronous_commit),
        why=_VANISH,
        remedy="Set it to on; ALTER ROLE … RESET and ALTER DATABASE … RESET, if it was set there.",
    ),
    Check(
        subject="PostgreSQL full_page_writes",
        look=lambda known: _off(known.full_page_writes),
        why="A crash in the middle of a write would leave torn pages, and jobs in them unreadable.",
        remedy="Set full_page_writes = on in postgresql.conf.",
    ),
    Check(
        subject="schema",
        look=_behind,
        why="This code asks for tables and columns that are not there yet.",
        remedy="Run `python -m models.migrate`, the Procfile's release.",
    ),
    Check(
        subject="proof of identity",
        look=_unproven,
        why="Whoever reaches its port can change every job, result and key.",
        remedy="Use scram-sha-256 instead of trust in pg_hba.conf.",
    ),
    Check(
        subject="local proof of identity",
        look=_unproven_here,
        why="Every account of this machine can change every job, result and key.",
        remedy="Use scram-sha-256 or peer instead of trust in pg_hba.conf.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="schema of a newer release",
        look=_ahead,
        why="In the middle of a deployment that is as it should be; for longer, this process is out of date.",
        remedy="Start the newer release here as well.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="row-level security",
        look=lambda known: Look(not known.guarded, "guards the web" if known.guarded else "no role for the web"),
        why="Between organisations stands nothing but the application's own filters: this database user may not make the "
        "role that PostgreSQL would show the rows of one organisation alone.",
        remedy="Let an administrator of the database say `CREATE ROLE reckoner_web NOLOGIN` (or the name in "
        "WEB_DATABASE_ROLE) and `GRANT reckoner_web TO` the user of DATABASE_URL; then run `python -m models.migrate`.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="standby",
        look=lambda known: Look(known.standby, "yes" if known.standby else "no"),
        why="A standby accepts nothing; requests are refused and workers wait.",
        remedy="Point DATABASE_URL at the primary.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="PostgreSQL data_checksums",
        look=lambda known: _off(known.data_checksums),
        why="A disk that changes what it holds would not be noticed.",
        remedy="Stop the server and run `pg_checksums --enable`.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="clock against PostgreSQL's",
        look=_clock,
        why="Leases go by the database's clock alone, but logs, and Redis's own timeouts, go by this machine's.",
        remedy="Let both machines keep time with NTP.",
        verdict=Verdict.WARNING,
    ),
)
