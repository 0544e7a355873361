"""What a restore that is asked for would do: checked against the versions there are, then said or accepted."""

from dataclasses import dataclass

from sqlalchemy.orm import Session

from models import dataset
from models.dataset import DatasetVersion
from models.job_states import JobKind
from models.transitions import NewJob
from web import catalogue_schemas, problem_types, problems, request_context
from web.auth import Caller
from workers import pins, routing

POINTER = "#/version"


@dataclass(frozen=True, slots=True)
class Plan:
    """A restore that can be made."""

    caller: Caller
    request: catalogue_schemas.RestoreRequest
    now: DatasetVersion
    then: DatasetVersion

    def new_job(self) -> NewJob:
        return NewJob(
            organisation_id=self.caller.organisation_id,
            kind=JobKind.RESTORE,
            type=self.now.dataset,
            params={"version": self.then.version},
            # No row is copied, however large the dataset is.
            queue=routing.queue_of_lake_job(0),
            # Until it is done, the version's files are needed like those that a report reads.
            dataset_versions={self.now.dataset: self.then.version},
            label=self.request.label,
            request_id=request_context.request_id(),
            traceparent=request_context.traceparent(),
        )

    def dry_run(self) -> catalogue_schemas.RestoreDryRun:
        return catalogue_schemas.RestoreDryRun(
            dataset=self.now.dataset,
            version=self.then.version,
            current_version=self.now.version,
            rows_now=self.now.row_count,
            rows_then=self.then.row_count,
            columns_lost=[name for name in self.now.columns if name not in self.then.columns],
            columns_back=[name for name in self.then.columns if name not in self.now.columns],
            versions_undone=self.now.version - self.then.version,
        )


def make(db: Session, name: str, request: catalogue_schemas.RestoreRequest, caller: Caller) -> Plan:
    """Validate a request against the versions of the dataset.

    Raises:
        workers.refusals.RefusedError: there is no such version, or it is gone.
        problems.Problem: it is the current one.
    """
    organisation_id = caller.organisation_id
    then = pins.readable(db, organisation_id, name, number=request.version, pointer=POINTER).version
    newest = dataset.newest(db, organisation_id, name)
    now = newest.version if newest is not None else then
    if now.version == then.version:
        detail = f"Version {then.version} is the current version of {name}; there is nothing to restore."
        raise problems.Problem(
            problem_types.VERSION_IS_CURRENT,
            detail,
            errors=[problems.FieldError(POINTER, "version-is-current", detail)],
        )
    return Plan(caller=caller, request=request, now=now, then=then)
