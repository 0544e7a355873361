"""Datasets: their shapes, what this organisation has imported into them, and the way back to what they were."""

from collections.abc import Mapping
from typing import Any

import flask

from analytics.datasets import schemas as canonical
from models import dataset, session
from models.api_key import Scope
from models.dataset import DatasetVersion, Made
from models.job_states import JobKind
from web import (
    accepting,
    auth,
    catalogue_schemas,
    cursor,
    idempotency_key,
    job_object,
    json_body,
    paging,
    problem_types,
    problems,
    query,
    restore_plan,
    schemas,
)

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
    parameters = query.read(catalogue_schemas.DatasetVersionQuery)
    _schema(name)
    with session.transaction() as db:
        rows = dataset.page(
            db,
            auth.caller().organisation_id,
            name,
            limit=paging.to_fetch(parameters),
            before=cursor.decode_number(parameters.cursor) if parameters.cursor is not None else None,
        )
    path = f"/v1/datasets/{name}/versions"
    page, following = paging.cut(
        rows, parameters, path=path, end=lambda made: cursor.encode_number(made.version.version)
    )
    data = [_version(made) for made in page]
    return job_object.as_json(catalogue_schemas.DatasetVersionList(data=data, next=following))


@blueprint.get("/<name>/versions/<int:version>")
@auth.requires(Scope.DATASETS_READ)
def show_version(name: str, version: int) -> flask.Response:
    query.read(schemas.NoParameters)
    _schema(name)
    with session.transaction() as db:
        found = dataset.find(db, auth.caller().organisation_id, name, version=version)
    if found is None:
        raise problems.Problem(problem_types.NOT_FOUND, f"There is no version {version} of {name}.")
    return job_object.as_json(_version(found))


@blueprint.post("/<name>/restore")
@auth.requires(Scope.DATASETS_WRITE)
def restore(name: str) -> flask.Response:
    options = query.read(schemas.SubmitQuery)
    _schema(name)
    request = json_body.validated(catalogue_schemas.RestoreRequest, json_body.read())
    key = idempotency_key.bind(
        idempotency_key.given(), {"body": request.model_dump(mode="json", exclude_defaults=True)}
    )
    if options.dry_run:
        with session.transaction() as db:
            return job_object.as_json(restore_plan.make(db, name, request, auth.caller()).dry_run())
    accepted = accepting.accept(lambda db: restore_plan.make(db, name, request, auth.caller()).new_job(), key)
    return accepting.answer(accepted, options.wait)


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
        "links": {
            "self": here,
            "versions": f"{here}/versions",
            "restore": f"{here}/restore",
            "import": f"/v1/imports?dataset={schema.name}",
        },
    }


def _version(made: Made) -> catalogue_schemas.DatasetVersionObject:
    version = made.version
    return catalogue_schemas.DatasetVersionObject(
        version=version.version,
        rows=version.row_count,
        columns=version.columns,
        bytes=version.byte_count,
        files=version.file_count,
        committed_at=version.committed_at,
        readable=version.gone_at is None,
        gone_at=version.gone_at,
        kind=JobKind(made.kind),
        job_id=version.job_id,
        links={
            "self": f"/v1/datasets/{version.dataset}/versions/{version.version}",
            "job": job_object.address_of(JobKind(made.kind), version.job_id),
        },
    )


def _column(column: canonical.DatasetColumn) -> catalogue_schemas.DatasetColumnObject:
    return catalogue_schemas.DatasetColumnObject(
        name=column.name,
        type=column.kind.value,
        description=column.description,
        required=column.required,
        key=column.key,
        choices=list(column.choices),
    )
