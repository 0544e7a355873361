"""The figures of `/metrics`, all computed from the tables when they are asked for, so that no restart makes them wrong.

What only grows is counted in the rows that are there and in the tallies of those that were removed, in one snapshot of
the database: a row that moves from the one to the other meanwhile is neither missed nor counted twice.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, func, select, text
from sqlalchemy.orm import Session

from models import alerts, delivery_figures, heartbeat, queues, schedules, tally, upkeep
from models import session as sessions
from models.delivery_figures import DeliveryFigures
from models.heartbeat import ProcessKind
from models.job import Job, JobEvent
from models.job_states import Reason
from models.queues import QueueState
from models.tally import Count
from models.upkeep import Upkeep

RECENT_SECONDS = 300
QUANTILES = (0.5, 0.9, 0.99, 1.0)
COUNTED_REASONS = (
    Reason.WORKER_LOST,
    Reason.LEASE_EXPIRED,
    Reason.CRASHES_USED_UP,
    Reason.TIMED_OUT,
    Reason.TRANSIENT_ERROR,
    Reason.INTERRUPTED,
)
# A scrape that takes longer than this is of no use to anybody any more. Compiling its plans takes longer than running them.
_BOUNDS = text("SELECT set_config('statement_timeout', '5s', true), set_config('jit', 'off', true)")


@dataclass(frozen=True, slots=True)
class JobClass:
    kind: str
    queue: str
    status: str

    @property
    def label(self) -> str:
        """What jobs of this class are tallied under."""
        return f"{self.kind}/{self.queue}/{self.status}"

    @classmethod
    def of_label(cls, label: str) -> "JobClass":
        return cls(*label.split("/"))


@dataclass(frozen=True, slots=True)
class Recent:
    """How long the jobs of a kind that finished lately had waited and run: one number of seconds per quantile.

    None where no job had a wait or a run: one that is cancelled in the queue never starts.
    """

    finished: int
    waits: tuple[float, ...] | None
    runs: tuple[float, ...] | None


@dataclass(frozen=True, slots=True)
class Figures:
    jobs: Mapping[JobClass, int]
    """All jobs there have ever been, those that were removed among them."""
    reasons: Mapping[str, int]
    """How often jobs have changed for each of `COUNTED_REASONS`, ever."""
    tallies: Mapping[tuple[str, str], int]
    recent: Mapping[str, Recent]
    queues: Mapping[str, QueueState]
    deliveries: DeliveryFigures
    schedules: schedules.Figures
    alerts: alerts.Figures
    since_beat: float | None
    since_sweep: float | None
    since_schedules: float | None


def read(queue_names: Iterable[str]) -> Figures:
    """Read all figures in one snapshot of the database."""
    with sessions.transaction() as db:
        db.connection(execution_options={"isolation_level": "REPEATABLE READ"})
        db.execute(_BOUNDS)
        tallies = tally.all_(db)
        return Figures(
            jobs=_jobs(db, tallies),
            reasons=_reasons(db, tallies),
            tallies=tallies,
            recent=_recent(db),
            queues=queues.states(db, queue_names),
            deliveries=delivery_figures.read(db),
            schedules=schedules.figures(db),
            alerts=alerts.figures(db),
            since_beat=heartbeat.seconds_since_last(db, ProcessKind.BEAT),
            since_sweep=upkeep.seconds_since(db, Upkeep.RESCUE),
            since_schedules=upkeep.seconds_since(db, Upkeep.SCHEDULES),
        )


def _jobs(session: Session, tallies: Mapping[tuple[str, str], int]) -> Counter[JobClass]:
    counted = select(Job.kind, Job.queue, Job.status, func.count()).group_by(Job.kind, Job.queue, Job.status)
    jobs = Counter({JobClass(kind, queue, status): count for kind, queue, status, count in session.execute(counted)})
    jobs.update({JobClass.of_label(label): count for label, count in _of(tallies, Count.FORGOTTEN_JOBS).items()})
    return jobs


def _reasons(session: Session, tallies: Mapping[tuple[str, str], int]) -> Counter[str]:
    counted = (
        select(JobEvent.reason, func.count())
        .where(JobEvent.reason.in_([reason.value for reason in COUNTED_REASONS]))
        .group_by(JobEvent.reason)
    )
    reasons = Counter(dict(session.execute(counted).all()))
    reasons.update(_of(tallies, Count.FORGOTTEN_EVENTS))
    return Counter({reason.value: reasons[reason.value] for reason in COUNTED_REASONS})


def _of(tallies: Mapping[tuple[str, str], int], name: Count) -> dict[str, int]:
    return {label: value for (counted, label), value in tallies.items() if counted == name}


def _recent(session: Session) -> dict[str, Recent]:
    query = (
        select(
            Job.kind,
            func.count(),
            _quantiles(Job.started_at - Job.created_at),
            _quantiles(Job.finished_at - Job.claimed_at),
        )
        .where(Job.finished_at > func.now() - text(f"interval '{RECENT_SECONDS} seconds'"))
        .group_by(Job.kind)
    )
    return {
        kind: Recent(finished=count, waits=_seconds(waits), runs=_seconds(runs))
        for kind, count, waits, runs in session.execute(query)
    }


def _quantiles(duration: ColumnElement[Any]) -> ColumnElement[list[float] | None]:
    seconds = func.extract("epoch", duration)
    return func.percentile_disc(text(f"ARRAY[{', '.join(map(str, QUANTILES))}]::float8[]")).within_group(seconds)


def _seconds(values: list[float] | None) -> tuple[float, ...] | None:
    # A database whose clock was set back meanwhile would report less than nothing.
    return None if values is None else tuple(max(0.0, float(value)) for value in values)
