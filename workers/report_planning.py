"""What a report that is asked for will do: its type, its canonical parameters, and the versions of the datasets it reads.

Whoever asks plans here, a request over HTTP as well as a schedule: `plan(db, request, organisation).new_job()` is what
`models.transitions.accept` takes.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic
from sqlalchemy.orm import Session

from analytics.catalogue import registry
from analytics.catalogue.parameters import ReportParams
from analytics.catalogue.report_type import Needs, ReportType
from models import transitions
from models.base import Json
from models.dataset import Size
from models.job_states import JobKind
from models.transitions import NewJob
from workers import field_errors, pins, refusals, report_identity, routing
from workers.field_errors import FieldError
from workers.refusals import RefusedError, Why


@dataclass(frozen=True, slots=True)
class Organisation:
    """For whom a report is made, with what holds where its parameters say nothing else."""

    id: uuid.UUID
    timezone: str
    currency: str


@dataclass(frozen=True, slots=True)
class Request:
    """A report as it is asked for.

    Attributes:
        type: the name of its type.
        params: its parameters, as they were written.
        dataset_versions: versions to read, of the datasets named; the others are read in their newest.
    """

    type: str
    params: Mapping[str, Any] = field(default_factory=dict)
    dataset_versions: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A report that can be computed: everything about it is known and valid."""

    organisation: Organisation
    type: ReportType
    params: Json
    versions: Mapping[str, Size]
    reuse_key: bytes

    @property
    def pins(self) -> Json:
        return {name: version.version for name, version in self.versions.items()}

    @property
    def rows(self) -> int:
        """How many rows it will read."""
        return sum(version.row_count for version in self.versions.values())

    def new_job(
        self,
        *,
        priority: int = transitions.DEFAULT_PRIORITY,
        label: str | None = None,
        request_id: str | None = None,
        traceparent: str | None = None,
    ) -> NewJob:
        """Return the job that computes it, in the queue for what reads so many rows."""
        return NewJob(
            organisation_id=self.organisation.id,
            kind=JobKind.REPORT,
            type=self.type.name,
            params=self.params,
            queue=routing.queue_of_report(self.rows),
            priority=priority,
            dataset_versions=self.pins,
            label=label,
            reuse_key=self.reuse_key,
            request_id=request_id,
            traceparent=traceparent,
        )


def plan(db: Session, request: Request, organisation: Organisation) -> Plan:
    """Validate a request against its type and the organisation's data.

    Raises:
        refusals.RefusedError: an unknown type, wrong parameters, or data that are not there.
    """
    kind = type_of(request.type)
    params = parse_params(kind, request.params, organisation)
    versions = _versions(db, kind, kind.needs(params), request, organisation.id)
    pinned = {name: version.version for name, version in versions.items()}
    return Plan(
        organisation=organisation,
        type=kind,
        params=params.model_dump(mode="json"),
        versions=versions,
        reuse_key=report_identity.key(organisation.id, kind, params, pinned),
    )


def type_of(name: str) -> ReportType:
    """Return a report type by its name.

    Raises:
        refusals.RefusedError: there is none.
    """
    kind = registry.REPORT_TYPES.get(name)
    if kind is not None:
        return kind
    known = sorted(registry.REPORT_TYPES)
    guess = field_errors.closest(name, known)
    hint = f"Did you mean {guess!r}? " if guess else ""
    detail = f"There is no report type {name!r}. {hint}Known: {', '.join(known)}."
    raise RefusedError(
        Why.UNKNOWN_REPORT_TYPE,
        detail,
        errors=[FieldError("#/type", "unknown-report-type", detail)],
        facts={"known": known, "closest": guess},
    )


def parse_params(kind: ReportType, raw: Mapping[str, Any], organisation: Organisation) -> ReportParams:
    """Validate parameters, and fill in the defaults of the type and the organisation.

    Raises:
        refusals.RefusedError: one is unknown, of the wrong type or out of range.
    """
    try:
        return kind.parse_params(raw, timezone=organisation.timezone, currency=organisation.currency)
    except pydantic.ValidationError as error:
        errors = field_errors.of_validation(error, raw, base="/params", known=kind.params.model_fields)
        raise refusals.invalid(*errors) from error


def _versions(
    db: Session, kind: ReportType, needs: Needs, request: Request, organisation_id: uuid.UUID
) -> dict[str, Size]:
    readable = needs.all
    versions = pins.newest(db, organisation_id, needs)
    for name, number in (request.dataset_versions or {}).items():
        pointer = f"#/dataset_versions/{field_errors.escaped(name)}"
        if name not in readable:
            detail = f"{kind.name} does not read {name!r}; it reads {', '.join(readable)}."
            raise refusals.invalid(FieldError(pointer, "not-read", detail))
        found = pins.readable(db, organisation_id, name, number=number, pointer=pointer).version
        versions[name] = Size(found.version, found.row_count)
    missing = needs.missing(versions)
    if missing:
        raise _missing(kind, missing)
    return versions


def _missing(kind: ReportType, missing: list[tuple[str, ...]]) -> RefusedError:
    needs = " and ".join(" or ".join(need) for need in missing)
    example = f"POST /v1/imports?dataset={missing[0][0]}"
    return RefusedError(
        Why.DATASET_MISSING,
        f"{kind.name} needs {needs}, which has not been imported yet. Import it with {example}.",
        facts={"missing": [list(need) for need in missing]},
    )
