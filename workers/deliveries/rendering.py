"""The result of a delivery's job, written into files as its receiver wants them.

The heavy half of `analytics` is imported inside: what sends webhooks only needs none of it.
"""

import dataclasses
import itertools
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models import jobs, result, session
from models.base import Json
from models.deliveries import Attempted
from models.delivery import Delivery
from models.job import Job
from models.result import StoredResult
from workers.deliveries import shared
from workers.deliveries.shared import GoneError as GoneError  # noqa: PLC0414 - whoever renders meets it

if TYPE_CHECKING:
    import pyarrow as pa

# Of these only the first chunk is shown.
FIRST_ROWS_ONLY = frozenset({"html", "pdf"})
TEXTS = frozenset({"csv", "json", "ndjson", "html"})


class EmptyError(Exception):
    """None of the rows is the receiver's, who wants nothing then."""


SKIPPED = Attempted(succeeded=True, skipped=True, excerpt="None of the rows is this receiver's, so nothing was sent.")


@dataclass(frozen=True, slots=True)
class Report:
    """A finished report, as it is rendered for a receiver.

    Attributes:
        header: what may be said to the receiver.
        source: the result, as receivers have shares in it.
        filter: which rows are the receiver's; None: all are.
    """

    job: Job
    stored: StoredResult
    header: dict[str, Any]
    source: shared.Source
    filter: Json | None = None

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
    params = {**job.params, **(stored.header.get("params") or {})}
    source = shared.Source(job.id, stored, {**header, "params": params}, lambda: _stored_chunks(stored))
    if delivery.filter is None:
        return Report(job, stored, header, source)
    return _part(Report(job, stored, header, source, delivery.filter), delivery.filter, delivery.target)


def _part(whole: Report, filter_: Json, target: Json) -> Report:
    from analytics.render import parts  # noqa: PLC0415 - heavy

    found = shared.share(whole.source, filter_)
    if not found.row_count and target.get("if_empty", "skip") == "skip":
        raise EmptyError
    return dataclasses.replace(whole, header=parts.header(whole.source.whole, row_count=found.row_count))


def rendered(report: Report, fmt: str) -> bytes:
    """Return the report in a format, which is rendered once for all who get the same rows."""
    return _taken(report, fmt, lambda folder: write(report, fmt, folder))


def size(report: Report, fmt: str) -> int:
    """Return how large the report is in a format."""
    with closing(shared.file(report.source, report.filter, fmt, lambda folder: write(report, fmt, folder))) as kept:
        return kept.size


def copied(report: Report, fmt: str, folder: Path) -> Path:
    """Put the report in a format into a folder, in little memory; it is rendered as in `rendered`."""
    target = folder / f"result.{fmt}"
    found = shared.file(report.source, report.filter, fmt, lambda scratch: write(report, fmt, scratch))
    with closing(found) as kept, target.open("wb") as out:
        for piece in kept.pieces(range(kept.size)):
            out.write(piece)
    return target


def picture(report: Report, number: int) -> bytes:
    """Return a chart as PNG."""
    from analytics.render import pictures  # noqa: PLC0415 - heavy

    def draw(folder: Path) -> Path:
        target = folder / "chart.png"
        target.write_bytes(pictures.alone_png(report.header["charts"][number]))
        return target

    return _taken(report, f"{number}.png", draw)


def _taken(report: Report, what: str, make: Callable[[Path], Path]) -> bytes:
    with closing(shared.file(report.source, report.filter, what, make)) as kept:
        return b"".join(kept.pieces(range(kept.size)))


def write(report: Report, fmt: str, folder: Path) -> Path:
    """Write the report in a format into a folder, in little memory; returns the file."""
    target = folder / f"result.{fmt}"
    if fmt in TEXTS:
        _write_text(report, fmt, target)
    else:
        _write_file(report, fmt, target, folder)
    return target


def first_rows(report: Report, count: int) -> "pa.Table | None":
    """Return so many rows from the beginning; None where there are none."""
    from analytics.render import chunks  # noqa: PLC0415 - heavy

    if not report.header["row_count"]:
        return None

    def cut(folder: Path) -> Path:
        target = folder / "first.chunk"
        [first] = chunks.encode(chunks.decode(next(_chunks(report, first_only=True))).slice(0, count))
        target.write_bytes(first.data)
        return target

    return chunks.decode(_taken(report, f"first {count}", cut))


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
    found = _stored_chunks(report.stored) if report.filter is None else shared.pieces(report.source, report.filter)
    with closing(found):
        yield from itertools.islice(found, 1 if first_only else None)


def _stored_chunks(stored: StoredResult) -> Generator[bytes]:
    rows, position = 0, 0
    while rows < stored.row_count:
        with session.transaction() as db:
            chunk = result.read_chunk(db, stored.job_id, position)
        if chunk is None:
            raise GoneError("The result was removed while it was read.")
        yield chunk.data
        rows, position = rows + chunk.row_count, position + 1
