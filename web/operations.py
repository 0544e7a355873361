"""Every operation of the API, said once for the OpenAPI document. A test holds it against the routes Flask really has."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from models.api_key import Scope
from web import catalogue_schemas, formats, health_schemas, import_query, problem_types, schemas
from web.problem_types import ProblemType

Schema = type[pydantic.BaseModel]

FILE_BODY: Mapping[str, Any] = {
    "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}},
    "text/csv": {"schema": {"type": "string"}},
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
        }
    },
}

ALWAYS = (problem_types.INTERNAL_ERROR,)
AUTHENTICATED = (problem_types.UNAUTHENTICATED, problem_types.INSUFFICIENT_SCOPE, problem_types.DATABASE_UNAVAILABLE)
IDEMPOTENT = (
    problem_types.IDEMPOTENCY_KEY_IN_USE,
    problem_types.IDEMPOTENCY_KEY_REUSED,
    problem_types.OUTCOME_UNKNOWN,
)
NO_SUCH_JOB = (problem_types.NOT_FOUND,)
RERUN_OF_REPORT = (problem_types.NOT_REPEATABLE, problem_types.DATASET_MISSING)
RERUN_OF_IMPORT = (problem_types.UPLOAD_GONE,)
NO_RESULT = (problem_types.NOT_READY, problem_types.NO_RESULT, problem_types.RESULT_EXPIRED)
RESULT_HEADERS = ("ETag", "Content-Disposition")


@dataclass(frozen=True, slots=True)
class Reply:
    """A good answer: what it means, the model of its body or the media types of what is none, and its headers."""

    description: str
    model: Any = None
    media_types: tuple[str, ...] = ("application/json",)
    headers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path, with all it may answer."""

    method: str
    path: str
    name: str
    tag: str
    summary: str
    replies: Mapping[int, Reply]
    scopes: tuple[Scope, ...] = ()
    query: Schema = schemas.NoParameters
    body: Schema | None = None
    body_required: bool = True
    file_body: bool = False
    prefer: bool = False
    keyed: bool = False
    problems: tuple[ProblemType, ...] = field(default=())

    @property
    def all_problems(self) -> tuple[ProblemType, ...]:
        """Everything that can go wrong, beside what the operation itself lists."""
        validated = (problem_types.INVALID_REQUEST,) if self.scopes else ()
        return (
            *self.problems,
            *validated,
            *(IDEMPOTENT if self.keyed else ()),
            *(AUTHENTICATED if self.scopes else ()),
            *ALWAYS,
        )


FINISHED = ("Location", "Preference-Applied", "Idempotent-Replayed")
ACCEPTED = ("Location", "Retry-After", "Preference-Applied", "Idempotent-Replayed")
JSON_BODY = (problem_types.MALFORMED, problem_types.TOO_LARGE, problem_types.UNSUPPORTED_MEDIA_TYPE)


@dataclass(frozen=True, slots=True)
class Collection:
    """A list of jobs: where it is, what its members are, and which keys may read and change it."""

    path: str
    tag: str
    name: str
    model: Any
    read: tuple[Scope, ...]
    write: tuple[Scope, ...]
    query: Schema
    rerun_problems: tuple[ProblemType, ...]


