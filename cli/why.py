"""Says in sentences why a job has not finished, from where it stands."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from cli import spans
from models.job import Job
from models.job_states import JobStatus, Reason
from models.standing import AtWork, Standing
from models.transitions import MAX_CRASHES

# A worker gives a sign of life every five seconds.
SILENT_SECONDS = 30.0
SHOWN_BUSY = 5


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that bears on when a job goes on; the code is for programs and the sentence for people."""

    code: str
    sentence: str


def causes(standing: Standing, *, broker_reachable: bool) -> list[Cause]:
    """Return what a job waits for, or how it ended, the nearest cause first."""
    job = standing.job
    if JobStatus(job.status).is_final:
        return [_ended(job)]
    if job.status == JobStatus.RUNNING:
        return list(_running(standing))
    if job.run_at > standing.now:
        return [_backing_off(standing)]
    return list(_waiting(standing, broker_reachable=broker_reachable))


def facts(standing: Standing, found: list[Cause]) -> dict[str, Any]:
    """Return the same for programs."""
    job = standing.job
    return {
        "id": job.id,
        "status": job.status,
        "reason": job.reason,
        "causes": [asdict(cause) for cause in found],
        "organisation": standing.organisation,
        "queue": job.queue,
        "max_in_flight": standing.max_in_flight,
        "in_flight": standing.in_flight,
        "place_in_line": standing.place or None,
        "messages_ahead": standing.ahead if job.published_at is not None else None,
        "workers": standing.queue.workers,
        "slots": standing.queue.slots,
        "running": [asdict(one) for one in standing.at_work],
    }


def _ended(job: Job) -> Cause:
    when = f"It {job.status} at {_at(job.finished_at)}" if job.status != JobStatus.CANCELLED else None
    if job.status == JobStatus.SUCCEEDED:
        return Cause("succeeded", f"{when}, in attempt {job.attempt}.")
    if job.status == JobStatus.FAILED:
        error = job.error or {}
        told = ". ".join(part for part in (error.get("title"), error.get("detail")) if part) or "no error was kept"
        return Cause("failed", f"{when}, in attempt {job.attempt} ({job.reason}): {told}")
    why = f": {job.cancel_reason}" if job.cancel_reason else "."
    by = f" by {job.cancelled_by}" if job.cancelled_by else ""
    return Cause("cancelled", f"It was cancelled{by} at {_at(job.finished_at)}{why}")


def _running(standing: Standing) -> Iterator[Cause]:
    job, now = standing.job, standing.now
    since = job.claimed_at or now
    worker = standing.worker or f"worker {job.worker_id}"
    yield Cause(
        "running",
        f"It runs: attempt {job.attempt}, on {worker}, process {job.worker_pid}, since {_at(since)} "
        f"({spans.text((now - since).total_seconds())}){_progress(job)}.",
    )
    if job.cancel_requested_at is not None:
        by = job.cancelled_by or "somebody"
        asked = spans.text((now - job.cancel_requested_at).total_seconds())
        yield Cause("cancelling", f"Its end was asked for {asked} ago by {by}; its worker stops it.")
    if job.lease_until is not None and job.lease_until < now:
        ago = spans.text((now - job.lease_until).total_seconds())
        yield Cause("lease-expired", f"Its lease ran out {ago} ago; the next sweep takes it from its worker.")
    elif job.lease_until is not None:
        ahead = spans.text((job.lease_until - now).total_seconds())
        yield Cause("leased", f"Its lease lasts for another {ahead}, and is renewed for as long as its worker lives.")
    if standing.worker_silent_for is not None and standing.worker_silent_for > SILENT_SECONDS:
        silent = spans.text(standing.worker_silent_for)
        yield Cause("worker-silent", f"Its worker has given no sign of life for {silent}.")


def _progress(job: Job) -> str:
    if not job.progress:
        return ""
    phase, done, total = (job.progress.get(name) for name in ("phase", "done", "total"))
    return f"; {phase}" + (f" {done} of {total}" if done is not None and total else "")


def _backing_off(standing: Standing) -> Cause:
    job = standing.job
    left = spans.text((job.run_at - standing.now).total_seconds())
    title = (job.error or {}).get("title") or job.reason
    after = {
        Reason.TRANSIENT_ERROR.value: f"attempt {job.attempt} ended in an error ({job.errors} of {job.max_attempts}): {title}",
        Reason.WORKER_LOST.value: f"the process of attempt {job.attempt} died (crash {job.crashes} of {MAX_CRASHES})",
        Reason.LEASE_EXPIRED.value: f"nothing was heard of the worker of attempt {job.attempt} "
        f"(crash {job.crashes} of {MAX_CRASHES})",
        Reason.INTERRUPTED.value: f"attempt {job.attempt} was interrupted, which counts against nothing: {title}",
    }.get(job.reason, job.reason)
    return Cause("backing-off", f"It is not due until {_at(job.run_at)}, in {left}, because {after}.")


def _waiting(standing: Standing, *, broker_reachable: bool) -> Iterator[Cause]:
    if standing.job.published_at is None:
        yield _without_message(standing)
    else:
        yield _with_message(standing)
    if not broker_reachable:
        yield Cause(
            "broker-away", "Redis does not answer or takes no messages: no worker is told of anything until it does."
        )
    if standing.queue.workers == 0:
        yield Cause("no-worker", f"No worker serves the queue {standing.job.queue}.")
    elif standing.queue.free_slots == 0:
        yield Cause("workers-busy", _busy(standing))


def _without_message(standing: Standing) -> Cause:
    job = standing.job
    if standing.in_flight == 0:
        due = spans.text((standing.now - max(job.run_at, job.created_at)).total_seconds())
        return Cause(
            "not-published",
            f"It has been due for {due} and has no message in the broker yet; the sweep publishes it, "
            f"number {standing.place} in its organisation's line.",
        )
    return Cause(
        "organisation-at-its-limit",
        f"{standing.organisation} has {standing.in_flight} jobs under way in the queue {job.queue}, of at most "
        f"{standing.max_in_flight}; the next are let in as these finish, and this is number {standing.place} in its line.",
    )


def _with_message(standing: Standing) -> Cause:
    job = standing.job
    ago = spans.text((standing.now - (job.published_at or standing.now)).total_seconds())
    times = "" if job.publishes < 2 else f" (the {job.publishes}. time)"
    ahead = {0: "nothing is", 1: "1 message is"}.get(standing.ahead, f"{standing.ahead} messages are")
    return Cause("published", f"It was published {ago} ago{times}, and {ahead} before it in the queue {job.queue}.")


def _busy(standing: Standing) -> str:
    shown = "; ".join(_at_work(one) for one in standing.at_work[:SHOWN_BUSY])
    more = standing.queue.running - SHOWN_BUSY
    return (
        f"All {standing.queue.slots} slots of the queue {standing.job.queue} are busy: {shown}"
        + (f"; and {more} more" if more > 0 else "")
        + "."
    )


def _at_work(one: AtWork) -> str:
    return f"{one.kind} {one.type} {one.job_id} for {spans.text(one.seconds)} on {one.worker or 'a worker'}"


def _at(moment: Any) -> str:
    return str(moment.strftime("%Y-%m-%d %H:%M:%SZ"))
