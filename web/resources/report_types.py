"""The catalogue: which reports there are, what their numbers mean, and which of them this organisation's data allow."""

from collections.abc import Mapping
from typing import Any

import flask

from analytics.catalogue import registry
from analytics.catalogue.report_type import ReportType
from models import dataset, session
from models.api_key import Scope
from web import auth, catalogue_schemas, job_object, problem_types, problems, query, schemas

blueprint = flask.Blueprint("report_types", __name__, url_prefix="/v1/report-types")


@blueprint.get("")
@auth.requires(Scope.REPORTS_READ)
def listing() -> flask.Response:
    query.read(schemas.NoParameters)
    have = _datasets_of_caller()
    data = [catalogue_schemas.ReportTypeSummary(**_summary(kind, have)) for kind in registry.REPORT_TYPES.values()]
    return job_object.as_json(catalogue_schemas.ReportTypeList(data=data))


@blueprint.get("/<name>")
@auth.requires(Scope.REPORTS_READ)
def show(name: str) -> flask.Response:
    query.read(schemas.NoParameters)
    kind = registry.REPORT_TYPES.get(name)
    if kind is None:
        raise problems.Problem(
            problem_types.NOT_FOUND,
            f"There is no report type {name!r}. Known: {', '.join(sorted(registry.REPORT_TYPES))}.",
            facts={"known": sorted(registry.REPORT_TYPES), "closest": problems.closest(name, registry.REPORT_TYPES)},
        )
    return job_object.as_json(_describe(kind, _datasets_of_caller()))


def _datasets_of_caller() -> frozenset[str]:
    with session.transaction() as db:
        return frozenset(dataset.current(db, auth.caller().organisation_id))


def _describe(kind: ReportType, have: frozenset[str]) -> catalogue_schemas.ReportTypeObject:
    return catalogue_schemas.ReportTypeObject(
        **_summary(kind, have),
        definition=kind.definition,
        source=kind.source,
        params_schema=kind.params.model_json_schema(),
        columns=[
            catalogue_schemas.ResultColumn(
                name=column.name,
                type=column.type.value,
                unit=column.unit,
                description=column.description,
                key=column.key,
            )
            for column in kind.columns
        ],
        datasets=[
            *(_need(names, have, required=True) for names in kind.datasets),
            *(_need((name,), have, required=False) for name in kind.optional_datasets),
        ],
    )


def _summary(kind: ReportType, have: frozenset[str]) -> Mapping[str, Any]:
    return {
        "name": kind.name,
        "title": kind.title,
        "version": kind.version,
        "available": all(have.intersection(need) for need in kind.datasets),
        "links": {"self": f"/v1/report-types/{kind.name}"},
    }


def _need(names: tuple[str, ...], have: frozenset[str], *, required: bool) -> catalogue_schemas.DatasetNeed:
    return catalogue_schemas.DatasetNeed(
        any_of=list(names), required=required, available=bool(have.intersection(names))
    )
