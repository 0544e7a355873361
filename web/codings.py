"""Content codings: which of them a request takes (RFC 9110, `Accept-Encoding`), and compressing while an answer goes out."""

import zlib
from collections.abc import Iterable, Iterator
from enum import StrEnum
from typing import Protocol

import flask
from backports import zstd

# Both are chosen for speed: an answer is compressed while somebody waits for it.
GZIP_LEVEL = 4
ZSTD_LEVEL = 3
# Looking back over more of an answer gains little, and costs megabytes for each that is on its way.
_ZSTD = {int(zstd.CompressionParameter.compression_level): ZSTD_LEVEL, int(zstd.CompressionParameter.window_log): 18}
# What zlib calls the size of its window, and 16 more for gzip's header and trailer around it.
_GZIP_BITS = zlib.MAX_WBITS + 16
# Below this, an answer fits into one packet as it is.
WORTH_BYTES = 1_400


class Coding(StrEnum):
    """How the bytes of an answer are coded, as `Content-Encoding` names it; the one that is liked best comes first."""

    ZSTD = "zstd"
    GZIP = "gzip"
    IDENTITY = "identity"


class _Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


def accepted(*, compressible: bool = True) -> tuple[Coding, ...]:
    """Return the codings that the request takes, the best first; none where it refuses even bytes as they are.

    Args:
        compressible: whether compressing is worth anything, when the request likes two codings equally well.
    """
    header = flask.request.headers.get("Accept-Encoding")
    if header is None:
        return (Coding.IDENTITY,)
    liked = list(Coding) if compressible else [Coding.IDENTITY, Coding.ZSTD, Coding.GZIP]
    # Bytes as they are need not be named, only to be refused; how much they are liked is then for us to say.
    unnamed = 0.001 if compressible else 1.0
    qualities = {coding: _quality(coding, unnamed) for coding in liked}
    return tuple(sorted((one for one in liked if qualities[one] > 0), key=lambda one: -qualities[one]))


def _quality(coding: Coding, unnamed: float) -> float:
    given = {value.lower(): quality for value, quality in flask.request.accept_encodings}
    if coding is Coding.GZIP and "x-gzip" in given:
        given.setdefault(coding.value, given["x-gzip"])
    if coding.value in given:
        return given[coding.value]
    if coding is not Coding.IDENTITY:
        return given.get("*", 0.0)
    return unnamed if given.get("*", 1.0) > 0 else 0.0


def compressed(pieces: Iterable[bytes], coding: Coding) -> Iterator[bytes]:
    """Code a body while it is made, as one gzip member or one zstd frame.

    Not a member or a frame for each piece, which processes beside this one could make: there are clients that take the end
    of the first for the end of all. Both release the interpreter's lock while they compress, and need a few megabytes.
    """
    if coding is Coding.IDENTITY:
        yield from pieces
        return
    compressor = _compressor(coding)
    for piece in pieces:
        # An empty piece would be taken for the end of a chunked body.
        if out := compressor.compress(piece):
            yield out
    yield compressor.flush()


def compressed_whole(data: bytes, coding: Coding) -> bytes:
    return b"".join(compressed([data], coding))


def _compressor(coding: Coding) -> _Compressor:
    if coding is Coding.ZSTD:
        return zstd.ZstdCompressor(options=_ZSTD)
    return zlib.compressobj(GZIP_LEVEL, zlib.DEFLATED, _GZIP_BITS)
