"""What runs in a rendering process: Parquet in, text out. Only there are the heavy halves of `analytics` loaded."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any, Protocol

from workers import customer_lookup


class NotComparableError(ValueError):
    """Two results cannot be compared row by row. Known here, because an error of a heavy module would load it in the web."""


# The header of a result, and where its chunks are.
Side = tuple[Mapping[str, Any], Sequence[str]]


class StreamModule(Protocol):
    """The part of `analytics.render.stream` that is used here."""

    def render_start(self, fmt: str, header: Mapping[str, Any]) -> bytes: ...

    def render_chunk(self, fmt: str, header: Mapping[str, Any], chunk_bytes: bytes, is_first: bool) -> bytes: ...  # noqa: FBT001 - as it is

    def render_end(self, fmt: str, header: Mapping[str, Any]) -> bytes: ...


def prepare() -> None:
    """Set up a rendering process: it ends with the web process, however that ends, and not by a Ctrl-C meant for all."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, name="parent watch", daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(0)


def render_start(fmt: str, header: Mapping[str, Any]) -> bytes:
    return _stream().render_start(fmt, header)


def render_chunk(fmt: str, header: Mapping[str, Any], source: str, is_first: bool, target: str) -> None:  # noqa: FBT001 - a process pool passes arguments by position
    """Render a chunk, which is in a file, into another."""
    Path(target).write_bytes(_stream().render_chunk(fmt, header, Path(source).read_bytes(), is_first))


def render_end(fmt: str, header: Mapping[str, Any]) -> bytes:
    return _stream().render_end(fmt, header)


def render_whole(fmt: str, header: Mapping[str, Any], data: bytes | None) -> bytes:
    """Render a result of one chunk, or of none."""
    stream = _stream()
    rows = stream.render_chunk(fmt, header, data, True) if data is not None else b""
    return stream.render_start(fmt, header) + rows + stream.render_end(fmt, header)


def render_rows(pieces: Sequence[tuple[bytes, int, int]]) -> bytes:
    """Render rows as JSON arrays with commas between them: of each chunk, from a row on, so many."""
    from analytics.render import slices  # noqa: PLC0415 - as below

    return slices.as_json_arrays(pieces)


def look_at_customer(
    organisation_id: str, versions: Mapping[str, int], customer_id: str, rows: int
) -> list[dict[str, Any]]:
    """Read what is known of a customer out of these versions.

    Raises:
        customer_lookup.VersionGoneError: one of them cannot be read any more.
    """
    return customer_lookup.look(organisation_id, versions, customer_id, rows)


def render_file(fmt: str, header: Mapping[str, Any], pieces: Sequence[str], target: str, chart: int) -> None:
    """Render a result whose chunks are in files into another file."""
    from analytics.render import files  # noqa: PLC0415 - as below

    files.write(fmt, header, [Path(piece) for piece in pieces], Path(target), chart=chart)


def render_part(
    fmt: str, header: Mapping[str, Any], filter_: Mapping[str, Any], pieces: Sequence[str], target: str
) -> None:
    """Render the rows that a filter lets through, of a result whose chunks are in files, into another file."""
    from analytics.render import part_files  # noqa: PLC0415 - as below

    part_files.write(fmt, header, filter_, [Path(piece) for piece in pieces], Path(target))


def count_shares(
    header: Mapping[str, Any],
    pieces: Sequence[str],
    filters: Sequence[Mapping[str, Any]],
    reached: int,
    columns: Sequence[str],
) -> dict[str, Any]:
    """Count how many rows each filter lets through, and look at those that none of the first ones does.

    Args:
        header: that of the result, whose chunks are in the files `pieces`.
        pieces: the files.
        filters: the filters; those come first whose receivers are reached.
        reached: how many those are.
        columns: which columns of the rows that are left to look at.

    Returns:
        `rows`, of each filter how many; `problems`, why it does not suit the rows, or None; `unseen`, how many rows are left;
        `values`, of each of the columns how often which value is in those.
    """
    from analytics.catalogue import row_filters  # noqa: PLC0415 - with what is heavy
    from analytics.render import parts  # noqa: PLC0415 - as below

    nodes: dict[int, Any] = {}
    problems: list[str | None] = [None] * len(filters)
    for number, raw in enumerate(filters):
        try:
            nodes[number] = parts.fitting(raw, header)
        except row_filters.UnfitError as error:
            problems[number] = str(error)
    known = {column["name"] for column in header["columns"]}
    found = parts.counted(
        (Path(piece).read_bytes() for piece in pieces),
        list(nodes.values()),
        header,
        reached=sum(number < reached for number in nodes),
        values_of=[name for name in columns if name in known],
    )
    counts = dict(zip(nodes, found.of_filter, strict=True))
    return {
        "rows": [counts.get(number) for number in range(len(filters))],
        "problems": problems,
        "unseen": found.unseen.row_count,
        "values": found.unseen.values,
    }


def compare(this: Side, against: Side, limit: int, folder: str) -> dict[str, Any]:
    """Compare two results, each a header and the files of its chunks.

    Raises:
        NotComparableError: their rows cannot be told apart.
    """
    from analytics.render import differences  # noqa: PLC0415 - as below

    sides = (differences.Side(header, [Path(piece) for piece in pieces]) for header, pieces in (this, against))
    try:
        return differences.compare(*sides, limit=limit, spill=Path(folder) / "spill")
    except differences.NoKeyError as error:
        raise NotComparableError(str(error)) from None


def _stream() -> "StreamModule":
    from analytics.render import stream  # noqa: PLC0415 - the web process imports this module and must stay light

    return stream
