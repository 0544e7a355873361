"""What an erasure would remove, and the certificate of what it has removed."""

import uuid
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class ErasureSubject(_Part):
    """Whom a certificate is about, for who knows the id: PBKDF2 of the id in UTF-8, with this salt."""

    algorithm: Literal["pbkdf2-hmac-sha256"]
    iterations: int
    salt: str = Field(description="Hexadecimal")
    subject_sha256: str = Field(description="The digest, hexadecimal")


class ErasureResult(_Part):
    """A stored result that listed the customer: of a report, or the rejected rows of an import."""

    job_id: uuid.UUID
    kind: str
    type: str


class PlannedDataset(_Part):
    """What an erasure would remove from a dataset."""

    dataset: str
    rows: int = Field(description="Rows of the customer in the newest version")
    matched: dict[str, int] = Field(
        description="Those rows by what tells: a column that names the customer, or one by which the row belongs to a "
        "record of theirs (`deal_id of deals`)"
    )
    versions: list[int] = Field(description="Versions that hold such rows and would become unreadable")
    files: int = Field(description="Files that would be removed or written again")


class ErasurePlan(_Part):
    """What an erasure would remove. Nothing has been changed."""

    datasets: list[PlannedDataset]
    results: list[ErasureResult]
    uploads: list[uuid.UUID] = Field(description="Jobs whose kept file names the customer, or cannot be searched")
    records: int = Field(description="Jobs and schedules that name the customer in their parameters, outcome or errors")
    deliveries: int = Field(0, description="Deliveries that name the customer")
    deliveries_to_cancel: int = Field(
        0, description="Those of them that wait and would not be sent: their filter or address names the customer"
    )
    webhooks: int = Field(0, description="Webhooks that name the customer")
    api_keys: int = Field(0, description="API keys whose name does")
    contact: bool = Field(False, description="Whether the organisation's contact does, and would be removed")
    idempotency_keys: int = Field(0, description="Idempotency keys that do, and would be removed")


class ErasedDataset(_Part):
    """What was removed from a dataset."""

    dataset: str
    rows_removed: int = Field(description="Rows taken out of the newest version")
    matched: dict[str, int] = Field(description="Those rows by what told: see the plan")
    version_before: int | None = Field(description="The newest version before; null where the dataset is empty")
    version_after: int | None = Field(description="The version without the customer; the same where they had no rows")
    versions_made_unreadable: list[int]
    files_removed: int
    bytes_removed: int


class Verification(_Part):
    """The last look at the lake, after everything was removed."""

    files_read: int
    rows_read: int
    rows_found: int = Field(description="Rows of the customer; 0, or there would be no certificate")


class NotCovered(_Part):
    """Something that no erasure reaches."""

    code: str
    detail: str


class ErasureCertificate(_Part):
    """What was removed, where, when, and how many rows."""

    subject: ErasureSubject
    requested_at: datetime
    requested_by: str | None = Field(description="The key that asked, by the part that is no secret")
    completed_at: datetime
    datasets: list[ErasedDataset]
    results_removed: list[ErasureResult]
    uploads_removed: list[uuid.UUID] = Field(description="Jobs whose kept file was removed")
    records_redacted: int = Field(
        description="Jobs and schedules whose records named the customer, and do not any more"
    )
    deliveries_redacted: int = Field(0, description="Deliveries that named the customer, and do not any more")
    deliveries_cancelled: int = Field(
        0, description="Those of them that waited and are not sent: their filter or address named the customer"
    )
    webhooks_redacted: int = Field(0, description="Webhooks that named the customer; disabled if their URL did")
    api_keys_redacted: int = Field(0, description="API keys whose name did; they go on to work")
    contact_removed: bool = Field(False, description="Whether the organisation's contact named the customer")
    idempotency_keys_removed: int = Field(0, description="Idempotency keys that named the customer")
    reports_cancelled: list[uuid.UUID] = Field(description="Reports that read the rows and took too long to finish")
    verified: bool
    verification: Verification
    not_covered: list[NotCovered]
