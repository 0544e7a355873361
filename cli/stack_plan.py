"""Turns a Procfile and the settings into the stages of the supervisor."""

import dataclasses
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from cli import embedded
from cli.process_spec import Kind, ProcessSpec, StopStep
from cli.procfile import Entry, Procfile
from models import settings

PROJECT_FOLDER = Path(__file__).resolve().parent.parent
PROCFILE = PROJECT_FOLDER / "Procfile"
WEB = "web"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be run, and how."""

    settings: settings.Settings
    procfile: Procfile
    environment: Mapping[str, str]
    web_descriptor: int
    grace_seconds: float
    watchdog: bool


def stages(plan: Plan, *, say: Callable[[str], None]) -> list[list[ProcessSpec]]:
    """Servers, then the release, then the key for the command line, then all the processes that stay.

    Raises:
        StartError: an embedded server cannot run here.
    """
    servers = embedded.specs(plan.settings, environment=plan.environment, say=say)
    processes = [_process(plan, entry) for entry in plan.procfile.processes]
    if plan.procfile.release is None:
        return [servers, processes]
    release = _step(plan, "release", plan.procfile.release.argv)
    # Settings are checked while the servers start, the servers when the release has brought the schema up to date.
    check_settings, check_servers = (
        _step(plan, f"check-{what}", (sys.executable, "-m", "workers.doctor", what)) for what in ("settings", "servers")
    )
    # A database of one's own gets no key by itself; `reckoner keys create` makes it.
    keys = [_step(plan, "credentials", (sys.executable, "-m", "cli.credentials"))]
    before = [check_servers, *(keys if plan.settings.uses_embedded_database else [])]
    return [[*servers, check_settings], [release], before, [*processes, *_watchdog(plan)]]


def _step(plan: Plan, name: str, argv: tuple[str, ...]) -> ProcessSpec:
    return ProcessSpec(
        name=name, kind=Kind.STEP, argv=argv, environment=plan.environment, working_folder=PROJECT_FOLDER
    )


def _watchdog(plan: Plan) -> list[ProcessSpec]:
    """The process that ends those of our own that are frozen, so that they are started again.

    It is not in the Procfile: elsewhere it is the process manager that asks, with `reckoner health`.
    """
    watched = [f"{entry.name}={role}" for entry in plan.procfile.processes if (role := _role(entry)) is not None]
    if not watched or not plan.watchdog:
        return []
    argv = (sys.executable, "-m", "cli.watchdog", *watched)
    return [
        ProcessSpec(name="watchdog", argv=argv, environment=plan.environment, working_folder=PROJECT_FOLDER),
    ]


def _role(entry: Entry) -> str | None:
    if entry.name == WEB:
        return WEB
    words = entry.words
    return next((role for role in ("worker", "beat") if role in words), None) if "celery" in words else None


def _process(plan: Plan, entry: Entry) -> ProcessSpec:
    base = ProcessSpec(name=entry.name, argv=entry.argv, environment=plan.environment, working_folder=PROJECT_FOLDER)
    words = entry.words
    if entry.name == WEB:
        return _web(plan, base)
    if "celery" in words:
        base = dataclasses.replace(base, environment=_without_warning_about_root(plan.environment))
    if "celery" in words and "worker" in words:
        return dataclasses.replace(
            base,
            # A warm shutdown lets running jobs finish; the next hands them back; the lease covers the rest.
            stop_steps=(StopStep(signal.SIGTERM, plan.grace_seconds), StopStep(signal.SIGQUIT, 5.0)),
            # A warm shutdown that nobody watches may last as long as a job. Its children die with it, by the same means.
            death_signal=signal.SIGKILL,
        )
    return base


def _without_warning_about_root(environment: Mapping[str, str]) -> dict[str, str]:
    """Celery warns root of messages that run code when they are read; ours are JSON, and ids only."""
    filters = [environment.get("PYTHONWARNINGS", ""), "ignore:You're running the worker with superuser privileges"]
    return {**environment, "PYTHONWARNINGS": ",".join(filter(None, filters))}


def _web(plan: Plan, base: ProcessSpec) -> ProcessSpec:
    """The web server takes over our socket: gunicorn binds to a descriptor, whatever its configuration file says."""
    arguments = f"{plan.environment.get('GUNICORN_CMD_ARGS', '')} --bind fd://{plan.web_descriptor}".strip()
    return dataclasses.replace(
        base,
        environment={**plan.environment, "GUNICORN_CMD_ARGS": arguments},
        inherited_descriptors=(plan.web_descriptor,),
        stop_steps=(StopStep(signal.SIGTERM, 10.0), StopStep(signal.SIGQUIT, 3.0)),
        # gunicorn's quick shutdown; the gentle one may wait for requests that nobody reads any more.
        death_signal=signal.SIGQUIT,
    )
