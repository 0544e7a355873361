"""Celery's signals: logging, and the heavy half of `analytics`, loaded once by the parent before it forks."""

import importlib
from typing import Any

import structlog
from celery import signals

from analytics.catalogue import registry
from workers import logs

# Loaded where the queue is served: after the fork every child shares these pages, and its first job does not wait for imports.
HEAVY_MODULES = {
    "reports": ("models.lake", "analytics.engine", *(f"analytics.reports.{name}" for name in registry.REPORT_TYPES)),
    # The first array PyArrow makes looks for pandas; better here than in every child.
    "imports": ("models.lake", "analytics.datasets.importing", "analytics.render.rejects", "pandas"),
}


def connect() -> None:
    signals.setup_logging.connect(_configure_logging, weak=False)
    signals.worker_init.connect(_load_heavy_modules, weak=False)


def _configure_logging(**_: Any) -> None:
    logs.configure()


def _load_heavy_modules(sender: Any, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    for queue in sender.app.amqp.queues.consume_from:
        for module in HEAVY_MODULES.get(queue, ()):
            importlib.import_module(module)
