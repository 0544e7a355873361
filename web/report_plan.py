"""A request for a report, planned for the caller's organisation, and what its plan looks like over HTTP."""

from sqlalchemy.orm import Session

from web import schemas
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


def dry_run(plan: Plan) -> schemas.DryRun:
    return schemas.DryRun(
        type=plan.type.name,
        version=plan.type.version,
        params=plan.params,
        datasets={
            name: schemas.DryRunDataset(version=version.version, rows=version.row_count)
            for name, version in plan.versions.items()
        },
        rows=plan.rows,
        reused=False,
    )
