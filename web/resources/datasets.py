"""Datasets: their shapes, and what this organisation has imported into them."""

from collections.abc import Mapping
from typing import Any

import flask

from analytics.datasets import schemas as canonical
from models import dataset, session
from models.api_key import Scope
from models.dataset import DatasetVersion
from web import auth, catalogue_schemas, job_object, problem_types, problems, query, schemas

blueprint = flask.Blueprint("datasets", __name__, url_prefix="/v1/datasets")


@blueprint.get("")
@auth.requires(Scope.DATASETS_READ)
def listing() -> flask.Response:
    query.read(schemas.NoParameters)
    newest = _current()
    data = [
        catalogue_schemas.DatasetSummary(**_summary(schema, newest.get(schema.name)))
        for schema in canonical.DATASETS.values()
    ]
    return job_object.as_json(catalogue_schemas.DatasetList(data=data))


@blueprint.get("/<name>")
@auth.requires(Scope.DATASETS_READ)
def show(name: str) -> flask.Response:
    query.read(schemas.NoParameters)
    schema = _schema(name)
    newest = _current().get(name)
    return job_object.as_json(
        catalogue_schemas.DatasetObject(
            **_summary(schema, newest),
            columns=[_column(column) for column in schema.columns],
            stored_columns=newest.columns if newest is not None else None,
        )
    )


@blueprint.get("/<name>/versions")
@auth.requires(Scope.DATASETS_READ)
def versions(name: str) -> flask.Response:
    query.read(schemas.NoParameters)
    _schema(name)
    with session.transaction() as db:
        history = dataset.history(db, auth.caller().organisation_id, name)
    data = [
        catalogue_schemas.DatasetVersionObject(
            version=version.version,
            rows=version.row_count,
            columns=version.columns,
            committed_at=version.committed_at,
            job_id=version.job_id,
        )
        for version in history
    ]
    return job_object.as_json(catalogue_schemas.DatasetVersionList(data=data))


def _current() -> dict[str, DatasetVersion]:
    with session.transaction() as db:
        return dataset.current(db, auth.caller().organisation_id)


def _schema(name: str) -> canonical.DatasetSchema:
    schema = canonical.DATASETS.get(name)
    if schema is None:
        known = list(canonical.DATASETS)
        raise problems.Problem(
            problem_types.NOT_FOUND,
            f"There is no dataset {name!r}. Known: {', '.join(known)}.",
            facts={"known": known, "closest": problems.closest(name, known)},
        )
    return schema


def _summary(schema: canonical.DatasetSchema, newest: DatasetVersion | None) -> Mapping[str, Any]:
    here = f"/v1/datasets/{schema.name}"
    return {
        "name": schema.name,
        "description": schema.description,
        "available": newest is not None,
        "version": newest.version if newest is not None else None,
        "rows": newest.row_count if newest is not None else None,
        "last_changed_at": newest.committed_at if newest is not None else None,
        "links": {"self": here, "versions": f"{here}/versions", "import": f"/v1/imports?dataset={schema.name}"},
    }


def _column(column: canonical.DatasetColumn) -> catalogue_schemas.DatasetColumnObject:
    return catalogue_schemas.DatasetColumnObject(
        name=column.name,
        type=column.kind.value,
        description=column.description,
        required=column.required,
        key=column.key,
        choices=list(column.choices),
    )
