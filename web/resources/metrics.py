"""`/metrics`: what the tables and the broker say at this moment, in Prometheus' text format.

Nothing is counted in this process, so it does not matter which one is asked, or when it was started. No label holds the
name of an organisation or anything else of a customer.
"""

import time
from collections.abc import Iterator, Mapping

import flask
import redis
import sqlalchemy.exc
import structlog
from prometheus_client import exposition
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from models import alerts, metrics, row_access, schedules
from models.delivery import Channel, DeliveryStatus
from models.delivery_figures import DeliveryFigures
from models.job_states import JobKind, JobStatus, Reason
from models.metrics import Figures, JobClass
from models.queues import QueueState
from models.tally import Count
from web.resources import health
from workers import broker, routing

blueprint = flask.Blueprint("metrics", __name__)

# An alert on an age must fire where the event never happened at all.
NEVER = float("inf")

RESCUES = (Reason.WORKER_LOST, Reason.LEASE_EXPIRED)
OF_REASON = {
    Reason.CRASHES_USED_UP: ("crashes_used_up", "Jobs given up because they took too many processes with them."),
    Reason.TIMED_OUT: ("timeouts", "Jobs ended because they ran past their limit."),
    Reason.TRANSIENT_ERROR: ("transient_errors", "Attempts that ended in an error and are made again."),
    Reason.INTERRUPTED: ("interruptions", "Attempts that the database or the disk ended, counted against nothing."),
}
OF_TALLY = {
    Count.REPUBLISHED: ("republished", "cause", "Messages found missing, whose jobs were published again."),
    Count.DUPLICATES_REFUSED: (
        "duplicates_refused",
        "status",
        "Messages for jobs in a state in which none can be taken.",
    ),
    Count.LEASES_LOST: ("leases_lost", "noticed", "Attempts that went on after their job was given to another."),
    Count.STALLED_WORKERS: (
        "stalled_workers",
        "queue",
        "Workers ended because they took no work although there was some.",
    ),
    Count.REQUESTS_REFUSED: ("requests_refused", "policy", "Requests answered with 429."),
    Count.LIMITS_ALONE: ("limits_alone", "", "Times a web process lost Redis and counted requests alone."),
    Count.UNKNOWN_JOBS: ("unknown_jobs", "", "Messages of jobs the database does not know."),
}

log = structlog.get_logger(__name__)


@blueprint.get("/metrics")
def show() -> flask.Response:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector())
    encode, content_type = exposition.choose_encoder(flask.request.headers.get("Accept", ""))
    return flask.Response(encode(registry), content_type=content_type)