def _job_operations(jobs: Collection) -> tuple[Operation, ...]:
    path, tag, name, model, read, write = jobs.path, jobs.tag, jobs.name, jobs.model, jobs.read, jobs.write
    page = schemas.Page.__class_getitem__(model)
    return (
        Operation(
            "get",
            path,
            f"list_{name}s",
            tag,
            f"List {name}s, newest first",
            {200: Reply("A page", page)},
            scopes=read,
            query=jobs.query,
        ),
        Operation(
            "get",
            f"{path}/{{job_id}}",
            f"get_{name}",
            tag,
            f"Fetch one {name}, or wait for it to finish",
            {200: Reply("The job as it is now", model, headers=("Retry-After", "Preference-Applied"))},
            scopes=read,
            query=schemas.WaitQuery,
            prefer=True,
            problems=NO_SUCH_JOB,
        ),
        Operation(
            "post",
            f"{path}/{{job_id}}/cancel",
            f"cancel_{name}",
            tag,
            f"Cancel one unfinished {name}",
            {
                200: Reply("It is cancelled", model),
                202: Reply("Its worker has been asked to stop", model, headers=("Retry-After",)),
            },
            scopes=write,
            body=schemas.CancelRequest,
            body_required=False,
            problems=(*NO_SUCH_JOB, problem_types.JOB_FINISHED, problem_types.NOT_READY, *JSON_BODY),
        ),
        Operation(
            "post",
            f"{path}/{{job_id}}/rerun",
            f"rerun_{name}",
            tag,
            f"Run a finished {name} again, as a new job",
            {
                200: Reply("It finished within the time waited for", model, headers=FINISHED),
                202: Reply("Accepted and kept: another job, with an id of its own", model, headers=ACCEPTED),
            },
            scopes=write,
            query=schemas.RerunQuery,
            prefer=True,
            keyed=True,
            problems=(*NO_SUCH_JOB, problem_types.NOT_READY, *jobs.rerun_problems),
        ),
    )


REPORTS = (
    Operation(
        "post",
        "/v1/reports",
        "submit_report",
        "Reports",
        "Ask for a report",
        {
            200: Reply(
                "It finished within the time waited for; or, with `dry_run`, what it would do",
                schemas.ReportJob | schemas.DryRun,
                headers=FINISHED,
            ),
            202: Reply("Accepted and kept", schemas.ReportJob, headers=ACCEPTED),
        },
        scopes=(Scope.REPORTS_WRITE,),
        query=schemas.SubmitQuery,
        body=schemas.ReportRequest,
        prefer=True,
        keyed=True,
        problems=(
            *JSON_BODY,
            problem_types.UNKNOWN_REPORT_TYPE,
            problem_types.DATASET_MISSING,
            problem_types.UNKNOWN_DATASET_VERSION,
        ),
    ),
    *_job_operations(
        Collection(
            "/v1/reports",
            "Reports",
            name="report",
            model=schemas.ReportJob,
            read=(Scope.REPORTS_READ,),
            write=(Scope.REPORTS_WRITE,),
            query=schemas.ListQuery,
            rerun_problems=RERUN_OF_REPORT,
        )
    ),
    Operation(
        "get",
        "/v1/reports/{job_id}/result",
        "get_result",
        "Reports",
        "Read a result, streamed",
        {
            200: Reply(
                "The result", media_types=tuple(one.media_types[0] for one in formats.OF_RESULT), headers=RESULT_HEADERS
            ),
            304: Reply("Unchanged since it was fetched with this ETag", media_types=(), headers=("ETag",)),
        },
        scopes=(Scope.REPORTS_READ,),
        query=schemas.ResultQuery,
        problems=(*NO_SUCH_JOB, problem_types.NOT_ACCEPTABLE, *NO_RESULT),
    ),
    Operation(
        "get",
        "/v1/reports/{job_id}/manifest",
        "get_manifest",
        "Reports",
        "Read how a result was made",
        {200: Reply("The manifest", dict[str, Any])},
        scopes=(Scope.REPORTS_READ,),
        problems=(*NO_SUCH_JOB, *NO_RESULT),
    ),
)

