"""Each check of the doctor sees its own fault and no other, and nothing where all is well."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from kombu import Exchange, Queue

from models import migrate
from models.settings import Settings
from workers.doctor import of_celery, of_postgresql, of_redis, of_settings
from workers.doctor.finding import Check, Finding, Verdict
from workers.doctor.of_postgresql import PostgresFacts
from workers.doctor.of_redis import RedisFacts

GOOD_POSTGRES = PostgresFacts(
    major=18,
    fsync="on",
    synchronous_commit="on",
    full_page_writes="on",
    data_checksums="on",
    standby=False,
    at="0002",
    revisions=("0001", "0002"),
    proof="scram-sha-256:reckoner",
    embedded=False,
    local=False,
    guarded=True,
    clock_ahead=0.1,
)
GOOD_REDIS = RedisFacts(
    policy="noeviction", max_memory=1000, used_memory=10, append_only=True, role="master", cluster=False
)
PRODUCTION: dict[str, Any] = {
    "database_url": "postgresql://reckoner:hTgc82nKqpe@db.example/reckoner",
    "redis_url": "rediss://:vlKq92mmPzxw@redis.example",
    "lake_url": "s3://bucket/lake",
}


def faults(findings: list[Finding]) -> list[tuple[str, Verdict]]:
    return [(finding.subject, finding.verdict) for finding in findings if finding.verdict is not Verdict.OK]


def own_celery(**changes: Any) -> Celery:
    app = Celery("own", config_source="celeryconfig", set_as_current=False)
    app.conf.update(changes)
    return app


def transport(**changes: Any) -> dict[str, Any]:
    return {**own_celery().conf.broker_transport_options, **changes}


def test_our_own_celery_is_safe() -> None:
    findings = of_celery.examine(own_celery())
    assert faults(findings) == []
    assert len(findings) == len(of_celery.CHECKS)


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"broker_transport_options": transport(visibility_timeout=3600)}, "visibility timeout"),
        ({"task_time_limit": 14400}, "visibility timeout"),
        ({"accept_content": ["json", "pickle"]}, "accepted content"),
        ({"accept_content": ["yaml"]}, "accepted content"),
        ({"task_serializer": "pickle"}, "task serializer"),
        ({"task_reject_on_worker_lost": True}, "tasks of lost workers"),
        ({"task_retry_on_worker_lost": True}, "tasks of lost workers"),
        ({"task_acks_late": False}, "late acknowledgement"),
        ({"result_backend": "redis://localhost/1"}, "result backend"),
        ({"worker_cancel_long_running_tasks_on_connection_loss": True}, "jobs at a lost connection"),
        ({"broker_transport_options": transport(socket_timeout=None)}, "socket timeout"),
        ({"task_queues": [Queue("q", Exchange("q", type="topic"))]}, "exchanges"),
        ({"task_queues": [Queue("q", Exchange("q", type="fanout"))]}, "exchanges"),
        ({"task_default_exchange_type": "topic"}, "exchanges"),
        ({"task_create_missing_queues": True}, "unknown queues"),
        ({"worker_pool": "threads"}, "worker pool"),
    ],
)
def test_an_unsafe_setting_of_celery(changes: dict[str, Any], subject: str) -> None:
    assert faults(of_celery.examine(own_celery(**changes))) == [(subject, Verdict.UNSAFE)]


def long_task() -> None: ...


def test_a_limit_of_a_task_counts() -> None:
    app = own_celery()
    app.task(long_task, name="long", time_limit=20_000, shared=False)
    assert faults(of_celery.examine(app)) == [("visibility timeout", Verdict.UNSAFE)]


@pytest.mark.parametrize("version", ["5.6.3", "4.4.7"])
def test_an_old_celery_or_kombu(version: str) -> None:
    known = of_celery.facts(own_celery())
    for name, subject in {"celery_version": "Celery's version", "kombu_version": "kombu's version"}.items():
        change: dict[str, Any] = {name: version}
        old = dataclasses.replace(known, **change)
        found = [check.judge(old) for check in of_celery.CHECKS]
        assert faults(found) == [(subject, Verdict.UNSAFE)]


def test_the_settings_as_they_come_are_safe(tmp_path: Path) -> None:
    assert faults(of_settings.examine(Settings(reckoner_home=tmp_path))) == []
    assert faults(of_settings.examine(Settings(**PRODUCTION))) == []


@pytest.mark.parametrize(
    ("changes", "subject", "verdict"),
    [
        ({"database_url": "postgresql://reckoner:Reckoner@db.example/r"}, "password of the database", Verdict.UNSAFE),
        ({"database_url": "postgres://app:postgres@localhost/r"}, "password of the database", Verdict.UNSAFE),
        ({"database_url": "postgresql+psycopg://app:s7w@db/r"}, "password of the database", Verdict.UNSAFE),
        ({"redis_url": "redis://redis.example:6379/0"}, "password of Redis", Verdict.UNSAFE),
        ({"redis_url": "redis://10.0.0.4"}, "password of Redis", Verdict.UNSAFE),
        ({"redis_url": "redis://:foobared@127.0.0.1"}, "password of Redis", Verdict.UNSAFE),
        ({"redis_url": "redis://app:p%61ssword@redis.example"}, "password of Redis", Verdict.UNSAFE),
        ({"flower_password": "reckoner"}, "password of Flower", Verdict.UNSAFE),
        ({"flower_user": "boss-of-all", "flower_password": "Boss-of-all"}, "password of Flower", Verdict.UNSAFE),
        ({"flower_password": "x7!"}, "password of Flower", Verdict.UNSAFE),
        ({"failpoints_dir": "/anywhere"}, "failpoints", Verdict.UNSAFE),
        ({"lake_url": None}, "lake", Verdict.WARNING),
        ({"lake_url": "hdfs://name/lake"}, "address of the lake", Verdict.UNSAFE),
        ({"lake_url": "s4://bucket/lake"}, "address of the lake", Verdict.UNSAFE),
        ({"lake_url": "gs://bucket/lake"}, "store of the lake", Verdict.WARNING),
        ({"lake_retention_days": 1, "import_limit_seconds": 86_400}, "retention of the lake", Verdict.UNSAFE),
        ({"rescue_seconds": 16, "lease_seconds": 15}, "rescue sweep", Verdict.WARNING),
        ({"lease_seconds": 9}, "lease", Verdict.WARNING),
        ({"stall_seconds": 25}, "patience with idle workers", Verdict.WARNING),
        ({"job_retention_days": 29}, "retention", Verdict.WARNING),
    ],
)
def test_a_setting_that_does_not_do(changes: dict[str, Any], subject: str, verdict: Verdict) -> None:
    assert faults(of_settings.examine(Settings(**(PRODUCTION | changes)))) == [(subject, verdict)]


@pytest.mark.parametrize(
    "url", ["redis://localhost", "redis://127.0.0.1/2", "redis://[::1]:6379", "unix:///run/redis.sock"]
)
def test_redis_on_this_machine_needs_no_password(url: str) -> None:
    assert faults(of_settings.examine(Settings(**PRODUCTION | {"redis_url": url}))) == []


def test_what_tests_may_do_with_the_embedded_database(tmp_path: Path) -> None:
    ours = Settings(reckoner_home=tmp_path, failpoints_dir=tmp_path, flower_password="reckoner")
    assert faults(of_settings.examine(ours)) == []


def test_no_password_is_ever_shown() -> None:
    weak: dict[str, Any] = {
        "database_url": "postgresql://app:changeme@db/r",
        "redis_url": "redis://:foobared@r",
        "flower_password": "qwerty",
    }
    said = " ".join(finding.sentence for finding in of_settings.examine(Settings(**weak)))
    assert not [word for word in ("changeme", "foobared", "qwerty") if word in said]


@pytest.mark.parametrize(
    ("changes", "subject", "verdict"),
    [
        ({"fsync": "off"}, "PostgreSQL fsync", Verdict.UNSAFE),
        ({"synchronous_commit": "off"}, "PostgreSQL synchronous_commit", Verdict.UNSAFE),
        ({"full_page_writes": "off"}, "PostgreSQL full_page_writes", Verdict.UNSAFE),
        ({"at": "0001"}, "schema", Verdict.UNSAFE),
        ({"at": None}, "schema", Verdict.UNSAFE),
        ({"at": "0003"}, "schema of a newer release", Verdict.WARNING),
        ({"proof": None}, "proof of identity", Verdict.UNSAFE),
        ({"proof": None, "local": True}, "local proof of identity", Verdict.WARNING),
        ({"guarded": False}, "row-level security", Verdict.WARNING),
        ({"standby": True}, "standby", Verdict.WARNING),
        ({"data_checksums": "off"}, "PostgreSQL data_checksums", Verdict.WARNING),
        ({"clock_ahead": -2.5}, "clock against PostgreSQL's", Verdict.WARNING),
    ],
)
def test_a_postgresql_that_does_not_do(changes: dict[str, Any], subject: str, verdict: Verdict) -> None:
    facts = dataclasses.replace(GOOD_POSTGRES, **changes)
    assert faults([check.judge(facts) for check in of_postgresql.CHECKS]) == [(subject, verdict)]


def test_a_postgresql_that_does() -> None:
    embedded = dataclasses.replace(GOOD_POSTGRES, embedded=True, proof=None, local=True)
    for facts in (GOOD_POSTGRES, embedded):
        assert faults([check.judge(facts) for check in of_postgresql.CHECKS]) == []


def test_the_revisions_are_those_alembic_knows() -> None:
    from alembic.script import ScriptDirectory  # noqa: PLC0415 - nothing else here needs it

    known = [script.revision for script in ScriptDirectory.from_config(migrate.config()).walk_revisions()]
    assert list(of_postgresql.revisions()) == known[::-1]


@pytest.mark.parametrize(
    ("changes", "subject", "verdict"),
    [
        ({"policy": "allkeys-lru"}, "Redis maxmemory-policy", Verdict.UNSAFE),
        ({"policy": "volatile-ttl"}, "Redis maxmemory-policy", Verdict.UNSAFE),
        ({"cluster": True}, "Redis Cluster", Verdict.UNSAFE),
        ({"append_only": False}, "Redis append-only file", Verdict.WARNING),
        ({"max_memory": 0}, "Redis maxmemory", Verdict.WARNING),
        ({"used_memory": 701}, "memory of Redis", Verdict.WARNING),
        ({"role": "slave"}, "role of Redis", Verdict.WARNING),
    ],
)
def test_a_redis_that_does_not_do(changes: dict[str, Any], subject: str, verdict: Verdict) -> None:
    facts = dataclasses.replace(GOOD_REDIS, **changes)
    assert faults([check.judge(facts) for check in of_redis.CHECKS]) == [(subject, verdict)]


def test_every_check_says_why_and_what_to_do() -> None:
    checks: list[Check[Any]] = [*of_celery.CHECKS, *of_settings.CHECKS, *of_postgresql.CHECKS, *of_redis.CHECKS]
    assert len({check.subject for check in checks}) == len(checks)
    for check in checks:
        assert check.why.endswith(".")
        assert check.remedy.endswith(".")
