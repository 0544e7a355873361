"""The operations on datasets, for the OpenAPI document."""

from models.api_key import Scope
from web import catalogue_schemas, problem_types, schemas
from web.operation import ACCEPTED, FINISHED, JSON_BODY, Operation, Reply

TAG = "Datasets"
READ = (Scope.DATASETS_READ,)
NO_SUCH_DATASET = (problem_types.NOT_FOUND,)

DATASETS = (
    Operation(
        "get",
        "/v1/datasets",
        "list_datasets",
        TAG,
        "List the datasets and what is in them",
        {200: Reply("All datasets", catalogue_schemas.DatasetList)},
        scopes=READ,
    ),
    Operation(
        "get",
        "/v1/datasets/{name}",
        "get_dataset",
        TAG,
        "Read a dataset's columns",
        {200: Reply("The dataset", catalogue_schemas.DatasetObject)},
        scopes=READ,
        problems=NO_SUCH_DATASET,
    ),
    Operation(
        "get",
        "/v1/datasets/{name}/versions",
        "list_dataset_versions",
        TAG,
        "List a dataset's versions, newest first: what made each, and whether it can still be read",
        {200: Reply("A page", catalogue_schemas.DatasetVersionList)},
        scopes=READ,
        query=catalogue_schemas.DatasetVersionQuery,
        problems=NO_SUCH_DATASET,
    ),
    Operation(
        "get",
        "/v1/datasets/{name}/versions/{version}",
        "get_dataset_version",
        TAG,
        "Read about one version of a dataset",
        {200: Reply("The version", catalogue_schemas.DatasetVersionObject)},
        scopes=READ,
        problems=NO_SUCH_DATASET,
    ),
    Operation(
        "post",
        "/v1/datasets/{name}/restore",
        "restore_dataset",
        TAG,
        "Make an older version of a dataset its newest one; what came after it stays readable as versions",
        {
            200: Reply(
                "It finished within the time waited for; or, with `dry_run`, what it would do",
                schemas.RestoreJob | catalogue_schemas.RestoreDryRun,
                headers=FINISHED,
            ),
            202: Reply("Accepted and kept", schemas.RestoreJob, headers=ACCEPTED),
        },
        scopes=(Scope.DATASETS_WRITE,),
        query=schemas.SubmitQuery,
        body=catalogue_schemas.RestoreRequest,
        prefer=True,
        keyed=True,
        problems=(
            *JSON_BODY,
            *NO_SUCH_DATASET,
            problem_types.UNKNOWN_DATASET_VERSION,
            problem_types.DATASET_VERSION_GONE,
            problem_types.VERSION_IS_CURRENT,
        ),
    ),
)
