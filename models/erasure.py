"""What an erasure has done so far, kept beside its job until the certificate is written, so that no attempt's work is lost.

The journal names what was removed before it is removed. It also holds the ids of the person's orders, deals and leads: after
those rows are gone nothing else could tell which rows of other datasets belong to them.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from sqlalchemy import ForeignKey, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from models.base import Base, Json
from models.dataset import DatasetVersion
from models.job import Job
from models.job_states import UNFINISHED, JobKind, JobStatus


class ErasureJournal(Base):
    __tablename__ = "erasure_journals"

    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True)
    journal: Mapped[Json]


@dataclass(frozen=True, slots=True)
class Receivers:
    """What beside deliveries named a person: webhooks and API keys, how many idempotency keys, and whether the contact did."""

    webhooks: Sequence[uuid.UUID] = ()
    api_keys: Sequence[uuid.UUID] = ()
    request_keys: int = 0
    contact: bool = False


@dataclass(slots=True)
class Journal:
    """What is noted of one erasure.

    Attributes:
        begun: whether something may have been removed already; from then on it is only finished, not taken back.
        linked: by dataset, the ids of the person's own records, by which rows of other datasets belong to them.
        versions: by dataset, the versions that were made unreadable.
        files: by dataset, the bytes of each file that was removed, by its name.
        results: stored results that were removed: job, kind, type.
        uploads: jobs whose kept file was removed.
        cancelled: jobs that were stopped because they read the person's rows.
        redacted: jobs in whose record or events the person was named.
        deliveries: deliveries that named the person, in what they say, whom they go to, or what was answered.
        unsent: those of them that waited, and are not sent because their filter or address named the person.
        webhooks: webhooks that named the person.
        api_keys: keys whose name did.
        request_keys: how many idempotency keys did.
        contact: whether the organisation's contact did.
    """

    begun: bool = False
    linked: dict[str, list[str]] = field(default_factory=dict)
    versions: dict[str, list[int]] = field(default_factory=dict)
    files: dict[str, dict[str, int]] = field(default_factory=dict)
    results: list[dict[str, str]] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    redacted: list[str] = field(default_factory=list)
    deliveries: list[str] = field(default_factory=list)
    unsent: list[str] = field(default_factory=list)
    webhooks: list[str] = field(default_factory=list)
    api_keys: list[str] = field(default_factory=list)
    request_keys: int = 0
    contact: bool = False

    @classmethod
    def of(cls, kept: Mapping[str, Any] | None) -> Self:
        return cls(**(kept or {}))

    def link(self, own: Mapping[str, Iterable[str]]) -> None:
        """Note which records are the person's."""
        for dataset, ids in own.items():
            self.linked[dataset] = sorted({*self.linked.get(dataset, ()), *ids})

    def close(self, dataset: str, versions: Iterable[int]) -> None:
        """Note that these versions cannot be read any more."""
        self.versions[dataset] = sorted({*self.versions.get(dataset, ()), *versions})

    def remove(self, dataset: str, files: Mapping[str, int]) -> None:
        """Note that these files are about to be removed."""
        self.files[dataset] = {**self.files.get(dataset, {}), **files}

    def begin(self) -> None:
        """Note that from here on something may be removed."""
        self.begun = True

    def take_result(self, said: dict[str, str]) -> None:
        """Note a result that is removed."""
        self.results.append(said)

    def take_upload(self, job_id: uuid.UUID) -> None:
        """Note that the file of a job is about to be removed."""
        self.uploads = sorted({*self.uploads, str(job_id)})

    def stop(self, job_id: uuid.UUID) -> None:
        """Note that a job is told to stop."""
        self.cancelled = sorted({*self.cancelled, str(job_id)})

    def redact(self, job_id: uuid.UUID) -> None:
        """Note that a job's row or its events forget the person."""
        self.redacted = sorted({*self.redacted, str(job_id)})

    def take_deliveries(self, named: Iterable[uuid.UUID], unsent: Iterable[uuid.UUID]) -> None:
        """Note that deliveries forget the person, and which of them are not sent."""
        self.deliveries = sorted({*self.deliveries, *map(str, named)})
        self.unsent = sorted({*self.unsent, *map(str, unsent)})

    def take_receivers(self, named: Receivers) -> None:
        """Note that webhooks, keys and a contact forget the person."""
        self.webhooks = sorted({*self.webhooks, *map(str, named.webhooks)})
        self.api_keys = sorted({*self.api_keys, *map(str, named.api_keys)})
        self.request_keys += named.request_keys
        self.contact = self.contact or named.contact


def read(session: Session, job_id: uuid.UUID) -> Journal:
    return Journal.of(session.scalar(select(ErasureJournal.journal).where(ErasureJournal.job_id == job_id)))


