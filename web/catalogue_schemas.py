"""The pydantic models of answers about report types, datasets and the state of the service itself."""

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field

from models import dataset
from models.job_states import JobKind
from web.schemas import Answer, Page, Request


class ResultColumn(Answer):
    name: str
    type: str
    unit: str | None
    description: str
    key: bool = Field(description="Whether the column is part of what tells the rows apart")


class DatasetNeed(Answer):
    """One thing a report type reads: any one of the alternatives will do, the first is the best."""

    any_of: list[str]
    required: bool = Field(description="Whether the report cannot be made without it")
    available: bool = Field(description="Whether this organisation has one of them")


class ReportTypeSummary(Answer):
    name: str
    title: str
    version: int
    available: bool = Field(description="Whether this organisation has the datasets it needs")
    links: dict[str, str]


class ReportTypeObject(ReportTypeSummary):
    definition: str
    source: str
    params_schema: dict[str, Any] = Field(description="JSON Schema of the parameters")
    columns: list[ResultColumn]
    datasets: list[DatasetNeed]


class ReportTypeList(Answer):
    data: list[ReportTypeSummary]
    next: None = None


class DatasetColumnObject(Answer):
    name: str
    type: str
    description: str
    required: bool
    key: bool
    choices: list[str]


class DatasetSummary(Answer):
    name: str
    description: str
    available: bool = Field(description="Whether anything has been imported into it")
    version: int | None
    rows: int | None
    last_changed_at: datetime | None
    links: dict[str, str]


class DatasetObject(DatasetSummary):
    columns: list[DatasetColumnObject]
    stored_columns: dict[str, Any] | None = Field(
        description="All columns of the newest version, further ones included"
    )


class DatasetList(Answer):
    data: list[DatasetSummary]
    next: None = None


class DatasetVersionObject(Answer):
    """What a dataset was from one change to the next. Reports can be pinned to it for as long as it is readable."""

    version: int
    rows: int
    columns: dict[str, Any]
    bytes: int | None = Field(description="Size of its files; those it shares with other versions count in each")
    files: int | None
    committed_at: datetime
    readable: bool = Field(description="Whether reports can be pinned to it and it can be restored")
    gone_at: datetime | None = Field(description="Since when it is not kept any more; null while it is readable")
    kind: JobKind = Field(description="What made it: an import, a restore, an erasure or a compaction")
    job_id: uuid.UUID = Field(description="The job that made it")
    links: dict[str, str | None]


DatasetVersionList = Page[DatasetVersionObject]


class DatasetVersionQuery(Request):
    limit: int = Field(default=25, ge=1, le=100, description="Longest page")
    cursor: str | None = Field(default=None, max_length=64, description="Where to go on; taken from the `next` link")


class RestoreRequest(Request):
    """Which version is to be the newest again."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"version": 3}]})

    version: Annotated[int, Field(strict=True)] = Field(ge=0, le=dataset.LARGEST_VERSION, description="Its number")
    label: str | None = Field(default=None, max_length=200, description="A few words of your own, to find it again")


class RestoreDryRun(Answer):
    """What a restore would do."""

    dataset: str
    version: int = Field(description="The version that would be restored")
    current_version: int
    rows_now: int
    rows_then: int
    columns_lost: list[str] = Field(description="Columns that the dataset has now and that version had not")
    columns_back: list[str] = Field(description="Columns that version had and the dataset has not now")
    versions_undone: int = Field(description="How many later versions' changes would not be seen any more")


class DiffRun(Answer):
    """One of the two runs that are compared."""

    id: uuid.UUID
    finished_at: datetime | None
    version: int = Field(description="Version of the report type that computed it")
    dataset_versions: dict[str, int]
    row_count: int
    links: dict[str, str]


class DiffCounts(Answer):
    """How many rows are in one run only, in both and different, in both and equal."""

    added: int = Field(description="In `this` only")
    removed: int = Field(description="In `against` only")
    changed: int
    unchanged: int


class DiffCell(Answer):
    """A cell in either run; null where there is none."""

    this: Any
    against: Any


class DiffRow(Answer):
    """A row that is not the same in both runs: its key, and the cells that differ."""

    change: Literal["added", "removed", "changed"]
    key: dict[str, Any]
    values: dict[str, DiffCell]


class DiffPath(DiffCell):
    """A place in the summary or the parameters, as a JSON pointer, and what is there in either run."""

    path: str


class ReportDiff(Answer):
    """What changed between two runs of a report."""

    type: str
    same: bool = Field(description="Whether the two results are the same to the byte")
    this: DiffRun
    against: DiffRun
    key: list[str] = Field(description="Columns by which rows were matched")
    rows: DiffCounts
    changes: list[DiffRow] = Field(description="The first rows that differ, by key")
    shown: int = Field(description="How many of them are shown; `rows` counts all")
    columns_added: list[str] = Field(description="Columns that only `this` has; they are not compared")
    columns_removed: list[str] = Field(description="Columns that only `against` has")
    summary: list[DiffPath]
    params: list[DiffPath]
