"""A request for a report, planned for the caller's organisation, and what its plan looks like over HTTP."""

from datetime import timedelta

from sqlalchemy.orm import Session

from models import reuse as stored
from models.job import Job
from models.job_states import JobStatus
from web import accepting, job_object, schemas
from web.auth import Caller
from workers import report_planning
from workers.report_planning import Organisation, Plan, Request


def make(db: Session, request: schemas.ReportRequest, caller: Caller) -> Plan:
    """Plan what was asked for.

    Raises:
        workers.refusals.RefusedError: an unknown type, wrong parameters, or data that are not there.
    """
    asked = Request(type=request.type, params=request.params, dataset_versions=request.dataset_versions)
    organisation = Organisation(id=caller.organisation_id, timezone=caller.timezone, currency=caller.currency)
    return report_planning.plan(db, asked, organisation)


def reuse(request: schemas.ReportRequest) -> accepting.Reuse | None:
    """Say which other jobs the asker would be content with."""
    if request.max_age == 0:
        return None
    return accepting.Reuse(None if request.max_age is None else timedelta(seconds=request.max_age))


def dry_run(db: Session, plan: Plan, instead: accepting.Reuse | None) -> schemas.DryRun:
    """Say what a plan would read, and which job there is already that gives its result."""
    found = None
    if instead is not None:
        found = stored.find(db, plan.organisation.id, plan.reuse_key, max_age=instead.max_age)
    return schemas.DryRun(
        type=plan.type.name,
        version=plan.type.version,
        params=plan.params,
        datasets={
            name: schemas.DryRunDataset(version=version.version, rows=version.row_count)
            for name, version in plan.versions.items()
        },
        rows=plan.rows,
        reused=found is not None,
        job=_reused(found) if found is not None else None,
    )


def _reused(job: Job) -> schemas.DryRunJob:
    return schemas.DryRunJob(
        id=job.id,
        status=JobStatus(job.status),
        label=job.label,
        created_at=job.created_at,
        finished_at=job.finished_at,
        links=schemas.SelfLink(self=job_object.address(job)),
    )
