"""What goes in and what comes out, as pydantic models: they validate, they serialise, and the OpenAPI document is made of them."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema

from analytics.datasets.preview import Preview
from models import transitions
from models.job_states import JobKind, JobStatus
from web import erasure_schemas, formats, moments

Item = TypeVar("Item")

JOB_ID = "0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21"

LONGEST_WAIT = 30
LARGEST_PRIORITY = 9
LARGEST_MAX_AGE = 2**31 - 1
PRIORITY = (
    "0 to 9: higher runs first among the waiting jobs of your organisation. It moves nothing past other organisations"
)


class Request(BaseModel):
    """What callers send: unknown fields are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Answer(BaseModel):
    """What the API answers: every field is there, with null where there is nothing to say."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class NoParameters(Request):
    pass


class WaitQuery(Request):
    wait: int | None = Field(
        default=None,
        ge=0,
        le=LONGEST_WAIT,
        description="Seconds to wait for the job to finish; `Prefer: wait=N` does the same",
    )


class SubmitQuery(WaitQuery):
    dry_run: bool = Field(default=False, description="Only say what would be done: nothing is accepted")


class ErasureQuery(WaitQuery):
    dry_run: bool = Field(default=False, description="Only say what would be removed, as a job that changes nothing")
    priority: int = Field(
        default=transitions.DEFAULT_PRIORITY,
        ge=0,
        le=LARGEST_PRIORITY,
        description=PRIORITY,
    )


class RerunQuery(WaitQuery):
    pinned: bool = Field(
        default=False,
        description="Read the very versions of the datasets that the job read, instead of the newest; imports read none",
    )


def _format_of(available: tuple[formats.Format, ...]) -> WithJsonSchema:
    """Say which formats there are; another one is a matter of 406, whose answer lists them, and not of validation."""
    return WithJsonSchema({"type": "string", "enum": [one.name for one in available]})


FORMAT = "Format of the answer; wins over `Accept`"
FormatOfResult = Annotated[str, Field(max_length=16), _format_of(formats.OF_RESULT)]
FormatOfRejects = Annotated[str, Field(max_length=16), _format_of(formats.OF_REJECTS)]


class RejectsQuery(Request):
    format: FormatOfRejects | None = Field(default=None, description=FORMAT)


class ReportResultQuery(Request):
    format: FormatOfResult | None = Field(default=None, description=FORMAT)
    chart: int = Field(default=0, ge=0, le=99, description="Which chart a picture (svg, png) shows, counted from 0")


class DiffQuery(Request):
    against: uuid.UUID = Field(description="The run to compare with: a report of the same type")
    limit: int = Field(default=100, ge=0, le=1000, description="Most rows whose changes are shown; all are counted")


class ListQuery(Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")
    type: str | None = Field(
        default=None, pattern=r"^[a-z][a-z0-9_]{0,63}$", description="Report type, or dataset of an import"
    )
    status: JobStatus | None = Field(default=None, description="Only jobs in this state")
    created_after: moments.Moment | None = Field(
        default=None, description="Only jobs accepted at this time or later; it has a time zone, such as `Z`"
    )
    created_before: moments.Moment | None = Field(
        default=None, description="Only jobs accepted before this time, so that spans of time join without overlap"
    )


class ReportListQuery(ListQuery):
    schedule_id: uuid.UUID | None = Field(
        default=None, description="Only jobs that this schedule has made, or whose stored result answered a slot of it"
    )


class JobListQuery(ReportListQuery):
    kind: JobKind | None = Field(default=None, description="Only jobs of this kind")


class ReportRequest(Request):
    """A report that is asked for."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"type": "rfm", "params": {"bins": 5}, "label": "Board meeting"}]}
    )

    type: str = Field(max_length=64, description="Name of the report type; see /v1/report-types")
    params: dict[str, Any] = Field(default_factory=dict, description="Parameters of the type; left out = its defaults")
    label: str | None = Field(
        default=None,
        max_length=200,
        description="A few words of your own, to find it again. A job that is reused keeps its own",
    )
    dataset_versions: dict[str, int] | None = Field(
        default=None, description="Versions of datasets to read; a dataset left out is read in its newest version"
    )
    max_age: Annotated[int, Field(strict=True)] | None = Field(
        default=None,
        ge=0,
        le=LARGEST_MAX_AGE,
        description="How many seconds ago a result that is used instead of a new one may have been made. Left out: any "
        "time, because only a result of the same question about the same versions of the data is used. 0: make a new one",
    )
    priority: Annotated[int, Field(strict=True)] = Field(
        default=transitions.DEFAULT_PRIORITY,
        ge=0,
        le=LARGEST_PRIORITY,
        description=PRIORITY,
    )


class CancelRequest(Request):
    """Why a job is to end. The body may be left out."""

    reason: str | None = Field(
        default=None, max_length=500, description="Kept with the job and shown to whoever looks at it"
    )


class Progress(Answer):
    """How far a running job has come."""

    model_config = ConfigDict(extra="allow")

    phase: str | None = Field(default=None, description="What is being done")
    done: int | None = Field(default=None, description="Units done")
    total: int | None = Field(default=None, description="Units in all; null while that is not known")
    rows: int | None = Field(default=None, description="Rows of the file so far; of an import")
    seconds_left: float | None = Field(default=None, description="About how long the rest may take; of an import")


