"""What only shows while the stack runs: silent processes, queues nobody serves, disks that fill up, folders that are not shared."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import sqlalchemy.exc
from sqlalchemy import Integer, cast, func, select, text
from sqlalchemy.orm import Session

from models import liveness, session, settings
from models.heartbeat import ProcessKind
from models.job import Job
from models.job_states import UNFINISHED, JobKind
from models.liveness import Seen
from workers import broker
from workers.doctor.finding import Finding, Verdict

LEAST_FREE_BYTES = 1 << 30
# Who has been silent for longer was stopped on purpose.
RECENTLY_SECONDS = 3600.0
UPLOADS_LOOKED_AT = 50
# Connections that each process may hold at a busy moment: a parent's heart and sweep, a child's job and its progress.
PER_PARENT, PER_CHILD, PER_BEAT = 3, 2, 3
# The pools of models.session: sixteen that rest in the one for single statements, while every thread is in a transaction.
PER_WEB = 36


def examine(queues: list[str]) -> list[Finding]:
    return [*_of_disk(), *_of_uploads_folder(), *_of_database(queues)]


def _of_disk() -> Iterator[Finding]:
    configured = settings.load()
    for name, folder in {"home": configured.home, "uploads": configured.upload_folder}.items():
        free = shutil.disk_usage(_existing(folder)).free
        seen = f"{free / 1e9:.1f} GB free under {folder}"
        if free >= LEAST_FREE_BYTES:
            yield Finding(f"disk of {name}", Verdict.OK, seen)
            continue
        why = "Imports and large results fail when it is full, and an embedded PostgreSQL stops."
        yield Finding(
            f"disk of {name}", Verdict.WARNING, seen, why=why, remedy="Make room, or move it to a larger disk."
        )


def _of_uploads_folder() -> Iterator[Finding]:
    folder = settings.load().upload_folder
    try:
        # Making a file is the only question that a read-only or full file system answers truly.
        with tempfile.NamedTemporaryFile(dir=_existing(folder), prefix=".doctor-"):
            yield Finding("folder of uploads", Verdict.OK, f"{folder} can be written to")
    except OSError as error:
        why = "Uploads are refused, and imports cannot clean up after themselves."
        remedy = "Let the account of web and workers write there, or set UPLOAD_DIR to another folder."
        detail = f"{folder} cannot be written to: {error.strerror}"
        yield Finding("folder of uploads", Verdict.WARNING, detail, why=why, remedy=remedy)


def _existing(folder: Path) -> Path:
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _of_database(queues: list[str]) -> list[Finding]:
    try:
        with session.transaction() as db:
            processes = [seen for seen in liveness.seen(db) if seen.silent_for < RECENTLY_SECONDS]
            return [
                *_of_processes(processes),
                *_of_queues(processes, queues),
                *_of_stalled(db),
                *_of_shared_folders(db, processes),
                _of_connections(db, processes),
            ]
    except sqlalchemy.exc.SQLAlchemyError:
        # That the database does not answer, or has no schema, is said by its own checks.
        return []


def _of_processes(processes: list[Seen]) -> Iterator[Finding]:
    """Report each role by its newest process: its predecessors ended, and fell silent, when it was restarted."""
    newest: dict[tuple[str, str], Seen] = {}
    for seen in sorted(processes, key=lambda seen: -seen.started):
        newest[seen.host, seen.name] = seen
    for (host, name), seen in sorted(newest.items()):
        subject = name if host in name else f"{name} on {host}"
        detail = f"last sign of life {seen.silent_for:.0f} s ago"
        if seen.silent_for <= liveness.silence_seconds():
            yield Finding(subject, Verdict.OK, detail)
        else:
            why = "It has ended or is frozen; its jobs go to others when their leases run out."
            yield Finding(subject, Verdict.WARNING, detail, why=why, remedy="If nobody stopped it, look into its log.")
    for kind in ProcessKind:
        if not any(_alive(seen) for seen in processes if seen.kind is kind):
            why = {ProcessKind.WORKER: "No job is run.", ProcessKind.BEAT: "Nothing sweeps up after dead workers."}[
                kind
            ]
            yield Finding(f"any {kind}", Verdict.WARNING, "none", why=why, remedy="Start the Procfile's processes.")


def _of_queues(processes: list[Seen], queues: list[str]) -> Iterator[Finding]:
    for queue in queues:
        serving = [seen.name for seen in processes if _alive(seen) and queue in seen.queues]
        if serving:
            yield Finding(f"queue {queue}", Verdict.OK, f"served by {', '.join(sorted(serving))}")
        else:
            why, remedy = "Its jobs wait.", f"Start a worker with -Q {queue}."
            yield Finding(f"queue {queue}", Verdict.WARNING, "no worker serves it", why=why, remedy=remedy)


def _of_stalled(db: Session) -> Iterator[Finding]:
    if not broker.ping():
        return
    configured, silence = settings.load(), liveness.silence_seconds()
    for worker in liveness.stalled_workers(db, stall_seconds=configured.stall_seconds, silent_seconds=silence):
        why, remedy = "It is alive and does nothing.", "It ends itself within a minute; if not, restart it."
        yield Finding(f"{worker.name} on {worker.host}", Verdict.WARNING, worker.sentence, why=why, remedy=remedy)


def _of_shared_folders(db: Session, processes: list[Seen]) -> Iterator[Finding]:
    """Look for uploads that wait to be imported and are not here: each file has its job's id as its name."""
    query = (
        select(Job.id)
        .where(Job.kind.in_((JobKind.IMPORT, JobKind.PREVIEW)), Job.status.in_(UNFINISHED), Job.upload.is_not(None))
        .order_by(Job.id)
        .limit(UPLOADS_LOOKED_AT)
    )
    folder = settings.load().upload_folder
    waiting = db.scalars(query).all()
    missing = [job_id for job_id in waiting if not (folder / str(job_id)).exists()]
    remedy = "Set UPLOAD_DIR to one folder that web and all import workers share."
    if missing:
        detail = f"{len(missing)} of {len(waiting)} files that wait to be imported are not in {folder}"
        why = "An import whose file is not there fails."
        yield Finding("uploads that wait", Verdict.WARNING, detail, why=why, remedy=remedy)
    hosts = {seen.host for seen in processes if _alive(seen) and seen.kind is ProcessKind.WORKER}
    if len(hosts) > 1 and settings.load().upload_dir is None:
        detail = f"workers run on {len(hosts)} hosts, and UPLOAD_DIR is not set"
        why = "A worker of another host than the web server's does not find the file."
        yield Finding("shared folder of uploads", Verdict.WARNING, detail, why=why, remedy=remedy)


def _of_connections(db: Session, processes: list[Seen]) -> Finding:
    alive = [seen for seen in processes if _alive(seen)]
    workers = sum(PER_PARENT + PER_CHILD * seen.slots for seen in alive if seen.kind is ProcessKind.WORKER)
    needed = PER_WEB + workers + PER_BEAT * sum(seen.kind is ProcessKind.BEAT for seen in alive)
    allowed = select(
        cast(func.current_setting("max_connections"), Integer)
        - cast(func.current_setting("superuser_reserved_connections"), Integer)
    )
    others = text(
        "SELECT count(*) FROM pg_stat_activity "
        "WHERE backend_type = 'client backend' AND application_name NOT LIKE 'reckoner %'"
    )
    free = db.scalars(allowed).one() - int(db.scalar(others) or 0)
    detail = f"{free} for Reckoner, which may need {needed} with one web server and the workers seen"
    if needed <= free:
        return Finding("PostgreSQL max_connections", Verdict.OK, detail)
    why = "At a busy moment requests are refused and jobs are put back."
    return Finding("PostgreSQL max_connections", Verdict.WARNING, detail, why=why, remedy="Raise max_connections.")


def _alive(seen: Seen) -> bool:
    return seen.silent_for <= liveness.silence_seconds()
