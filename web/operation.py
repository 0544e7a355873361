"""How an operation of the API is said: what it takes, what it answers, what can go wrong; and what all lists of jobs share."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pydantic

from models.api_key import Scope
from web import problem_types, schemas
from web.problem_types import ProblemType

Schema = type[pydantic.BaseModel]

BINARY: Mapping[str, Any] = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
# What a file is, is found out from its content; these are the types that clients may like to name.
FILE_BODY: Mapping[str, Any] = {
    "application/octet-stream": BINARY,
    "text/csv": {"schema": {"type": "string"}},
    "text/tab-separated-values": {"schema": {"type": "string"}},
    "application/x-ndjson": {"schema": {"type": "string"}},
    "application/json": {
        "schema": {"description": "A list of objects. What is in a file, the job that reads it judges"}
    },
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": BINARY,
    "application/vnd.apache.parquet": BINARY,
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "contentMediaType": "application/octet-stream"}},
        }
    },
}

ALWAYS = (problem_types.INTERNAL_ERROR,)
AUTHENTICATED = (
    problem_types.UNAUTHENTICATED,
    problem_types.INSUFFICIENT_SCOPE,
    problem_types.TOO_MANY_REQUESTS,
    problem_types.DATABASE_UNAVAILABLE,
)
IDEMPOTENT = (
    problem_types.IDEMPOTENCY_KEY_IN_USE,
    problem_types.IDEMPOTENCY_KEY_REUSED,
    problem_types.OUTCOME_UNKNOWN,
)
NO_SUCH_JOB = (problem_types.NOT_FOUND,)
RERUN_OF_REPORT = (
    problem_types.NOT_REPEATABLE,
    problem_types.DATASET_MISSING,
    problem_types.DATASET_VERSION_GONE,
)
RERUN_OF_IMPORT = (problem_types.UPLOAD_GONE,)
NO_RESULT = (
    problem_types.NOT_READY,
    problem_types.NO_RESULT,
    problem_types.RESULT_EXPIRED,
    problem_types.RESULT_ERASED,
)
RESULT_HEADERS = ("ETag", "Content-Disposition", "Content-Encoding", "Accept-Ranges", "Vary")


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
            *((*IDEMPOTENT, problem_types.TOO_MANY_JOBS) if self.keyed else ()),
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
    gone: tuple[ProblemType, ...] = ()


def job_operations(jobs: Collection) -> tuple[Operation, ...]:
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
            problems=(*NO_SUCH_JOB, *jobs.gone),
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
            problems=(
                *NO_SUCH_JOB,
                *jobs.gone,
                problem_types.JOB_FINISHED,
                problem_types.NOT_STOPPABLE,
                problem_types.NOT_READY,
                *JSON_BODY,
            ),
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
            problems=(*NO_SUCH_JOB, *jobs.gone, problem_types.NOT_READY, *jobs.rerun_problems),
        ),
    )