IMPORTS = (
    Operation(
        "post",
        "/v1/imports",
        "submit_import",
        "Imports",
        "Import a file; it is the body, or the form field `file`",
        {
            200: Reply("It finished within the time waited for", schemas.ImportJob, headers=FINISHED),
            202: Reply("Accepted and kept", schemas.ImportJob, headers=ACCEPTED),
        },
        scopes=(Scope.DATASETS_WRITE,),
        query=import_query.ImportQuery,
        file_body=True,
        prefer=True,
        keyed=True,
        problems=(
            problem_types.MALFORMED,
            problem_types.INCOMPLETE_BODY,
            problem_types.REQUEST_TIMEOUT,
            problem_types.TOO_LARGE,
            problem_types.UNSUPPORTED_MEDIA_TYPE,
            problem_types.EMPTY_FILE,
            problem_types.STORAGE_FULL,
        ),
    ),
    *_job_operations(
        Collection(
            "/v1/imports",
            "Imports",
            name="import",
            model=schemas.ImportJob,
            read=(Scope.DATASETS_READ,),
            write=(Scope.DATASETS_WRITE,),
            query=schemas.ListQuery,
            rerun_problems=RERUN_OF_IMPORT,
        )
    ),
    Operation(
        "get",
        "/v1/imports/{job_id}/rejects",
        "get_rejects",
        "Imports",
        "Read the rejected rows, streamed",
        {
            200: Reply(
                "The rejected rows",
                media_types=tuple(one.media_types[0] for one in formats.OF_REJECTS),
                headers=RESULT_HEADERS,
            ),
            304: Reply("Unchanged since it was fetched with this ETag", media_types=(), headers=("ETag",)),
        },
        scopes=(Scope.DATASETS_READ,),
        query=schemas.ResultQuery,
        problems=(*NO_SUCH_JOB, problem_types.NOT_ACCEPTABLE, *NO_RESULT),
    ),
)

JOBS = _job_operations(
    Collection(
        "/v1/jobs",
        "Jobs",
        name="job",
        model=schemas.AnyJob,
        read=(Scope.REPORTS_READ, Scope.DATASETS_READ),
        write=(Scope.REPORTS_WRITE, Scope.DATASETS_WRITE),
        query=schemas.JobListQuery,
        rerun_problems=(*RERUN_OF_REPORT, *RERUN_OF_IMPORT),
    )
)

CATALOGUE = (
    Operation(
        "get",
        "/v1/report-types",
        "list_report_types",
        "Report types",
        "List what reports there are",
        {200: Reply("All types", catalogue_schemas.ReportTypeList)},
        scopes=(Scope.REPORTS_READ,),
    ),
    Operation(
        "get",
        "/v1/report-types/{name}",
        "get_report_type",
        "Report types",
        "Read what a report's numbers mean",
        {200: Reply("The type", catalogue_schemas.ReportTypeObject)},
        scopes=(Scope.REPORTS_READ,),
        problems=(problem_types.NOT_FOUND,),
    ),
    Operation(
        "get",
        "/v1/datasets",
        "list_datasets",
        "Datasets",
        "List the datasets and what is in them",
        {200: Reply("All datasets", catalogue_schemas.DatasetList)},
        scopes=(Scope.DATASETS_READ,),
    ),
    Operation(
        "get",
        "/v1/datasets/{name}",
        "get_dataset",
        "Datasets",
        "Read a dataset's columns",
        {200: Reply("The dataset", catalogue_schemas.DatasetObject)},
        scopes=(Scope.DATASETS_READ,),
        problems=(problem_types.NOT_FOUND,),
    ),
    Operation(
        "get",
        "/v1/datasets/{name}/versions",
        "list_dataset_versions",
        "Datasets",
        "List a dataset's versions",
        {200: Reply("All versions, newest first", catalogue_schemas.DatasetVersionList)},
        scopes=(Scope.DATASETS_READ,),
        problems=(problem_types.NOT_FOUND,),
    ),
)

SERVICE = (
    Operation(
        "get",
        "/healthz",
        "healthz",
        "Service",
        "Whether this process is alive",
        {200: Reply("It is", health_schemas.Liveness)},
    ),
    Operation(
        "get",
        "/readyz",
        "readyz",
        "Service",
        "Whether work is accepted and done",
        {
            200: Reply("Work is accepted; `status` says whether all of it is also done", health_schemas.Readiness),
            503: Reply("Nothing is accepted now", health_schemas.Readiness, headers=("Retry-After",)),
        },
    ),
    Operation(
        "get",
        "/metrics",
        "metrics",
        "Service",
        "Figures for Prometheus",
        {200: Reply("All figures", str, media_types=("text/plain", "application/openmetrics-text"))},
    ),
    Operation(
        "get", "/openapi.json", "openapi", "Service", "This document", {200: Reply("OpenAPI 3.1", dict[str, Any])}
    ),
)

ALL: tuple[Operation, ...] = (*REPORTS, *IMPORTS, *JOBS, *CATALOGUE, *SERVICE)