def note(session: Session, job_id: uuid.UUID, change: Callable[[Journal], None]) -> Journal:
    """Change the journal in the caller's transaction; whoever else wants to is kept waiting until that ends."""
    session.execute(insert(ErasureJournal).values(job_id=job_id, journal={}).on_conflict_do_nothing())
    kept = session.scalar(select(ErasureJournal.journal).where(ErasureJournal.job_id == job_id).with_for_update())
    journal = Journal.of(kept)
    change(journal)
    session.execute(update(ErasureJournal).where(ErasureJournal.job_id == job_id).values(journal=asdict(journal)))
    return journal


def links_of_others(session: Session, organisation_id: uuid.UUID, customer_id: str) -> list[dict[str, list[str]]]:
    """Return what unsuccessful erasures of the same person knew: the rows that told may be gone since."""
    query = (
        select(ErasureJournal.journal)
        .join(Job, Job.id == ErasureJournal.job_id)
        .where(Job.organisation_id == organisation_id, Job.params["customer_id"].as_string() == customer_id)
    )
    return [Journal.of(kept).linked for kept in session.scalars(query)]


def forget(session: Session, job_id: uuid.UUID) -> None:
    """Remove the journal of an erasure, whose certificate says what is to be kept of it."""
    session.execute(delete(ErasureJournal).where(ErasureJournal.job_id == job_id))


def forget_ended(session: Session, organisation_id: uuid.UUID, customer_id: str) -> None:
    """Remove the journals that unsuccessful erasures of the same person have left behind."""
    ended = select(Job.id).where(
        Job.organisation_id == organisation_id,
        Job.kind == JobKind.ERASURE,
        Job.status.not_in(UNFINISHED),
        Job.params["customer_id"].as_string() == customer_id,
    )
    session.execute(delete(ErasureJournal).where(ErasureJournal.job_id.in_(ended)))


def settle_subject(session: Session, job_id: uuid.UUID, params: Json) -> None:
    """Replace the parameters of an erasure in its final transaction, which holds its row."""
    session.execute(update(Job).where(Job.id == job_id).values(params=params))


def kept_versions(session: Session, organisation_id: uuid.UUID, dataset: str) -> list[int]:
    """Return the versions of a dataset that may still be read, oldest first: by anybody, or by jobs that are pinned to them."""
    query = (
        select(DatasetVersion.version)
        .where(
            DatasetVersion.organisation_id == organisation_id,
            DatasetVersion.dataset == dataset,
            DatasetVersion.swept_at.is_(None),
        )
        .order_by(DatasetVersion.version)
    )
    return list(session.scalars(query))


def being_erased(session: Session, organisation_id: uuid.UUID, pins: Mapping[str, int]) -> list[str]:
    """Return the datasets of which a pinned version is one that an erasure is removing, or has begun to remove."""
    query = (
        select(ErasureJournal.journal)
        .join(Job, Job.id == ErasureJournal.job_id)
        .where(Job.organisation_id == organisation_id)
    )
    closed = [Journal.of(kept).versions for kept in session.scalars(query)]
    return [name for name, version in pins.items() if any(version in journal.get(name, ()) for journal in closed)]


def close_versions(session: Session, organisation_id: uuid.UUID, dataset: str, versions: Sequence[int]) -> None:
    """Let nothing new read these versions."""
    session.execute(
        update(DatasetVersion)
        .where(
            DatasetVersion.organisation_id == organisation_id,
            DatasetVersion.dataset == dataset,
            DatasetVersion.version.in_(versions),
            DatasetVersion.gone_at.is_(None),
        )
        .values(gone_at=func.now())
    )


def move_pins(
    session: Session, organisation_id: uuid.UUID, dataset: str, *, before: Sequence[int], after: int
) -> list[uuid.UUID]:
    """Let queued reports that are pinned to these versions read the one that replaces them; return their ids."""
    pinned = Job.dataset_versions[dataset].as_integer()
    statement = (
        update(Job)
        .where(
            Job.organisation_id == organisation_id,
            Job.kind == JobKind.REPORT,
            Job.status == JobStatus.QUEUED,
            pinned.in_(before),
        )
        .values(dataset_versions=Job.dataset_versions.op("||")(func.jsonb_build_object(dataset, after)))
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(statement))


def running(session: Session, organisation_id: uuid.UUID, kinds: Sequence[JobKind]) -> list[Job]:
    """Return an organisation's running jobs of these kinds."""
    query = select(Job).where(
        Job.organisation_id == organisation_id, Job.status == JobStatus.RUNNING, Job.kind.in_(kinds)
    )
    return list(session.scalars(query))


def seconds_running(session: Session, organisation_id: uuid.UUID) -> dict[uuid.UUID, float]:
    """Return for how long each of an organisation's running jobs has been running, in its present attempt."""
    age = func.extract("epoch", func.now() - Job.claimed_at)
    query = select(Job.id, age).where(Job.organisation_id == organisation_id, Job.status == JobStatus.RUNNING)
    return {job_id: float(seconds or 0) for job_id, seconds in session.execute(query)}


def unfinished_among(session: Session, job_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Return those of these jobs that have not ended."""
    return set(session.scalars(select(Job.id).where(Job.id.in_(job_ids), Job.status.in_(UNFINISHED))))
