"""The doctor's questions to a real PostgreSQL and a real Redis, and what the processes do with the answers."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
import sqlalchemy as sa

from cli import embedded_redis, stack_plan
from cli.exit_codes import ExitCode
from models import heartbeat, organisations, session, settings, transitions
from models.heartbeat import ProcessKind
from models.job_states import JobKind
from workers import identity
from workers.celery import app
from workers.doctor import checkup, of_postgresql, of_redis, of_stack
from workers.doctor.finding import Finding, Verdict

pytestmark = pytest.mark.usefixtures("database")


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        env=os.environ | environment,
        cwd=stack_plan.PROJECT_FOLDER,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def odd(findings: list[Finding]) -> list[str]:
    return [finding.subject for finding in findings if finding.verdict is not Verdict.OK]


@contextmanager
def changed(do: str, undo: str) -> Iterator[None]:
    """Change something for sessions that begin from now on."""
    for statement in (do, undo):
        with session.engine().begin() as connection:
            connection.execute(sa.text(statement))
        session.engine().dispose()
        if statement is do:
            try:
                yield
            finally:
                session.engine().dispose()


def test_the_embedded_postgresql_is_safe() -> None:
    findings = of_postgresql.examine()
    assert odd(findings) == []
    assert len(findings) == len(of_postgresql.CHECKS)


@pytest.mark.parametrize("owner", ["ROLE reckoner", "DATABASE reckoner"])
def test_what_our_own_sessions_are_given_counts(owner: str) -> None:
    with changed(f"ALTER {owner} SET synchronous_commit = off", f"ALTER {owner} RESET synchronous_commit"):
        assert odd(of_postgresql.examine()) == ["PostgreSQL synchronous_commit"]
    assert odd(of_postgresql.examine()) == []


def test_a_schema_that_is_behind() -> None:
    newest = of_postgresql.revisions()[-1]
    with changed(
        "UPDATE alembic_version SET version_num = '0001'", f"UPDATE alembic_version SET version_num = '{newest}'"
    ):
        assert odd(of_postgresql.examine()) == ["schema"]


def test_a_process_does_not_start_unsafely_and_says_why() -> None:
    with changed("ALTER ROLE reckoner SET synchronous_commit = off", "ALTER ROLE reckoner RESET synchronous_commit"):
        refused = run("workers.doctor", "servers")
        assert refused.returncode == ExitCode.UNSAFE
        assert (
            "UNSAFE: PostgreSQL synchronous_commit: off. A job that was accepted or finished could vanish"
            in refused.stdout
        )
        web = run("gunicorn", "--config", "web/gunicorn.py", "--bind", "127.0.0.1:0", "web.app:create_app()")
        assert web.returncode == ExitCode.UNSAFE
        assert "could vanish" in web.stderr
        forced = run("workers.doctor", "servers", ALLOW_UNSAFE="true")
        assert forced.returncode == 0
        assert "its promise does not hold" in forced.stdout


@pytest.mark.parametrize("role", [["worker", "-Q", "upkeep"], ["beat", "--scheduler", "workers.beat:Scheduler"]])
def test_celery_does_not_start_unsafely(role: list[str]) -> None:
    refused = run("celery", "-A", "workers", *role, DATABASE_URL="postgresql://app:postgres@127.0.0.1:1/r")
    assert refused.returncode == ExitCode.UNSAFE
    assert "password of the database: one that everybody tries first" in refused.stdout + refused.stderr


def test_servers_that_do_not_answer_are_no_reason_not_to_start() -> None:
    nowhere = {"DATABASE_URL": "postgresql://app:nT7wxPq2Lz@127.0.0.1:1/r", "REDIS_URL": "redis://127.0.0.1:1"}
    started = run("workers.doctor", "servers", **nowhere)
    assert started.returncode == 0
    assert started.stdout.count("UNKNOWN: ") == 2
    assert "nT7wxPq2Lz" not in started.stdout + started.stderr
    asked = run("cli.main", "doctor", **nowhere)
    assert asked.returncode == ExitCode.FAILED
    assert "does not answer" in asked.stdout


def test_the_checks_at_the_start_of_a_worker_are_quick_and_leave_no_connection_behind() -> None:
    # The processor's time, because this machine does other things as well; 35 ms were measured.
    started = time.process_time()
    checkup.of_what_is_set(app)
    checkup.of_servers()
    assert time.process_time() - started < 0.1
    assert session.engine().pool.status().startswith("Pool size: 4  Connections in pool: 0")


@pytest.fixture
def spoilt_redis() -> Iterator["redis.Redis"]:
    """A Redis that evicts, keeps no file and knows no limit."""
    folder = Path(tempfile.mkdtemp(prefix="reckoner-redis-"))
    options = ["--port", "0", "--unixsocket", str(folder / "s"), "--maxmemory-policy", "allkeys-lru", "--save", ""]
    with subprocess.Popen([str(embedded_redis._program()), *options], cwd=folder, stdout=subprocess.DEVNULL) as server:
        client = redis.Redis.from_url(f"unix://{folder / 's'}")
        for _ in range(200):
            if (folder / "s").exists():
                break
            time.sleep(0.05)
        yield client
        client.close()
        server.kill()
    shutil.rmtree(folder)


def test_a_redis_that_evicts(spoilt_redis: "redis.Redis") -> None:
    facts = of_redis.facts(spoilt_redis)
    assert (facts.policy, facts.max_memory, facts.append_only) == ("allkeys-lru", 0, False)
    found = [check.judge(facts) for check in of_redis.CHECKS]
    assert odd(found) == ["Redis maxmemory-policy", "Redis append-only file", "Redis maxmemory"]
    spoilt_redis.config_set("maxmemory-policy", "noeviction")
    spoilt_redis.config_set("maxmemory", "10mb")
    spoilt_redis.config_set("appendonly", "yes")
    assert odd([check.judge(of_redis.facts(spoilt_redis)) for check in of_redis.CHECKS]) == []


def test_a_queue_that_nobody_serves(database: settings.Settings) -> None:
    worker = identity.as_process(ProcessKind.WORKER, f"w@{identity.worker_id()}", queues=("served",), slots=2)
    with session.transaction() as db:
        heartbeat.beat(db, worker)
    findings = of_stack.examine(["served", "deserted"])
    assert "queue deserted" in odd(findings)
    assert "queue served" not in odd(findings)
    with session.transaction() as db:
        db.execute(
            sa.text("UPDATE heartbeats SET beat_at = now() - interval '5 min' WHERE name = :n"), {"n": worker.name}
        )
    findings = of_stack.examine(["served"])
    assert "queue served" in odd(findings)
    assert any(worker.name in subject for subject in odd(findings))


def test_a_folder_of_uploads_that_cannot_be_written_to(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not even root can make a file there.
    monkeypatch.setenv("UPLOAD_DIR", "/proc/uploads")
    settings.load.cache_clear()
    try:
        assert "folder of uploads" in odd(of_stack.examine([]))
    finally:
        monkeypatch.undo()
        settings.load.cache_clear()
    assert "folder of uploads" not in odd(of_stack.examine([]))


def test_uploads_that_wait_and_are_not_here(database: settings.Settings) -> None:
    with session.transaction() as db:
        new = transitions.NewJob(
            organisation_id=organisations.ensure(db, f"org {uuid.uuid4()}").id,
            kind=JobKind.IMPORT,
            type="orders",
            params={},
            queue="imports",
            upload={"bytes": 1},
        )
        job = transitions.accept(db, new)
    assert "uploads that wait" in odd(of_stack.examine([]))
    database.upload_folder.mkdir(parents=True, exist_ok=True)
    (database.upload_folder / str(job.id)).touch()
    try:
        assert "uploads that wait" not in odd(of_stack.examine([]))
    finally:
        (database.upload_folder / str(job.id)).unlink()
        with session.transaction() as db:
            transitions.cancel_queued(db, job.id, by="a test")
