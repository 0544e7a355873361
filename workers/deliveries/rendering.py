"""The result of a delivery's job, written into files as its receiver wants them.

The heavy half of `analytics` is imported inside: what sends webhooks only needs none of it.
"""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import jobs, result, session
from models.base import Json
from models.deliveries import Attempted
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


class EmptyError(Exception):
    """None of the rows is the receiver's, who wants nothing then."""


SKIPPED = Attempted(succeeded=True, skipped=True, excerpt="None of the rows is this receiver's, so nothing was sent.")


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report, as it is rendered for a receiver.

    Attributes:
        part: the chunks of the receiver's own rows; None: all rows are.
    """

    job: Job
    stored: StoredResult
    header: dict[str, Any]
    part: list[bytes] | None = None

    @property
    def title(self) -> str:
        return str(self.job.label or self.header.get("title") or self.job.type)


def load(delivery: Delivery) -> Report:
    """Read what a delivery is about: of a receiver with a filter, that part alone.

    Raises:
        GoneError: it is not there any more.
        EmptyError: none of the rows is the receiver's.
        ValueError: the filter does not suit the rows.
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
    whole = Report(job, stored, header)
    return whole if delivery.filter is None else _part(whole, delivery.filter, delivery.target)


def _part(whole: Report, filter_: Json, target: Json) -> Report:
    from analytics.render import parts  # noqa: PLC0415 - heavy

    params = {**whole.job.params, **(whole.header.get("params") or {})}
    found = parts.of(_chunks(whole, first_only=False), filter_, {**whole.header, "params": params})
    if not found.row_count and target.get("if_empty", "skip") == "skip":
        raise EmptyError
    return dataclasses.replace(whole, header=found.header, part=found.pieces)


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
    if report.part is not None:
        yield from report.part[:1] if first_only else report.part
        return
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
