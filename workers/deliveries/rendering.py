"""The result of a delivery's job, written into files as its receiver wants them.

The heavy half of `analytics` is imported inside: what sends webhooks only needs none of it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import jobs, result, session
from models.delivery import Delivery
from models.job import Job
from models.result import StoredResult

if TYPE_CHECKING:
    import pyarrow as pa

# Of these only the first chunk is shown.
FIRST_ROWS_ONLY = frozenset({"html", "pdf"})
TEXTS = frozenset({"csv", "json", "ndjson", "html"})


class GoneError(Exception):
    """The result is not kept any more; a sentence."""


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report, as it is rendered for a receiver."""

    job: Job
    stored: StoredResult
    header: dict[str, Any]

    @property
    def title(self) -> str:
        return str(self.job.label or self.header.get("title") or self.job.type)


def load(delivery: Delivery) -> Report:
    """Read what a delivery is about.

    Raises:
        GoneError: it is not there any more.
    """
    if delivery.job_id is None:
        raise GoneError("The report has been deleted.")
    with session.transaction() as db:
        job = jobs.find(db, delivery.job_id, organisation_id=delivery.organisation_id)
        stored = result.find(db, delivery.job_id) if job is not None else None
    if job is None or stored is None:
        raise GoneError("The result is not kept any more.")
    header = {
        **stored.header,
        "row_count": stored.row_count,
        "manifest": f"/v1/reports/{job.id}/manifest",
        "made": stored.manifest,
    }
    return Report(job, stored, header)


def write(report: Report, fmt: str, folder: Path) -> Path:
    """Write the report in a format into a folder, in little memory; returns the file."""
    target = folder / f"result.{fmt}"
    if fmt in TEXTS:
        _write_text(report, fmt, target)
    else:
        _write_file(report, fmt, target, folder)
    return target


def first_rows(report: Report) -> "pa.Table | None":
    """Return the rows of the first chunk; None where there are no rows."""
    from analytics.render import chunks  # noqa: PLC0415 - heavy

    first = next(_chunks(report, first_only=True), None)
    return None if first is None else chunks.decode(first)


def _write_text(report: Report, fmt: str, target: Path) -> None:
    from analytics.render import stream  # noqa: PLC0415 - heavy

    with target.open("wb") as out:
        out.write(stream.render_start(fmt, report.header))
        for number, data in enumerate(_chunks(report, first_only=fmt in FIRST_ROWS_ONLY)):
            out.write(stream.render_chunk(fmt, report.header, data, number == 0))
        out.write(stream.render_end(fmt, report.header))


def _write_file(report: Report, fmt: str, target: Path, folder: Path) -> None:
    from analytics.render import files  # noqa: PLC0415 - heavy

    pieces = []
    for number, data in enumerate(_chunks(report, first_only=fmt in FIRST_ROWS_ONLY)):
        piece = folder / f"{number}.chunk"
        piece.write_bytes(data)
        pieces.append(piece)
    files.write(fmt, report.header, pieces, target)
    for piece in pieces:
        piece.unlink()


def _chunks(report: Report, *, first_only: bool) -> Iterator[bytes]:
    """Read chunk by chunk, each in a transaction of its own.

    Raises:
        GoneError: the result was removed meanwhile.
    """
    rows, position = 0, 0
    while rows < report.stored.row_count:
        with session.transaction() as db:
            chunk = result.read_chunk(db, report.job.id, position)
        if chunk is None:
            raise GoneError("The result was removed while it was read.")
        yield chunk.data
        if first_only:
            return
        rows, position = rows + chunk.row_count, position + 1