class _Collector(Collector):
    """Looks once and says what it saw. Where the database is away, that is part of what it says."""

    def describe(self) -> Iterator[Metric]:
        """Name nothing in advance: else the registry would collect once only to learn the names."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        began = time.perf_counter()
        lengths = _list_lengths()
        figures = _figures()
        yield _gauge("database_up", "Whether PostgreSQL answers.", figures is not None)
        yield _gauge("broker_up", "Whether Redis answers.", lengths is not None)
        if lengths is not None:
            yield _messages(lengths)
        if figures is not None:
            yield from _all_of(figures)
        yield _gauge("scrape_seconds", "How long it took to compute these figures.", time.perf_counter() - began)


def _figures() -> Figures | None:
    try:
        with row_access.of_all_organisations():
            return metrics.read(health.queue_names())
    except (sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError) as error:
        log.warning("no figures: the database did not answer", error=type(error).__name__)
        return None


def _list_lengths() -> Mapping[tuple[str, str], int] | None:
    keys = {
        (queue, lane): key
        for queue in health.queue_names()
        for lane, key in zip(("express", "ordinary"), broker.lists_of(queue), strict=True)
    }
    try:
        pipeline = broker.client().pipeline(transaction=False)
        for key in keys.values():
            pipeline.llen(key)
        return dict(zip(keys, pipeline.execute(), strict=True))
    except redis.RedisError:
        return None


def _all_of(figures: Figures) -> Iterator[Metric]:
    yield from _jobs(figures.jobs)
    yield from _queues(figures.queues)
    yield from _durations(figures.recent)
    yield from _deliveries(figures.deliveries)
    yield from _schedules(figures.schedules)
    yield from _alerts(figures.alerts)
    rescues = _counter("rescues", "Running jobs whose process was gone, by how that was noticed.", ["reason"])
    for reason in RESCUES:
        rescues.add_metric([reason], figures.reasons[reason])
    yield rescues
    for reason, (name, help_) in OF_REASON.items():
        counted = _counter(name, help_)
        counted.add_metric([], figures.reasons[reason])
        yield counted
    yield from _tallies(figures.tallies)
    ages = {
        "beat_age_seconds": ("Time since beat last gave a sign of life.", figures.since_beat),
        "sweep_age_seconds": ("Time since lost jobs and messages were last looked for.", figures.since_sweep),
        "schedules_age_seconds": ("Time since what schedules have due was last looked for.", figures.since_schedules),
    }
    for name, (help_, age) in ages.items():
        yield _gauge(name, help_, NEVER if age is None else age)


def _jobs(jobs: Mapping[JobClass, int]) -> Iterator[Metric]:
    unfinished = _gauges("jobs", "Jobs that are accepted and not finished.", ["kind", "queue", "status"])
    finished = _counter("jobs_finished", "Jobs that reached a final state, ever.", ["kind", "queue", "status"])
    # A series that exists from the start lets a rate see its first event.
    known = [
        JobClass(kind, queue, state) for kind in JobKind for queue in routing.queues_of(kind) for state in JobStatus
    ]
    for one in sorted({*known, *jobs}, key=lambda one: one.label):
        family = finished if JobStatus(one.status).is_final else unfinished
        family.add_metric([one.kind, one.queue, one.status], jobs.get(one, 0))
    yield unfinished
    yield finished


def _queues(queues: Mapping[str, QueueState]) -> Iterator[Metric]:
    waiting = _gauges("jobs_waiting", "Queued jobs: not published, published, or not due yet.", ["queue", "state"])
    oldest = _gauges("oldest_due_seconds", "How long the longest-waiting due job has been due.", ["queue"])
    workers = _gauges("workers", "Workers that give signs of life.", ["queue"])
    slots = _gauges("worker_slots", "Jobs that these workers can run at once.", ["queue"])
    claim = _gauges("claim_age_seconds", "Time since a worker last took a job.", ["queue"])
    for name, state in queues.items():
        waiting.add_metric([name, "unpublished"], state.unpublished)
        waiting.add_metric([name, "published"], state.published)
        waiting.add_metric([name, "delayed"], state.delayed)
        oldest.add_metric([name], state.oldest_due or 0.0)
        workers.add_metric([name], state.workers)
        slots.add_metric([name], state.slots)
        claim.add_metric([name], NEVER if state.since_claim is None else state.since_claim)
    yield from (waiting, oldest, workers, slots, claim)


def _durations(recent: Mapping[str, metrics.Recent]) -> Iterator[Metric]:
    within = f"among the jobs that finished in the last {metrics.RECENT_SECONDS} seconds"
    count = _gauges("recent_jobs", f"How many jobs there are {within}.", ["kind"])
    waits = _gauges("recent_wait_seconds", f"Time from acceptance to the first start, {within}.", ["kind", "quantile"])
    runs = _gauges("recent_run_seconds", f"Time from the last claim to the end, {within}.", ["kind", "quantile"])
    for kind in sorted({*JobKind, *recent}):
        found = recent.get(kind)
        count.add_metric([kind], found.finished if found is not None else 0)
        for family, values in ((waits, found and found.waits), (runs, found and found.runs)):
            for quantile, value in zip(metrics.QUANTILES, values or (), strict=bool(values)):
                family.add_metric([kind, f"{quantile:g}"], value)
    yield from (count, waits, runs)


def _schedules(figures: schedules.Figures) -> Iterator[Metric]:
    counts = _gauges("schedules", "Schedules: active, paused by somebody, or paused after failures.", ["state"])
    counts.add_metric(["active"], figures.active)
    counts.add_metric(["paused"], figures.paused - figures.failing)
    counts.add_metric(["failing"], figures.failing)
    yield counts
    yield _gauge("schedules_due", "Schedules with a slot that is due and not decided.", figures.due)
    help_ = "How long the most overdue slot of any schedule has been due."
    yield _gauge("schedule_oldest_overdue_seconds", help_, figures.overdue_seconds)
    help_ = "Slots that wait for the job of an earlier one to end."
    yield _gauge("schedule_slots_waiting", help_, figures.waiting)


def _alerts(figures: alerts.Figures) -> Iterator[Metric]:
    help_ = "Alerts of schedules that have been evaluated, by the gravest state of their rows; broken ones cannot be."
    states = _gauges("alerts", help_, ["state"])
    for state, count in figures.states.items():
        states.add_metric([state], count)
    yield states
    yield _gauge("alert_slots_due", "Slots whose alerts are still to be evaluated.", figures.due)
    help_ = "How long the slot has waited for that which has waited longest."
    yield _gauge("alert_oldest_due_seconds", help_, figures.oldest_due or 0.0)


def _deliveries(figures: DeliveryFigures) -> Iterator[Metric]:
    counts = _gauges("deliveries", "Deliveries on record.", ["channel", "status"])
    for channel in Channel:
        for status in DeliveryStatus:
            counts.add_metric([channel, status], figures.counts.get((channel, status), 0))
    yield counts
    help_ = "How long the longest-waiting due delivery has waited for a sender."
    yield _gauge("delivery_oldest_due_seconds", help_, figures.oldest_due or 0.0)
    yield _gauge("deliveries_failed_lately", "Deliveries given up in the last day.", figures.failed_lately)


def _tallies(tallies: Mapping[tuple[str, str], int]) -> Iterator[Metric]:
    for counted, (name, label, help_) in OF_TALLY.items():
        family = _counter(name, help_, [label] if label else [])
        for (found, value_of_label), value in sorted(tallies.items()):
            if found == counted:
                family.add_metric([value_of_label] if label else [], value)
        if not label and not family.samples:
            family.add_metric([], 0)
        yield family


def _messages(lengths: Mapping[tuple[str, str], int]) -> Metric:
    family = _gauges("broker_messages", "Messages in the broker's lists, not in a worker's hands.", ["queue", "lane"])
    for labels, length in lengths.items():
        family.add_metric(labels, length)
    return family


def _gauge(name: str, help_: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reckoner_{name}", help_, value=float(value))


def _gauges(name: str, help_: str, labels: list[str]) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"reckoner_{name}", help_, labels=labels)


def _counter(name: str, help_: str, labels: list[str] | None = None) -> CounterMetricFamily:
    return CounterMetricFamily(f"reckoner_{name}", help_, labels=labels or ())
