"""Does Redis refuse what it cannot keep, and keep what it has over a restart?"""

from dataclasses import dataclass
from typing import Any

import redis

from workers import broker
from workers.doctor.finding import Check, Finding, Look, Verdict, judge_all

NEARLY_FULL = 0.7


@dataclass(frozen=True, slots=True)
class RedisFacts:
    policy: str
    max_memory: int
    used_memory: int
    append_only: bool
    role: str
    cluster: bool


def examine() -> list[Finding]:
    try:
        return judge_all(CHECKS, facts(broker.client()))
    except redis.RedisError as error:
        detail = f"does not answer: {str(error).strip() or type(error).__name__}"
        return [Finding("Redis", Verdict.UNKNOWN, detail, why="Jobs are accepted, and wait until it does.")]


def facts(client: "redis.Redis") -> RedisFacts:
    """Ask with INFO alone: hosted servers and careful ACLs refuse CONFIG.

    Raises:
        redis.RedisError: Redis cannot be asked.
    """
    known: dict[str, Any] = {}
    for section in ("memory", "persistence", "replication", "cluster"):
        known |= client.info(section)
    return RedisFacts(
        policy=str(known["maxmemory_policy"]),
        max_memory=int(known["maxmemory"]),
        used_memory=int(known["used_memory"]),
        append_only=bool(known["aof_enabled"]),
        role=str(known["role"]),
        cluster=bool(known.get("cluster_enabled")),
    )


def _memory(known: RedisFacts) -> Look:
    limit = f"{known.max_memory / 1e6:.0f} MB" if known.max_memory else "unlimited"
    return Look(known.max_memory == 0, limit)


def _fill(known: RedisFacts) -> Look:
    full = bool(known.max_memory) and known.used_memory > NEARLY_FULL * known.max_memory
    return Look(full, f"{known.used_memory / 1e6:.1f} MB used")


CHECKS: tuple[Check[RedisFacts], ...] = (
    Check(
        subject="Redis maxmemory-policy",
        look=lambda known: Look(known.policy != "noeviction", known.policy),
        why="When memory is short it throws queues away instead of refusing new messages.",
        remedy="Set maxmemory-policy noeviction; give caches a Redis of their own.",
    ),
    Check(
        subject="Redis Cluster",
        look=lambda known: Look(known.cluster, "on" if known.cluster else "off"),
        why="Celery moves messages between keys in one step, which a cluster refuses for keys of different slots.",
        remedy="Use a single Redis, with a replica and Sentinel if it must not fail.",
    ),
    Check(
        subject="Redis append-only file",
        look=lambda known: Look(not known.append_only, "on" if known.append_only else "off"),
        why="A restart of Redis forgets all messages; every job is published again, which takes seconds and costs duplicates.",
        remedy="Set appendonly yes, appendfsync everysec.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="Redis maxmemory",
        look=_memory,
        why="Without a limit the kernel may end Redis, or PostgreSQL, when memory is short.",
        remedy="Set maxmemory to what this machine can spare; messages hold no more than an id.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="memory of Redis",
        look=_fill,
        why="When it is full, messages are refused and jobs wait in PostgreSQL.",
        remedy="Raise maxmemory, or see what else is kept there.",
        verdict=Verdict.WARNING,
    ),
    Check(
        subject="role of Redis",
        look=lambda known: Look(known.role != "master", known.role),
        why="A replica refuses messages: jobs are accepted, and wait.",
        remedy="Point REDIS_URL at the primary.",
        verdict=Verdict.WARNING,
    ),
)
