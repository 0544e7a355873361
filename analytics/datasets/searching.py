"""Looks for one customer in what is kept as bytes: the rows of stored results, and files that were sent to be imported."""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analytics.datasets.mentions import Mention

BLOCK = 4 * 1024**2
# Whatever unpacks to more is not looked through to its end.
MOST_BYTES = 8 * 1024**3
_MAGIC = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_PARQUET = b"PAR1"
_ZIP = b"PK"
# What cannot be looked into as it stands.
_PACKED = (*_MAGIC, _PARQUET, _ZIP)


class UnsearchableError(Exception):
    """A file is damaged, locked, nested or endless."""


def chunk_names(data: bytes, mention: Mention) -> bool:
    """Whether a cell in a Parquet file of rows names the customer."""
    return _names(pq.read_table(pa.BufferReader(data), use_threads=False), mention)


def file_may_name(path: Path, mention: Mention) -> bool:
    """Whether a file names the customer, or cannot be shown not to: it is damaged, locked, or holds further packed files."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head == _PARQUET:
            return _parquet_names(path, mention)
        if head.startswith(_ZIP):
            return _zip_names(path, mention)
        packing = next((packing for magic, packing in _MAGIC.items() if head.startswith(magic)), None)
        with pa.input_stream(str(path), compression=packing) as stream:
            return _stream_names(stream, mention, packed=packing is not None)
    except (UnsearchableError, pa.ArrowException, OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError):
        # Of these, only ZipFile raises a RuntimeError: the member is encrypted.
        return True


def _zip_names(path: Path, mention: Mention) -> bool:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as stream:
                if _stream_names(stream, mention, packed=True):
                    return True
    return False


def _parquet_names(path: Path, mention: Mention) -> bool:
    file = pq.ParquetFile(path)
    return any(_names(pa.Table.from_batches([batch]), mention) for batch in file.iter_batches(batch_size=65_536))


def _names(rows: pa.Table, mention: Mention) -> bool:
    return any(
        mention.is_in(text) for column in rows.columns for text in _texts_with(column, mention.customer_id).to_pylist()
    )


def _texts_with(column: pa.ChunkedArray, part: str) -> pa.Array:
    """The distinct texts of a column that have this part; whole numbers count as texts, because ids may be read as such."""
    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        return pa.array([], pa.string())
    texts = column.cast(pa.string())
    return texts.filter(pc.match_substring(texts, part)).unique()


def _stream_names(stream: Any, mention: Mention, *, packed: bool) -> bool:
    """Whether a stream of bytes has the id in any of its spellings, also across two blocks.

    Raises:
        UnsearchableError: what was unpacked is packed itself, or does not end.
    """
    needles = mention.byte_needles
    kept = max(map(len, needles)) - 1
    before, read = b"", 0
    for block in _blocks(stream):
        if packed and not read and block.startswith(_PACKED):
            raise UnsearchableError
        window = before + block
        if any(needle in window for needle in needles):
            return True
        before, read = window[-kept:] if kept else b"", read + len(block)
        if read > MOST_BYTES:
            raise UnsearchableError
    return False


def _blocks(stream: IO[bytes]) -> Iterator[bytes]:
    while block := stream.read(BLOCK):
        yield bytes(block)
