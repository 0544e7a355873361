"""What a preview says about a file: the one description of it, for who makes it, the API and the command line. Light."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from analytics.datasets.headers import How


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", json_schema_serialization_defaults_required=True)


class DatasetCandidate(_Part):
    """A dataset that the file may belong to."""

    dataset: str
    confidence: float = Field(
        ge=0,
        le=1,
        description="Share of what the dataset needs that the file has, weighed by how many headers tell it from others; "
        "halved where a needed column is missing or what should identify a row repeats. A known export begins at 0.95",
    )
    why: str
    missing: list[str] = Field(description="Columns that it needs and no header is known for")


class DatasetChoice(_Part):
    """The dataset the file was read as."""

    chosen: str | None = Field(description="Null where no dataset is like the file")
    how: str | None = Field(description="`caller`, `guessed`, or `assumed` where a question asks for it")
    candidates: list[DatasetCandidate] = Field(description="What the file may belong to, the likeliest first")


class ColumnPreview(_Part):
    """One column of the file."""

    header: str
    column: str = Field(description="The dataset's column, or the name under which a further one is kept")
    how: How
    type: str = Field(description="text, int, decimal, timestamp, date or bool")
    confidence: float = Field(
        ge=0,
        le=1,
        description="1 for a name that is exact or said by the caller, 0.9 for a usual name, 0.5 for one that is assumed; "
        "times the share of the values that look like the type",
    )
    samples: list[str] = Field(description="Up to three different values, as they are written")
    empty: float = Field(ge=0, le=1, description="Share of the rows without a value")


class ColumnWithoutHeader(_Part):
    """A column of the dataset that nothing in the file is."""

    column: str
    required: bool
    description: str


class StoredColumn(_Part):
    """A column of the rows as they would be stored."""

    name: str
    type: str


class RowCounts(_Part):
    """What would become of the rows; read = inserted + updated + unchanged + rejected."""

    read: int
    inserted: int
    updated: int
    unchanged: int
    rejected: int


class RejectSample(_Part):
    line: int
    column: str | None
    value: str | None


class RejectsOfCode(_Part):
    """Rows that would be rejected for one reason."""

    code: str
    count: int
    samples: list[RejectSample]


class Choice(_Part):
    """One answer to a question."""

    value: str | float | None = Field(description="What to give as the parameter")
    means: str
    example: str | None


class Question(_Part):
    """Something that only the sender of the file knows."""

    code: str
    parameter: str = Field(description="The option of the import that answers it")
    column: str | None = Field(description="For `mapping`: the column that needs a header")
    header: str | None
    detail: str
    choices: list[Choice]
    assumed: str | float | None = Field(description="The answer with which the rest of the preview was made")
    goes_on: bool = Field(description="Whether the rest could be made with the answer that was assumed")


class PreviewNotice(_Part):
    code: str
    detail: str


class NextRequest(_Part):
    """The import that this preview shows, ready to be sent: the file need not be sent again."""

    method: str
    path: str
    command: str = Field(description="The same with the file on the command line")


class Preview(_Part):
    """What an import of the file would do."""

    ready: bool = Field(description="Whether the import in `next` would go through without an answer being assumed")
    dataset: DatasetChoice
    mapping: list[ColumnPreview] = Field(description="The columns of the file, in its order")
    unmapped: list[ColumnWithoutHeader] = Field(description="Columns of the dataset that nothing in the file is")
    columns: list[StoredColumn] = Field(description="The columns of `rows`: those of the file and those made of them")
    rows: list[list[Any]] = Field(
        description="The first good rows as they would be stored; decimals are strings, times are UTC. Long texts are cut"
    )
    counts: RowCounts | None = Field(description="Null where the rows could not be read with what is known")
    rejects: list[RejectsOfCode]
    questions: list[Question]
    facts: dict[str, str] = Field(
        description="Format, encoding, delimiter, compression, decimal sign, date formats, layout"
    )
    warnings: list[PreviewNotice]
    next: NextRequest | None
