"""What somebody may see of a result, in any format, from the chunks on disk into a file."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analytics.render import files, parts, shares, stream

# Of these only the first chunk is shown.
FIRST_ROWS_ONLY = frozenset({"html", "pdf"})
_TEXTS = frozenset(one.value for one in stream.Format)


def write(
    fmt: str, whole: Mapping[str, Any], raw_filter: Mapping[str, Any], stored: Sequence[Path], target: Path
) -> None:
    """Write the rows that a filter lets through into `target`, beside which there is room for more files.

    Raises:
        row_filters.UnfitError: the filter does not suit the rows. Nothing is written.
    """
    node = parts.fitting(raw_filter, whole)
    folder = target.parent
    [share] = shares.share_out((piece.read_bytes() for piece in stored), [node], whole, folder)
    header = parts.header(whole, row_count=share.row_count)
    pieces = []
    for number, data in enumerate(share.pieces()):
        if number == 0 or fmt not in FIRST_ROWS_ONLY:
            piece = folder / f"{number}.piece"
            piece.write_bytes(data)
            pieces.append(piece)
    if fmt in _TEXTS:
        _write_text(fmt, header, pieces, target)
    else:
        files.write(fmt, header, pieces, target)


def _write_text(fmt: str, header: Mapping[str, Any], pieces: Sequence[Path], target: Path) -> None:
    with target.open("wb") as out:
        out.write(stream.render_start(fmt, header))
        for number, piece in enumerate(pieces):
            out.write(stream.render_chunk(fmt, header, piece.read_bytes(), number == 0))
        out.write(stream.render_end(fmt, header))
