"""Celery's signals: logging, the doctor at every start, and the heavy half of `analytics`, loaded once before the fork."""

import importlib
from typing import Any

import structlog
from celery import signals

from models import settings
from workers import logs

# Loaded where the queue is served: after the fork every child shares these pages, and its first job does not wait for imports.
# The first array PyArrow makes looks for pandas, so that is among them.
_OF_REPORTS = (
    "models.lake",
    "analytics.engine",
    "analytics.reports.registry",
    "analytics.render.manifest",
    "analytics.render.chunks",
    "pandas",
)
_OF_IMPORTS = ("models.lake", "analytics.datasets.importing", "analytics.render.rejects", "pandas")
HEAVY_MODULES = {"reports": _OF_REPORTS, "imports": _OF_IMPORTS, "heavy": _OF_REPORTS + _OF_IMPORTS}


def connect() -> None:
    signals.setup_logging.connect(_configure_logging, weak=False)
    signals.worker_init.connect(_refuse_unsafe, weak=False)
    signals.worker_init.connect(_load_heavy_modules, weak=False)
    signals.beat_init.connect(_refuse_unsafe, weak=False)


def _configure_logging(**_: Any) -> None:
    logs.configure()


def _refuse_unsafe(**_: Any) -> None:
    from workers.doctor import at_start  # noqa: PLC0415 - who only sends messages has no use for it

    at_start.refuse_unsafe()


def _load_heavy_modules(sender: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    queues = sender.app.amqp.queues.consume_from
    for queue in queues:
        for module in HEAVY_MODULES.get(queue, ()):
            importlib.import_module(module)
    if {"reports", "heavy"} & set(queues):
        signals.worker_process_init.connect(_warm_engine, weak=False)


def _warm_engine(**_: Any) -> None:
    """Start DuckDB in a new child: it makes threads, so this cannot be done before the fork."""
    from analytics import engine  # noqa: PLC0415 - heavy; only workers of reports come here

    configured = settings.load()
    engine.warm_up(
        memory_limit=configured.engine_memory,
        threads=configured.engine_threads,
        spill_folder=configured.spill_folder,
    )
