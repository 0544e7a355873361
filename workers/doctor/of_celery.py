"""Is Celery set up so that it neither loses messages nor runs jobs behind our back? Judged from the app as it really is."""

import importlib.metadata
from dataclasses import dataclass
from typing import Any

from packaging.version import Version

from models import settings
from workers.doctor.finding import Check, Finding, Look, judge_all

OLDEST = "5.7"
# What kombu takes where nothing is set.
DEFAULT_VISIBILITY_SECONDS = 3600


@dataclass(frozen=True, slots=True)
class CeleryFacts:
    celery_version: str
    kombu_version: str
    conf: Any
    longest_limit: float
    """After this many seconds no task's process is left alive."""

    @property
    def transport(self) -> dict[str, Any]:
        return dict(self.conf.broker_transport_options or {})


def facts(app: Any) -> CeleryFacts:
    limits = [task.time_limit for task in app.tasks.values() if task.time_limit]
    return CeleryFacts(
        celery_version=importlib.metadata.version("celery"),
        kombu_version=importlib.metadata.version("kombu"),
        conf=app.conf,
        longest_limit=max([settings.load().longest_limit_seconds, app.conf.task_time_limit or 0, *limits]),
    )


def examine(app: Any) -> list[Finding]:
    return judge_all(CHECKS, facts(app))


def _version(found: str) -> Look:
    return Look(Version(found) < Version(OLDEST), found)


def _visibility(known: CeleryFacts) -> Look:
    timeout = known.transport.get("visibility_timeout", DEFAULT_VISIBILITY_SECONDS)
    return Look(timeout <= known.longest_limit, f"{timeout} s, the longest job may run {known.longest_limit:.0f} s")


def _content(known: CeleryFacts) -> Look:
    return Look(set(known.conf.accept_content) != {"json"}, ", ".join(sorted(known.conf.accept_content)))


def _serializer(known: CeleryFacts) -> Look:
    return Look(known.conf.task_serializer != "json", known.conf.task_serializer)


def _worker_lost(known: CeleryFacts) -> Look:
    names = ("task_reject_on_worker_lost", "task_retry_on_worker_lost")
    on = [name for name in names if known.conf.get(name)]
    return Look(bool(on), " and ".join(on) + " on" if on else "off")


def _late(known: CeleryFacts) -> Look:
    return Look(not known.conf.task_acks_late, "on" if known.conf.task_acks_late else "off")


def _result_backend(known: CeleryFacts) -> Look:
    backend = known.conf.result_backend
    set_ = bool(backend) and not str(backend).startswith("disabled")
    return Look(set_, str(backend).partition("://")[0] if set_ else "none")


def _cancel_on_loss(known: CeleryFacts) -> Look:
    on = bool(known.conf.worker_cancel_long_running_tasks_on_connection_loss)
    return Look(on, "on" if on else "off")


def _socket_timeout(known: CeleryFacts) -> Look:
    timeout = known.transport.get("socket_timeout")
    return Look(not timeout, f"{timeout} s" if timeout else "none")


def _exchanges(known: CeleryFacts) -> Look:
    odd = {f"{queue.name} is {queue.exchange.type}" for queue in known.conf.task_queues or ()}
    odd = {text for text in odd if not text.endswith(" direct")}
    if known.conf.task_default_exchange_type != "direct":
        odd.add(f"the default is {known.conf.task_default_exchange_type}")
    return Look(bool(odd), ", ".join(sorted(odd)) or "all direct")


def _missing_queues(known: CeleryFacts) -> Look:
    on = bool(known.conf.task_create_missing_queues)
    return Look(on, "made when asked for" if on else "refused")


def _pool(known: CeleryFacts) -> Look:
    return Look(known.conf.worker_pool != "prefork", str(known.conf.worker_pool))


CHECKS: tuple[Check[CeleryFacts], ...] = (
    Check(
        subject="Celery's version",
        look=lambda known: _version(known.celery_version),
        why="Older ones stop consuming after a lost connection and lose messages at restarts.",
        remedy=f"Install celery {OLDEST} or newer.",
    ),
    Check(
        subject="kombu's version",
        look=lambda known: _version(known.kombu_version),
        why="Older ones wedge on a broken connection to Redis, and end workers when Redis restarts.",
        remedy=f"Install kombu {OLDEST} or newer.",
    ),
    Check(
        subject="visibility timeout",
        look=_visibility,
        why="Redis hands a message out again after this time: longer jobs would be started again and again.",
        remedy="Set broker_transport_options['visibility_timeout'] well above the longest limit of a job.",
    ),
    Check(
        subject="accepted content",
        look=_content,
        why="Whoever can write to Redis could run code in the workers, or make them refuse our messages.",
        remedy="Set accept_content to ['json'].",
    ),
    Check(
        subject="task serializer",
        look=_serializer,
        why="Workers accept JSON only: every message would be refused.",
        remedy="Set task_serializer to 'json'.",
    ),
    Check(
        subject="tasks of lost workers",
        look=_worker_lost,
        why="A job that kills its own process would be started again without end and uncounted.",
        remedy="Switch both off: the rescue sweep starts such a job again, three times at most.",
    ),
    Check(
        subject="late acknowledgement",
        look=_late,
        why="A message would be gone before its job is claimed, so that each restart of a worker delays what it held.",
        remedy="Set task_acks_late to True.",
    ),
    Check(
        subject="result backend",
        look=_result_backend,
        why="A second record of states would contradict the database, and a full one would fail finished jobs.",
        remedy="Unset result_backend (and CELERY_RESULT_BACKEND).",
    ),
    Check(
        subject="jobs at a lost connection",
        look=_cancel_on_loss,
        why="A moment without Redis would kill running jobs, and three such moments would fail them.",
        remedy="Set worker_cancel_long_running_tasks_on_connection_loss to False.",
    ),
    Check(
        subject="socket timeout",
        look=_socket_timeout,
        why="A publisher would wait for ever on a Redis that has stopped answering.",
        remedy="Set broker_transport_options['socket_timeout'] to a few seconds.",
    ),
    Check(
        subject="exchanges",
        look=_exchanges,
        why="After Redis has lost its memory, a topic or fanout exchange drops messages and reports success.",
        remedy="Give every queue a direct exchange.",
    ),
    Check(
        subject="unknown queues",
        look=_missing_queues,
        why="A misspelt queue would be filled, and read by nobody.",
        remedy="Set task_create_missing_queues to False.",
    ),
    Check(
        subject="worker pool",
        look=_pool,
        why="Without a process of its own a job cannot be stopped at its limit, nor a crash be told from a slow job.",
        remedy="Set worker_pool to 'prefork'.",
    ),
)
