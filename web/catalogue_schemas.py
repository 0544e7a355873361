"""The pydantic models of answers about report types, datasets and the state of the service itself."""

import uuid
from datetime import datetime
from typing import Any

from pydantic import Field

from web.schemas import Answer


class ResultColumn(Answer):
    name: str
    type: str
    unit: str | None
    description: str


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
    version: int
    rows: int
    columns: dict[str, Any]
    committed_at: datetime
    job_id: uuid.UUID = Field(description="The import that made this version")


class DatasetVersionList(Answer):
    data: list[DatasetVersionObject]
    next: None = None