class JobError(Answer):
    """Why a job failed, or why its last attempt did."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="Stable slug")
    title: str | None = None
    detail: str | None = None


class Cancellation(Answer):
    """Who asked for the end of a job, and why."""

    by: str | None = Field(description="The caller's key, by the part that is no secret; or the operator")
    reason: str | None
    requested_at: datetime


class SelfLink(Answer):
    self: str = Field(description="The thing itself")


class JobLinks(Answer):
    """Where to go from a job."""

    self: str = Field(description="The job itself")
    result: str | None = Field(description="Its result, once it has succeeded; null for kinds that have none")
    cancel: str = Field(description="POST here to cancel it")
    rerun: str = Field(description="POST here to run it again once it has finished, as a new job")
    events: str = Field(description="What happens to it, as server-sent events")


class ReportLinks(JobLinks):
    rows: str = Field(description="The rows of its result, in pages")
    manifest: str = Field(description="How the result was made")


class ImportLinks(JobLinks):
    rejects: str = Field(description="The rejected rows, as CSV")


class JobObject(Answer):
    """A unit of accepted work. Final states never change."""

    id: uuid.UUID = Field(description="UUIDv7; Flower and the logs show the same id", examples=[JOB_ID])
    kind: JobKind
    type: str = Field(description="The report type, or the dataset of an import", examples=["rfm"])
    status: JobStatus
    params: dict[str, Any] = Field(description="Canonical parameters, defaults filled in")
    label: str | None
    priority: int = Field(description="0 to 9, higher first, among the waiting jobs of the same organisation")
    progress: Progress | None
    attempt: int = Field(description="Which attempt this is; 0 before the first")
    max_attempts: int
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    expires_at: datetime | None = Field(description="When the result is removed")
    reused: bool = Field(
        description="Whether the request that this answers was given a stored result, or joined an unfinished job, instead "
        "of a job of its own. One job is then several askers', and who cancels it cancels it for all of them"
    )
    error: JobError | None
    cancellation: Cancellation | None = Field(description="Set from the moment somebody asked for the job's end")


class ReportJob(JobObject):
    kind: Literal[JobKind.REPORT]
    schedule_id: uuid.UUID | None = Field(default=None, description="The schedule that asked for it")
    due_at: datetime | None = Field(default=None, description="The slot of the schedule that it is for")
    links: ReportLinks


class ImportRows(Answer):
    """What became of the rows of a file; read = inserted + updated + unchanged + rejected."""

    read: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int


class Notice(Answer):
    """Something a reader should know: a stable code and a sentence."""

    model_config = ConfigDict(extra="allow")

    code: str
    detail: str


class ImportJob(JobObject):
    kind: Literal[JobKind.IMPORT]
    rows: ImportRows | None = Field(description="Counted once the import has finished")
    mapping: dict[str, str | None] | None = Field(description="Canonical column to header, as it was used")
    dataset_version: int | None = Field(description="The version of the dataset this import made")
    warnings: list[Notice]
    links: ImportLinks


class PreviewJob(JobObject):
    kind: Literal[JobKind.PREVIEW]
    preview: Preview | None = Field(description="What an import of the file would do, once that is known")
    links: JobLinks


class RestoreJob(JobObject):
    kind: Literal[JobKind.RESTORE]
    dataset_version: int | None = Field(description="The version of the dataset this made")
    links: JobLinks


class CompactionJob(JobObject):
    kind: Literal[JobKind.COMPACTION]
    dataset_version: int | None = Field(description="The version of the dataset this made")
    links: JobLinks


class ErasureJob(JobObject):
    kind: Literal[JobKind.ERASURE]
    plan: erasure_schemas.ErasurePlan | None = Field(description="What it would remove; only of a dry run")
    certificate: erasure_schemas.ErasureCertificate | None = Field(
        description="What was removed, where and when, once it is done"
    )
    links: JobLinks


AnyJob = ReportJob | ImportJob | PreviewJob | RestoreJob | CompactionJob | ErasureJob


class Page(Answer, Generic[Item]):
    """One page of a list, newest first."""

    data: list[Item]
    next: str | None = Field(description="Address of the next page; null on the last")


class DryRunDataset(Answer):
    """A dataset that the report would read."""

    version: int
    rows: int


class DryRunJob(Answer):
    """The job whose result would be reused, or that would be joined."""

    id: uuid.UUID
    status: JobStatus
    label: str | None
    created_at: datetime
    finished_at: datetime | None
    links: SelfLink


class DryRun(Answer):
    """What a report would do, had it been submitted."""

    type: str
    version: int = Field(description="Version of the report's definition")
    params: dict[str, Any]
    datasets: dict[str, DryRunDataset]
    rows: int = Field(description="Rows of all those datasets together")
    reused: bool = Field(description="Whether a stored result would be reused, or an unfinished job joined")
    job: DryRunJob | None = Field(description="Which one that is")


class ProblemError(Answer):
    """What is wrong with one field."""

    pointer: str = Field(examples=["#/params/bins"])
    code: str
    detail: str


class ProblemDocument(Answer):
    """RFC 9457. Some kinds of problem have further members; /docs/problems describes each."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(examples=["/docs/problems/invalid-request"])
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemError]
