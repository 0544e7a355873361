"""Large results over a real socket: the web process stays as it is, and a part is never taken for the whole."""

import gzip
import io
import threading
import zlib
from collections.abc import Iterator
from typing import Any, Self

import httpx
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from backports import zstd

from models import session, settings
from models.result import ResultChunk
from tests.integration import web_api, web_server
from tests.integration.web_api import Caller
from tests.integration.web_server import Server

ROWS = 120_000
# Rendered, a stored chunk of the usual fifty thousand of these rows is larger than this, and all rows by far.
MOST_GROWTH = 8 * 1024 * 1024
WORDS = "a sentence that makes a row as long as rows of people with names and addresses are, and a little longer " * 3
READ_BYTES = 64 * 1024


@pytest.fixture(scope="module")
def server(database: settings.Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("gunicorn") / "log"
    with web_server.listening() as listener, web_server.running(database, listener, log) as running:
        yield running


@pytest.fixture
def api(server: Server, caller: Caller) -> Iterator[httpx.Client]:
    headers = {"Authorization": f"Bearer {caller.secret}", "Accept-Encoding": "identity"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=60) as client:
        yield client


def _finished(caller: Caller, api: httpx.Client, table: pa.Table, rows_per_chunk: int) -> dict[str, Any]:
    web_api.give_dataset(caller)
    job: dict[str, Any] = api.post("/v1/reports", json={"type": "rfm"}).json()
    web_api.finish(job["id"], table, rows_per_chunk=rows_per_chunk)
    return job


class _Watch:
    """The most memory of its own that a process is seen to have while something goes on."""

    def __init__(self, server: Server) -> None:
        self._process = server.worker
        self.before = self.most = self._look()

    def _look(self) -> int:
        return int(self._process.memory_full_info().uss)

    def __enter__(self) -> Self:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _run(self) -> None:
        while not self._over.wait(0.02):
            self.most = max(self.most, self._look())

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


def _decoder(coding: str) -> "zlib._Decompress | zstd.ZstdDecompressor | None":
    if coding == "gzip":
        return zlib.decompressobj(31)
    return zstd.ZstdDecompressor() if coding == "zstd" else None


def _size_of(api: httpx.Client, job: dict[str, Any], fmt: str, coding: str) -> int:
    """Download and throw away; returns how many bytes came, after decompressing."""
    decoder = _decoder(coding)
    size = 0
    with api.stream("GET", f"{job['links']['result']}?format={fmt}", headers={"Accept-Encoding": coding}) as answer:
        assert answer.status_code == 200
        assert answer.headers.get("Content-Encoding", "identity") == coding
        for piece in answer.iter_raw(READ_BYTES):
            size += len(decoder.decompress(piece)) if decoder is not None else len(piece)
    assert decoder is None or decoder.eof
    return size


def test_downloads_leave_the_web_process_as_it_is(server: Server, caller: Caller, api: httpx.Client) -> None:
    numbers = range(ROWS)
    table = pa.table({"name": [f"{number} {WORDS}" for number in numbers], "orders": numbers})
    job = _finished(caller, api, table, rows_per_chunk=50_000)
    kinds = [("csv", "identity"), ("csv", "gzip"), ("ndjson", "zstd"), ("json", "zstd"), ("parquet", "identity")]
    for fmt, coding in kinds:
        _size_of(api, job, fmt, coding)  # what is made once has been made after this
    with _Watch(server) as watch:
        sizes = [_size_of(api, job, fmt, coding) for fmt, coding in kinds]
        part = api.get(f"{job['links']['result']}?format=ndjson", headers={"Range": "bytes=-1000"})
    assert part.status_code == 206
    assert int(part.headers["Content-Range"].split("/")[1]) == sizes[2]
    assert sizes[0] == sizes[1]
    assert min(sizes[:4]) > 4 * MOST_GROWTH, sizes
    assert watch.most - watch.before < MOST_GROWTH, f"{watch.before:,} to {watch.most:,} bytes"


@pytest.mark.parametrize("coding", ["identity", "gzip", "zstd"])
def test_what_breaks_off_is_never_taken_for_whole(caller: Caller, api: httpx.Client, coding: str) -> None:
    job = _finished(caller, api, pa.table({"n": list(range(100_000))}), rows_per_chunk=5_000)
    with session.transaction() as db:
        db.delete(db.get_one(ResultChunk, (web_api.row(job["id"]).id, 18)))
    received = io.BytesIO()
    with api.stream("GET", f"{job['links']['result']}?format=csv", headers={"Accept-Encoding": coding}) as answer:
        assert answer.status_code == 200
        with pytest.raises(httpx.RemoteProtocolError, match="incomplete"):
            received.writelines(answer.iter_raw())
    # Nor does it look whole to who kept what came.
    if coding == "gzip":
        with pytest.raises(EOFError):
            gzip.decompress(received.getvalue())
    if coding == "zstd":
        decoder = zstd.ZstdDecompressor()
        decoder.decompress(received.getvalue())
        assert not decoder.eof


def test_a_download_that_broke_off_is_continued(caller: Caller, api: httpx.Client) -> None:
    table = pa.table({"n": list(range(20_000))})
    job = _finished(caller, api, table, rows_per_chunk=5_000)
    address = f"{job['links']['result']}?format=csv"
    with api.stream("GET", address) as answer:
        assert answer.headers["Accept-Ranges"] == "bytes"
        beginning = next(answer.iter_raw(30_000))
    etag = answer.headers["ETag"]
    rest = api.get(address, headers={"Range": f"bytes={len(beginning)}-", "If-Range": etag})
    assert rest.status_code == 206
    assert (beginning + rest.content).decode().split() == ["n", *map(str, range(20_000))]


def test_a_reader_of_columns_asks_for_parts_of_one_file(server: Server, caller: Caller, api: httpx.Client) -> None:
    table = pa.table({"name": [f"customer {number}" for number in range(20_000)], "orders": range(20_000)})
    job = _finished(caller, api, table, rows_per_chunk=5_000)
    address = f"{job['links']['result']}?format=parquet"
    size = int(api.head(address).headers["Content-Length"])
    footer = api.get(address, headers={"Range": f"bytes={size - 8}-{size - 5}"}).content
    tail = api.get(address, headers={"Range": f"bytes=-{int.from_bytes(footer, 'little') + 8}"}).content
    assert pq.read_metadata(pa.BufferReader(b"PAR1" + tail)).num_rows == 20_000
