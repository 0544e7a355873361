"""What a submitted report will do: its type, its canonical parameters, and the versions of the datasets it reads."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass

import pydantic
from sqlalchemy.orm import Session

from analytics.catalogue import registry
from analytics.catalogue.parameters import ReportParams
from analytics.catalogue.report_type import Needs, ReportType
from models.base import Json
from models.dataset import Size
from web import dataset_versions, problem_types, problems, schemas
from web.auth import Caller
from workers import pins


@dataclass(frozen=True, slots=True)
class Plan:
    """A report that can be computed: everything about it is known and valid."""

    type: ReportType
    params: Json
    versions: Mapping[str, Size]

    @property
    def pins(self) -> Json:
        return {name: version.version for name, version in self.versions.items()}

    @property
    def rows(self) -> int:
        """How many rows it will read."""
        return sum(version.row_count for version in self.versions.values())

    def dry_run(self) -> schemas.DryRun:
        return schemas.DryRun(
            type=self.type.name,
            version=self.type.version,
            params=self.params,
            datasets={
                name: schemas.DryRunDataset(version=version.version, rows=version.row_count)
                for name, version in self.versions.items()
            },
            rows=self.rows,
            reused=False,
        )


def make(db: Session, request: schemas.ReportRequest, caller: Caller) -> Plan:
    """Validate a request against its type and the organisation's data.

    Raises:
        problems.Problem: an unknown type, wrong parameters, or data that are not there.
    """
    kind = _type(request.type)
    params = _params(kind, request, caller)
    needs = kind.needs(params)
    return Plan(
        type=kind,
        params=params.model_dump(mode="json"),
        versions=_versions(db, kind, needs, request, caller.organisation_id),
    )


def _type(name: str) -> ReportType:
    kind = registry.REPORT_TYPES.get(name)
    if kind is not None:
        return kind
    known = sorted(registry.REPORT_TYPES)
    guess = problems.closest(name, known)
    hint = f"Did you mean {guess!r}? " if guess else ""
    detail = f"There is no report type {name!r}. {hint}Known: {', '.join(known)}."
    raise problems.Problem(
        problem_types.UNKNOWN_REPORT_TYPE,
        detail,
        errors=[problems.FieldError("#/type", "unknown-report-type", detail)],
        facts={"known": known, "closest": guess},
    )


def _params(kind: ReportType, request: schemas.ReportRequest, caller: Caller) -> ReportParams:
    try:
        return kind.parse_params(request.params, timezone=caller.timezone, currency=caller.currency)
    except pydantic.ValidationError as error:
        raise problems.invalid(error, request.params, base="/params", known=kind.params.model_fields) from error


def _versions(
    db: Session, kind: ReportType, needs: Needs, request: schemas.ReportRequest, organisation_id: uuid.UUID
) -> dict[str, Size]:
    readable = needs.all
    versions = pins.newest(db, organisation_id, needs)
    for name, number in (request.dataset_versions or {}).items():
        if name not in readable:
            raise _not_read(name, kind, readable)
        versions[name] = _version(db, organisation_id, name=name, number=number)
    missing = needs.missing(versions)
    if missing:
        raise _missing(kind, missing)
    return versions


def _version(db: Session, organisation_id: uuid.UUID, *, name: str, number: int) -> Size:
    pointer = f"#/dataset_versions/{name}"
    found = dataset_versions.readable(db, organisation_id, name, number=number, pointer=pointer).version
    return Size(found.version, found.row_count)


def _not_read(name: str, kind: ReportType, readable: list[str]) -> problems.Problem:
    detail = f"{kind.name} does not read {name!r}; it reads {', '.join(readable)}."
    safe = name.replace("~", "~0").replace("/", "~1")
    return problems.refused(problems.FieldError(f"#/dataset_versions/{safe}", "not-read", detail))


def _missing(kind: ReportType, missing: list[tuple[str, ...]]) -> problems.Problem:
    needs = " and ".join(" or ".join(need) for need in missing)
    example = f"POST /v1/imports?dataset={missing[0][0]}"
    return problems.Problem(
        problem_types.DATASET_MISSING,
        f"{kind.name} needs {needs}, which has not been imported yet. Import it with {example}.",
        facts={"missing": [list(need) for need in missing]},
    )
