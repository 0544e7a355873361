"""A slot whose question has been answered: where the data have not changed since, the stored result is the slot's as well.

Only finished results are taken. A job that somebody else's request has under way is not joined: it would tell its own asker
when it ends, and not those whom the schedule delivers to.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from models import outbox, reuse, settings
from models.base import Json
from models.job import Job
from models.job_states import JobStatus
from models.new_job import NewJob
from models.outbox import EventType, Target


def accept(db: Session, new: NewJob, *, max_age: int | None) -> Job | None:
    """Return the job whose stored result answers a slot, and tell whom the schedule delivers to; None: there is none.

    Args:
        db: the transaction in which the slot is decided.
        new: the job that would be made for the slot.
        max_age: how many seconds ago the result may have been made; None: any time.
    """
    if max_age == 0 or new.reuse_key is None:
        return None
    age = None if max_age is None else timedelta(seconds=max_age)
    known = reuse.find(db, new.organisation_id, new.reuse_key, max_age=age)
    if known is None or known.status != JobStatus.SUCCEEDED:
        return None
    found = reuse.accept(db, new, keep_for=settings.load().result_retention, max_age=age)
    if found.reused and found.job.status == JobStatus.SUCCEEDED:
        _tell(db, found.job, new)
    # A result that was removed at this very moment has made way for the new job, which is as good.
    return found.job


def _tell(db: Session, job: Job, new: NewJob) -> None:
    """Record what the database records when a job ends, with the slot's schedule and receivers."""
    here = f"/v1/reports/{job.id}"
    data: Json = {
        "id": str(job.id),
        "kind": job.kind,
        "type": job.type,
        "status": job.status,
        "label": new.label,
        "schedule_id": str(new.schedule_id),
        "created_at": _printed(job.created_at),
        "finished_at": _printed(job.finished_at),
        "error": None,
        "links": {"self": here, "result": f"{here}/result"},
    }
    outbox.record(
        db,
        new.organisation_id,
        EventType.REPORT_SUCCEEDED,
        data,
        job_id=job.id,
        schedule_id=new.schedule_id,
        targets=[Target.of(target) for target in new.deliveries or ()],
    )


def _printed(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
