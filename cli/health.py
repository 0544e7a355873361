"""`reckoner health`: for process managers other than `reckoner up`. Exit code 0: leave it alone. 1: restart it.

Where the database does not answer, nobody's health can be judged, and restarting would not help: that is 0.
"""

import dataclasses
import socket
from collections.abc import Callable, Sequence

import click
import sqlalchemy.exc

from cli import frozen_web, invocation, listening, output, runtime_file
from cli.exit_codes import ExitCode
from models import liveness, session, settings
from models.heartbeat import ProcessKind
from models.liveness import Seen
from workers import broker


@dataclasses.dataclass(frozen=True, slots=True)
class Health:
    """The answer: one sentence; `known` is False where it could not be judged."""

    healthy: bool
    sentence: str
    known: bool = True


@click.group("health")
def command() -> None:
    """Tell whether the worker, beat or web of this machine does its work: exit code 0 or 1, and one sentence.

    For liveness probes of containers. A worker is unhealthy when it has given no sign of life for as long as a lease
    lasts (30 s at least), or takes no work for STALL_SECONDS although work is due and it has a free slot.
    """


@command.command("worker")
@click.option("--queue", help="Only workers that serve this queue.")
@click.option("--name", help="Only the worker of this name, as in `celery worker -n NAME`; `%h` may be left out.")
def worker(*, queue: str | None, name: str | None) -> None:
    """Judge the workers of this machine: all of them must be well."""

    def wanted(seen: Seen) -> bool:
        if queue is not None and queue not in seen.queues:
            return False
        return name is None or name in (seen.name, seen.name.partition("@")[0])

    _answer(_judged(ProcessKind.WORKER, wanted))


@command.command("beat")
def beat() -> None:
    """Judge the beat of this machine."""
    _answer(_judged(ProcessKind.BEAT, lambda _: True))


@command.command("web")
@click.option("--url", help="Where it is.  [default: the running stack of the home, or $HOST:$PORT]")
def web(*, url: str | None) -> None:
    """Judge the web server: it must answer /healthz within 5 seconds."""
    configured = settings.load()
    running = runtime_file.read(configured.home)
    at = url or (running.web_url if running else listening.url(configured.host, configured.port))
    well = frozen_web.answers(at)
    _answer(Health(healthy=well, sentence=f"the web server at {at} {'answers' if well else 'does not answer'}"))


def _answer(health: Health) -> None:
    if invocation.current().as_json:
        output.emit_json(dataclasses.asdict(health))
    else:
        click.echo(health.sentence)
    if not health.healthy:
        raise click.exceptions.Exit(ExitCode.FAILED)


def _judged(kind: ProcessKind, wanted: Callable[[Seen], bool]) -> Health:
    host = socket.gethostname()
    try:
        with session.transaction() as db:
            seen = liveness.seen(db, host=host)
            stalled = liveness.stalled_workers(
                db, stall_seconds=settings.load().stall_seconds, silent_seconds=liveness.silence_seconds()
            )
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        sentence = f"cannot be judged: the database does not answer ({type(error).__name__})"
        return Health(healthy=True, sentence=sentence, known=False)
    ours = [process for process in _newest(seen) if process.kind is kind and wanted(process)]
    if not ours:
        return Health(healthy=False, sentence=f"no such {kind} on this machine has given a sign of life")
    for process in ours:
        if process.silent_for > liveness.silence_seconds():
            sentence = f"{process.name} has given no sign of life for {process.silent_for:.0f} s"
            return Health(healthy=False, sentence=sentence)
    ids = {process.id for process in ours}
    for worker_ in stalled:
        # While the broker is away there is nothing to take.
        if worker_.id in ids and broker.ping():
            return Health(healthy=False, sentence=f"{worker_.name} {worker_.sentence}")
    last = max(process.silent_for for process in ours)
    names = ", ".join(process.name for process in ours)
    return Health(healthy=True, sentence=f"{names}: last sign of life {last:.0f} s ago")


def _newest(seen: Sequence[Seen]) -> list[Seen]:
    """Return the newest process of each name: its predecessors are silent because they have ended."""
    newest: dict[tuple[str, str], Seen] = {}
    for process in sorted(seen, key=lambda process: -process.started):
        newest[process.kind, process.name] = process
    return list(newest.values())
