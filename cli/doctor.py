"""`reckoner doctor`: is this installation safe to trust with jobs? Each finding says why it matters and what to do."""

import importlib.metadata
import shutil
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum

import click
import redis
import sqlalchemy.exc
from packaging.version import Version
from sqlalchemy import text

import celeryconfig
from cli import invocation, output
from cli.exit_codes import ExitCode
from models import heartbeat, migrate, session, settings
from workers import broker

OLDEST_VERSIONS = {"celery": "5.7", "kombu": "5.7", "redis": "8.1"}
LEAST_FREE_BYTES = 1 << 30
SILENT_AFTER_SECONDS = 30.0


class Verdict(StrEnum):
    OK = "ok"
    WARNING = "warning"
    UNSAFE = "unsafe"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    verdict: Verdict
    detail: str


@click.command("doctor")
def command() -> None:
    """Check versions, settings, PostgreSQL, Redis, disk and the signs of life of workers and beat."""
    findings = [finding for check in CHECKS for finding in check()]
    if invocation.current().as_json:
        output.emit_json([asdict(finding) for finding in findings])
    else:
        output.rows(
            ("verdict", "subject", "detail"), [(f.verdict, f.subject, f.detail) for f in findings], title="Doctor"
        )
    if any(finding.verdict is Verdict.UNSAFE for finding in findings):
        raise click.exceptions.Exit(ExitCode.FAILED)


def check_versions() -> Iterator[Finding]:
    for name, oldest in OLDEST_VERSIONS.items():
        found = importlib.metadata.version(name)
        if Version(found) < Version(oldest):
            yield Finding(name, Verdict.UNSAFE, f"{found} loses or doubles messages in ways fixed in {oldest}")
        else:
            yield Finding(name, Verdict.OK, found)


def check_celery_settings() -> Iterator[Finding]:
    visibility = celeryconfig.broker_transport_options["visibility_timeout"]
    if visibility <= celeryconfig.task_time_limit:
        yield Finding("visibility timeout", Verdict.UNSAFE, f"{visibility} s: longer jobs would be run again and again")
    else:
        yield Finding(
            "visibility timeout",
            Verdict.OK,
            f"{visibility} s, above the hard limit of {celeryconfig.task_time_limit} s",
        )
    if set(celeryconfig.accept_content) != {"json"}:
        yield Finding("accepted content", Verdict.UNSAFE, "whoever can write to Redis could run code in the workers")
    else:
        yield Finding("accepted content", Verdict.OK, "JSON only")


def check_postgresql() -> Iterator[Finding]:
    try:
        with session.engine().connect() as connection:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                value = connection.execute(text(f"SHOW {name}")).scalar_one()
                unsafe = value == "off"
                detail = "off: an accepted job could vanish with a crash; set it to on" if unsafe else str(value)
                yield Finding(f"PostgreSQL {name}", Verdict.UNSAFE if unsafe else Verdict.OK, detail)
            yield _schema_finding(connection)
    except sqlalchemy.exc.OperationalError as error:
        yield Finding("PostgreSQL", Verdict.UNSAFE, f"does not answer: {str(error.orig).strip().splitlines()[0]}")


def _schema_finding(connection: sqlalchemy.Connection) -> Finding:
    at, newest = migrate.versions(connection)
    if at != newest:
        return Finding(
            "schema", Verdict.UNSAFE, f"at {at or 'nothing'}, newest is {newest}: run `python -m models.migrate`"
        )
    return Finding("schema", Verdict.OK, f"at the newest version, {newest}")


def check_redis() -> Iterator[Finding]:
    try:
        memory = broker.client().info("memory")
    except redis.RedisError as error:
        yield Finding("Redis", Verdict.WARNING, f"does not answer ({error}): jobs are accepted, and wait")
        return
    policy = memory["maxmemory_policy"]
    if policy != "noeviction":
        yield Finding("Redis maxmemory-policy", Verdict.UNSAFE, f"{policy} throws messages away; set noeviction")
    else:
        yield Finding("Redis maxmemory-policy", Verdict.OK, policy)


def check_signs_of_life() -> Iterator[Finding]:
    try:
        with session.transaction() as db:
            ages = {kind: heartbeat.seconds_since_last(db, kind) for kind in heartbeat.ProcessKind}
    except (sqlalchemy.exc.OperationalError, sqlalchemy.exc.ProgrammingError):
        return
    for kind, age in ages.items():
        silent = age is None or age > SILENT_AFTER_SECONDS
        detail = "never seen" if age is None else f"last sign of life {age:.0f} s ago"
        yield Finding(f"{kind} processes", Verdict.WARNING if silent else Verdict.OK, detail)


def check_disk() -> Iterator[Finding]:
    configured = settings.load()
    for name, folder in {"home": configured.home, "uploads": configured.upload_folder}.items():
        existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
        free = shutil.disk_usage(existing).free
        verdict = Verdict.OK if free >= LEAST_FREE_BYTES else Verdict.WARNING
        yield Finding(f"disk of {name}", verdict, f"{free / 1e9:.1f} GB free under {folder}")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_versions,
    check_celery_settings,
    check_postgresql,
    check_redis,
    check_signs_of_life,
    check_disk,
)
