"""Celery's settings and nothing else. The reasons are in docs/reliability.md; a test checks that every name is a real setting."""

from datetime import timedelta
from typing import Any

from kombu import Exchange, Queue

from models import settings

_settings = settings.load()

# Two lists of each queue: one for each organisation's next job, which is taken first, and one for what follows it.
PRIORITY_STEPS = [0, 9]

# --- The broker holds hints only: PostgreSQL is the truth about every job. ---
broker_url = _settings.broker_url
broker_transport_options: dict[str, Any] = {
    # Longer than any job may run; shorter would run long jobs again and again (kombu#337).
    "visibility_timeout": 4 * _settings.longest_limit_seconds,
    "unacked_restore_interval": 10,
    "unacked_restore_throttle": 1,
    # Without these a publisher waits for ever on a Redis that has stopped answering.
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "retry_on_timeout": False,
    "priority_steps": PRIORITY_STEPS,
}
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
# A Redis that is full or read-only must not end the worker's main process.
broker_channel_error_retry = True
broker_pool_limit = 10
broker_pool_acquire_timeout = 5
task_publish_retry_policy = {"max_retries": 1, "interval_start": 0.1, "interval_max": 0.2}

# --- Queues: one explicit direct queue per class of work; topic exchanges lose messages silently after FLUSHALL. ---
task_queues = [
    Queue(name, Exchange(name, type="direct"), routing_key=name)
    for name in ("reports", "imports", "heavy", "upkeep", "deliveries")
]
task_default_queue = "reports"
task_default_exchange_type = "direct"
task_create_missing_queues = False
task_routes = {
    "reports.*": {"queue": "reports"},
    "imports.*": {"queue": "imports"},
    "upkeep.*": {"queue": "upkeep"},
    "deliveries.*": {"queue": "deliveries"},
}
# Not autodiscovery: that looks for `tasks.tasks`, finds none and says nothing.
imports = ("tasks.reports", "tasks.imports", "tasks.upkeep", "tasks.deliveries")

# --- Messages: an id, as JSON. No result backend: the API reads SQL. ---
task_serializer = "json"
accept_content = ["json"]
task_ignore_result = True
task_store_errors_even_if_ignored = False

# --- Delivery: correctness does not rest on it. The claim refuses duplicates, the rescue sweep replaces what is lost. ---
task_acks_late = True
task_acks_on_failure = True
task_acks_on_timeout = True
# Both restart a job that kills its own process without end; recovery belongs to the sweep, which counts crashes.
task_reject_on_worker_lost = False
task_retry_on_worker_lost = False
# Each kind of job has its own, shorter ones: they are with its task.
task_soft_time_limit = _settings.longest_limit_seconds - _settings.limit_grace_seconds
task_time_limit = _settings.longest_limit_seconds

# --- Workers ---
worker_pool = "prefork"
worker_concurrency = _settings.worker_concurrency
worker_prefetch_multiplier = 1
# Leaks are bounded by memory; a new child costs as much as hundreds of small jobs.
worker_max_tasks_per_child = 10_000
worker_max_memory_per_child = 600_000  # KiB
# A blip of Redis must not kill a running report.
worker_cancel_long_running_tasks_on_connection_loss = False
worker_soft_shutdown_timeout = 30.0
worker_enable_soft_shutdown_on_idle = True
worker_eta_task_limit = 100
worker_deduplicate_successful_tasks = False
worker_lost_wait = 10.0
worker_proc_alive_timeout = 15.0
worker_hijack_root_logger = False
worker_redirect_stdouts = False

# --- Events: for Flower only, never the record. ---
worker_send_task_events = True
task_send_sent_event = True

# --- Beat ---
enable_utc = True
timezone = "UTC"
beat_max_loop_interval = 5
beat_schedule = {
    "rescue": {
        "task": "upkeep.rescue",
        "schedule": timedelta(seconds=_settings.rescue_seconds),
        # A sweep that waited this long is replaced by the next one.
        "options": {"expires": 2 * _settings.rescue_seconds},
    },
    "deliver": {
        "task": "deliveries.send",
        "schedule": timedelta(seconds=_settings.rescue_seconds),
        "options": {"expires": 2 * _settings.rescue_seconds},
    },
    "schedules": {
        "task": "upkeep.fire_schedules",
        "schedule": timedelta(seconds=_settings.schedule_seconds),
        # What is due is decided in SQL: a poke that waited this long is as good as the next one.
        "options": {"expires": 2 * _settings.schedule_seconds},
    },
    "retain": {
        "task": "upkeep.retain",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "tend-lake": {
        "task": "upkeep.tend_lake",
        "schedule": timedelta(seconds=_settings.tend_seconds),
        "options": {"expires": _settings.tend_seconds},
    },
}
