"""The formats of a result that are files as a whole, written from the stored chunks on disk."""

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import pyarrow as pa

from analytics.render import as_parquet, chunks, document, pictures, workbook


class FileFormat(StrEnum):
    """The formats that are written by this module."""

    PARQUET = "parquet"
    XLSX = "xlsx"
    PDF = "pdf"
    SVG = "svg"
    PNG = "png"


def write(fmt: str, header: Mapping[str, Any], pieces: Sequence[Path], target: Path, *, chart: int = 0) -> None:
    """Write a result into `target`; `pieces` are its chunks in order, `chart` is the chart that a picture shows."""
    match FileFormat(fmt):
        case FileFormat.PARQUET:
            as_parquet.write(header, _tables(pieces), target)
        case FileFormat.XLSX:
            workbook.write(header, _tables(pieces), target)
        case FileFormat.PDF:
            document.write(header, next(_tables(pieces), None), target)
        case FileFormat.SVG:
            target.write_bytes(pictures.alone_svg(header["charts"][chart]))
        case FileFormat.PNG:
            target.write_bytes(pictures.alone_png(header["charts"][chart]))


def _tables(pieces: Sequence[Path]) -> Iterator[pa.Table]:
    for piece in pieces:
        yield chunks.decode(piece.read_bytes())
