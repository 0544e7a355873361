"""Every operation of the API, said once for the OpenAPI document. A test holds it against the routes Flask really has."""

from typing import Any

from models.api_key import Scope
from web import (
    alert_operations,
    catalogue_schemas,
    customer_operations,
    dataset_operations,
    delivery_operations,
    delivery_schemas,
    event_operations,
    formats,
    health_schemas,
    import_query,
    key_operations,
    problem_types,
    row_schemas,
    schedule_operations,
    schemas,
)
from web.operation import (
    ACCEPTED,
    FINISHED,
    JSON_BODY,
    NO_RESULT,
    NO_SUCH_JOB,
    RERUN_OF_IMPORT,
    RERUN_OF_REPORT,
    RESULT_HEADERS,
    Collection,
    Operation,
    Reply,
    job_operations,
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
        body=delivery_schemas.ReportRequest,
        prefer=True,
        keyed=True,
        problems=(
            *JSON_BODY,
            problem_types.UNKNOWN_REPORT_TYPE,
            problem_types.DATASET_MISSING,
            problem_types.UNKNOWN_DATASET_VERSION,
            problem_types.DATASET_VERSION_GONE,
            problem_types.GONE,
        ),
    ),
    *job_operations(
        Collection(
            "/v1/reports",
            "Reports",
            name="report",
            model=schemas.ReportJob,
            read=(Scope.REPORTS_READ,),
            write=(Scope.REPORTS_WRITE,),
            query=schemas.ReportListQuery,
            rerun_problems=RERUN_OF_REPORT,
            gone=(problem_types.GONE,),
        )
    ),
    Operation(
        "delete",
        "/v1/reports/{job_id}",
        "delete_report",
        "Reports",
        "Delete a finished report: its result and what was asked are removed, and its id is answered with 410 from then on",
        {204: Reply("It is deleted, now or before", media_types=())},
        scopes=(Scope.REPORTS_WRITE,),
        problems=(*NO_SUCH_JOB, problem_types.NOT_READY),
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
            206: Reply(
                "A part of it, where `Range` asks for one; of the bytes without a content coding",
                media_types=tuple(one.media_types[0] for one in formats.OF_RESULT),
                headers=(*RESULT_HEADERS, "Content-Range"),
            ),
            304: Reply("Unchanged since it was fetched with this ETag", media_types=(), headers=("ETag",)),
        },
        scopes=(Scope.REPORTS_READ,),
        query=schemas.ReportResultQuery,
        problems=(
            *NO_SUCH_JOB,
            problem_types.GONE,
            problem_types.NOT_ACCEPTABLE,
            problem_types.RANGE_NOT_SATISFIABLE,
            problem_types.STORAGE_FULL,
            *NO_RESULT,
        ),
    ),
    Operation(
        "get",
        "/v1/reports/{job_id}/rows",
        "list_rows",
        "Reports",
        "Read the rows of a result in pages, in an order that never changes",
        {200: Reply("A page", row_schemas.RowPage)},
        scopes=(Scope.REPORTS_READ,),
        query=row_schemas.RowQuery,
        problems=(*NO_SUCH_JOB, problem_types.GONE, *NO_RESULT),
    ),
    Operation(
        "get",
        "/v1/reports/{job_id}/manifest",
        "get_manifest",
        "Reports",
        "Read how a result was made",
        {200: Reply("The manifest", dict[str, Any])},
        scopes=(Scope.REPORTS_READ,),
        problems=(*NO_SUCH_JOB, problem_types.GONE, *NO_RESULT),
    ),
    Operation(
        "get",
        "/v1/reports/{job_id}/diff",
        "get_diff",
        "Reports",
        "See what changed between two runs of a report",
        {200: Reply("The differences", catalogue_schemas.ReportDiff)},
        scopes=(Scope.REPORTS_READ,),
        query=schemas.DiffQuery,
        problems=(
            *NO_SUCH_JOB,
            problem_types.GONE,
            problem_types.NOT_COMPARABLE,
            problem_types.STORAGE_FULL,
            *NO_RESULT,
        ),
    ),
)

FILE_PROBLEMS = (
    problem_types.MALFORMED,
    problem_types.INCOMPLETE_BODY,
    problem_types.REQUEST_TIMEOUT,
    problem_types.TOO_LARGE,
    problem_types.UNSUPPORTED_MEDIA_TYPE,
    problem_types.EMPTY_FILE,
    problem_types.STORAGE_FULL,
    *NO_SUCH_JOB,
    *RERUN_OF_IMPORT,
)
IMPORTS = (
    Operation(
        "post",
        "/v1/imports",
        "submit_import",
        "Imports",
        "Import a file; it is the body, or the form field `file`, or that of the job `upload`",
        {
            200: Reply("It finished within the time waited for", schemas.ImportJob, headers=FINISHED),
            202: Reply("Accepted and kept", schemas.ImportJob, headers=ACCEPTED),
        },
        scopes=(Scope.DATASETS_WRITE,),
        query=import_query.ImportQuery,
        body_required=False,
        file_body=True,
        prefer=True,
        keyed=True,
        problems=FILE_PROBLEMS,
    ),
    Operation(
        "post",
        "/v1/imports/preview",
        "preview_import",
        "Imports",
        "Say what an import of a file would do: its dataset, its columns, its first rows, its rejects; nothing is written",
        {
            200: Reply("The preview", schemas.PreviewJob, headers=FINISHED),
            202: Reply("It takes longer than was waited for; accepted and kept", schemas.PreviewJob, headers=ACCEPTED),
        },
        scopes=(Scope.DATASETS_WRITE,),
        query=import_query.PreviewQuery,
        body_required=False,
        file_body=True,
        prefer=True,
        keyed=True,
        problems=FILE_PROBLEMS,
    ),
    *job_operations(
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
            206: Reply(
                "A part of them, where `Range` asks for one; of the bytes without a content coding",
                media_types=tuple(one.media_types[0] for one in formats.OF_REJECTS),
                headers=(*RESULT_HEADERS, "Content-Range"),
            ),
            304: Reply("Unchanged since it was fetched with this ETag", media_types=(), headers=("ETag",)),
        },
        scopes=(Scope.DATASETS_READ,),
        query=schemas.RejectsQuery,
        problems=(
            *NO_SUCH_JOB,
            problem_types.NOT_ACCEPTABLE,
            problem_types.RANGE_NOT_SATISFIABLE,
            problem_types.STORAGE_FULL,
            *NO_RESULT,
        ),
    ),
)

JOBS = job_operations(
    Collection(
        "/v1/jobs",
        "Jobs",
        name="job",
        model=schemas.AnyJob,
        read=(Scope.REPORTS_READ, Scope.DATASETS_READ),
        write=(Scope.REPORTS_WRITE, Scope.DATASETS_WRITE),
        query=schemas.JobListQuery,
        rerun_problems=(*RERUN_OF_REPORT, *RERUN_OF_IMPORT),
        gone=(problem_types.GONE,),
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

ALL: tuple[Operation, ...] = (
    *REPORTS,
    *IMPORTS,
    *JOBS,
    *event_operations.EVENTS,
    *CATALOGUE,
    *dataset_operations.DATASETS,
    *customer_operations.CUSTOMERS,
    *key_operations.KEYS,
    *schedule_operations.SCHEDULES,
    *alert_operations.ALERTS,
    *delivery_operations.WEBHOOKS,
    *delivery_operations.DELIVERIES,
    *SERVICE,
)
