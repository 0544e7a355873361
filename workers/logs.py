"""One shape for all log lines: JSON with the ids of the job, the request and the organisation, never a customer's data.

Lines of libraries take the same way. What they say of an exception is left out, and so are the words of warnings: both
quote values.
"""

import logging
import re
import sys
import threading
from types import TracebackType

import structlog
from structlog.typing import EventDict, Processor

from models import settings
from workers import logged_errors

# Celery says "received" and "succeeded" for each task; our own lines say the same with the ids.
NOISY = ("celery.app.trace", "celery.worker.strategy", "celery.beat")
# How Python writes a warning: where, what kind, and then its words.
_WARNING = re.compile(r"(?P<where>.*?:\d+): (?P<category>\w+):", re.DOTALL)

log = structlog.get_logger(__name__)


def configure() -> None:
    """Send every line, ours and the libraries', through structlog to standard error."""
    configured = settings.load()
    shared = _shared_processors(as_json=configured.log_format == "json")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    _route_standard_logging(shared, as_json=configured.log_format == "json", level=configured.log_level)
    logging.captureWarnings(capture=True)
    threading.excepthook = _log_death_of_thread
    sys.excepthook = _log_death_of_process


def _shared_processors(*, as_json: bool) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(logged_errors.describe if as_json else logged_errors.as_text),
    ]


def _route_standard_logging(shared: list[Processor], *, as_json: bool, level: str) -> None:
    renderer: Processor = (
        structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[_leave_out_words, *shared],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in NOISY:
        logging.getLogger(noisy).setLevel(logging.WARNING)


def _leave_out_words(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Take out of a library's line what quotes values; the exception itself is described by its own processor."""
    record: logging.LogRecord = event["_record"]
    task = getattr(record, "data", None)
    if record.name == "celery.app.trace" and isinstance(task, dict):
        event["event"] = f"task {task.get('description', 'ended')}"
        event.update(task=task.get("name"), task_id=task.get("id"))
    elif record.name == "py.warnings":
        found = _WARNING.match(event["event"])
        event["event"] = "warning"
        event.update(found.groupdict() if found is not None else {})
    elif event.get("exc_info"):
        # The sentence without what would be put into it.
        event["event"] = str(record.msg)
    # The traceback as text ends with the words of the exception.
    event.pop("stack_info", None)
    return event


def _log_death_of_thread(death: threading.ExceptHookArgs) -> None:
    if death.exc_type is SystemExit or death.exc_value is None:
        return
    name = death.thread.name if death.thread is not None else None
    log.critical("a thread died", thread_name=name, exc_info=(death.exc_type, death.exc_value, death.exc_traceback))


def _log_death_of_process(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    log.critical("the process died", exc_info=(kind, error, trace))
