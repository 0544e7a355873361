"""How results travel: in the coding a caller takes, in parts, under a name, once and not again."""

import gzip
import io
import os
from typing import Any

import pyarrow as pa
import pytest
from backports import zstd

from models import session, settings
from models.result import StoredResult
from tests.integration import web_api
from tests.integration.web_api import Answer, Caller
from web import result_files, result_stream
from workers import kept_files

ROWS = 5_000
TABLE = pa.table({"name": [f"cüstomer {number}" for number in range(ROWS)], "orders": list(range(ROWS))})
STREAMED = ("json", "ndjson", "csv", "html")
FILES = ("parquet", "xlsx", "pdf", "svg", "png")
CHART = {
    "title": "Orders",
    "spec": {
        "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
        "data": {"values": [{"a": 1, "b": 2}]},
        "mark": "bar",
        "encoding": {"x": {"field": "a", "type": "quantitative"}, "y": {"field": "b", "type": "quantitative"}},
    },
}


@pytest.fixture
def job(caller: Caller) -> dict[str, Any]:
    """A report that has finished, with more rows than are rendered in one go, in several chunks."""
    return _finished(caller, TABLE)


def _finished(caller: Caller, table: pa.Table, label: str | None = None, bins: int = 5) -> dict[str, Any]:
    web_api.give_dataset(caller, "orders")
    accepted: dict[str, Any] = caller.post(
        "/v1/reports", {"type": "rfm", "label": label, "params": {"bins": bins}}
    ).json
    stored = web_api.finish(accepted["id"], table, rows_per_chunk=1_500)
    header = {**stored.header, "charts": [CHART]}
    with session.transaction() as db:
        db.merge(stored).header = header
    return accepted


def _read(caller: Caller, job: dict[str, Any], fmt: str, **headers: str) -> Answer:
    answer = caller.get(f"{job['links']['result']}?format={fmt}", **headers)
    assert answer.data is not None
    answer.close()
    return answer


@pytest.fixture(autouse=True)
def _empty_shelf() -> None:
    kept_files.shelf().clear()


@pytest.mark.parametrize("fmt", [*STREAMED, *FILES])
def test_parts_make_up_the_whole_in_every_format(caller: Caller, job: dict[str, Any], fmt: str) -> None:
    whole = _read(caller, job, fmt)
    assert whole.status_code == 200
    assert whole.headers["Accept-Ranges"] == "bytes"
    kept_files.shelf().clear()  # so that the parts are rendered anew: equal bytes, or a part would be of something else
    half = len(whole.data) // 2
    first = _read(caller, job, fmt, Range=f"bytes=0-{half - 1}", If_Range=whole.headers["ETag"])
    rest = _read(caller, job, fmt, Range=f"bytes={half}-", If_Range=whole.headers["ETag"])
    last = _read(caller, job, fmt, Range="bytes=-10")
    assert [answer.status_code for answer in (first, rest, last)] == [206, 206, 206]
    assert first.data + rest.data == whole.data
    assert last.data == whole.data[-10:]
    assert rest.headers["Content-Range"] == f"bytes {half}-{len(whole.data) - 1}/{len(whole.data)}"
    assert int(rest.headers["Content-Length"]) == len(rest.data)
    assert rest.headers["ETag"] == whole.headers["ETag"]
    assert list(settings.load().rendering_folder.iterdir()) == []


@pytest.mark.parametrize(
    "asked",
    ["bytes=0-3,10-13", "items=0-3", "bytes=9-3", "bytes=one-two", "0-3"],
    ids=["several", "another unit", "backwards", "words", "no unit"],
)
def test_what_is_not_one_range_of_bytes_is_answered_whole(caller: Caller, job: dict[str, Any], asked: str) -> None:
    whole = _read(caller, job, "csv")
    answer = _read(caller, job, "csv", Range=asked)
    assert (answer.status_code, answer.data) == (200, whole.data)


def test_a_part_of_other_bytes_is_never_given(caller: Caller, job: dict[str, Any]) -> None:
    etag = _read(caller, job, "csv").headers["ETag"]
    for condition in (f"W/{etag}", '"another"', "Sun, 22 Nov 2026 10:00:00 GMT"):
        assert _read(caller, job, "csv", Range="bytes=5-9", If_Range=condition).status_code == 200, condition
    compressed = _read(caller, job, "csv", Accept_Encoding="gzip")
    resumed = _read(caller, job, "csv", Range="bytes=5-9", If_Range=compressed.headers["ETag"], Accept_Encoding="gzip")
    assert (resumed.status_code, resumed.headers["Content-Encoding"]) == (200, "gzip")
    assert resumed.headers["Accept-Ranges"] == "none"


@pytest.mark.parametrize("asked", ["bytes=100000000-", "bytes=-0"])
def test_a_part_behind_the_end_is_refused_with_the_length(caller: Caller, job: dict[str, Any], asked: str) -> None:
    size = len(_read(caller, job, "csv").data)
    answer = _read(caller, job, "csv", Range=asked)
    assert (answer.status_code, answer.json["type"]) == (416, "/docs/problems/range-not-satisfiable")
    assert answer.headers["Content-Range"] == f"bytes */{size}"


def test_parts_of_one_file_are_rendered_once(
    caller: Caller, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    _read(caller, job, "csv", Range="bytes=0-9")

    def fail(*_: object) -> None:
        raise AssertionError("it was rendered again")

    monkeypatch.setattr(result_stream, "read_chunk", fail)
    assert _read(caller, job, "csv", Range="bytes=10-19").status_code == 206
    whole = _read(caller, job, "csv")
    assert int(whole.headers["Content-Length"]) == len(whole.data)


@pytest.mark.parametrize("fmt", [*STREAMED, "svg"])
@pytest.mark.parametrize("coding", ["gzip", "zstd"])
def test_codings_say_the_same_in_fewer_bytes(caller: Caller, job: dict[str, Any], fmt: str, coding: str) -> None:
    plain = _read(caller, job, fmt)
    coded = _read(caller, job, fmt, Accept_Encoding=coding)
    assert coded.headers["Content-Encoding"] == coding
    assert "Accept-Encoding" in coded.headers["Vary"]
    assert len(coded.data) < len(plain.data)
    # As clients do it that read one member or one frame and no further.
    assert _decoded(coding, coded.data) == plain.data
    assert coded.headers["ETag"] != plain.headers["ETag"]
    assert not coded.headers["ETag"].startswith("W/")
    unchanged = _read(caller, job, fmt, Accept_Encoding=coding, If_None_Match=coded.headers["ETag"])
    assert (unchanged.status_code, unchanged.headers["ETag"], unchanged.data) == (304, coded.headers["ETag"], b"")
    assert _read(caller, job, fmt, If_None_Match=coded.headers["ETag"]).status_code == 200


def _decoded(coding: str, data: bytes) -> bytes:
    if coding == "gzip":
        return gzip.GzipFile(fileobj=io.BytesIO(data)).read()
    decompressor = zstd.ZstdDecompressor()
    found = decompressor.decompress(data)
    assert decompressor.eof
    assert not decompressor.unused_data
    return found


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, zstd;q=0.5", "gzip"),
        ("*", "zstd"),
        ("br", None),
        ("GZIP", "gzip"),
        ("x-gzip", "gzip"),
        ("gzip;q=0", None),
        ("identity, gzip;q=0.5", None),
        ("identity;q=0.1, gzip;q=0.5", "gzip"),
        ("zstd;q=0, *", "gzip"),
    ],
)
def test_the_coding_follows_the_qualities(
    caller: Caller, job: dict[str, Any], header: str | None, expected: str | None
) -> None:
    given = {"Accept_Encoding": header} if header is not None else {}
    assert _read(caller, job, "csv", **given).headers.get("Content-Encoding") == expected


def test_a_request_that_takes_no_coding_at_all(caller: Caller, job: dict[str, Any]) -> None:
    for refused in ("identity;q=0", "*;q=0", "br, identity;q=0"):
        answer = _read(caller, job, "csv", Accept_Encoding=refused)
        assert (answer.status_code, answer.json["available_codings"]) == (406, ["zstd", "gzip", "identity"]), refused
    assert _read(caller, job, "csv", Accept_Encoding="gzip, identity;q=0", Range="bytes=0-9").status_code == 200


def test_what_is_compressed_already_is_left_alone(caller: Caller, job: dict[str, Any]) -> None:
    for fmt in ("parquet", "xlsx", "pdf", "png"):
        assert "Content-Encoding" not in _read(caller, job, fmt, Accept_Encoding="gzip, zstd").headers, fmt


def test_a_tiny_result_is_left_alone_and_known_again(caller: Caller) -> None:
    tiny = _finished(caller, TABLE.slice(0, 3))
    answer = _read(caller, tiny, "csv", Accept_Encoding="gzip")
    assert "Content-Encoding" not in answer.headers
    again = _read(caller, tiny, "csv", Accept_Encoding="gzip", If_None_Match=answer.headers["ETag"])
    assert again.status_code == 304


def test_head_says_what_get_says_and_renders_no_rows(
    caller: Caller, job: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"{job['links']['result']}?format=csv"
    get = _read(caller, job, "csv")
    parquet = _read(caller, job, "parquet")

    def fail(*_: object) -> None:
        raise AssertionError("rows were read")

    monkeypatch.setattr(result_stream, "read_chunk", fail)
    head = caller.call("HEAD", address, Authorization=f"Bearer {caller.secret}")
    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Disposition", "Accept-Ranges", "Vary"):
        assert head.headers[name] == get.headers[name]
    assert "Content-Length" not in head.headers
    of_file = caller.call("HEAD", address.replace("csv", "parquet"), Authorization=f"Bearer {caller.secret}")
    assert int(of_file.headers["Content-Length"]) == len(parquet.data)
    of_file.close()


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "text/html; charset=utf-8"),
        ("application/json;q=0, */*", "application/x-ndjson"),
        ("text/csv; header=present", "text/csv; charset=utf-8"),
        ("text/csv, */*", "text/csv; charset=utf-8"),
        ("application/json;q=0.2, text/csv;q=0.1", "application/json"),
    ],
)
def test_the_format_follows_the_qualities(caller: Caller, job: dict[str, Any], accept: str, expected: str) -> None:
    answer = caller.get(job["links"]["result"], Accept=accept)
    assert answer.content_type == expected
    assert "Accept" in answer.headers["Vary"].split(", ")


def test_a_download_is_called_what_its_caller_calls_it(caller: Caller) -> None:
    job = _finished(caller, TABLE.slice(0, 3), label="Übersicht: Q3/2026 \u202egpj")
    said = _read(caller, job, "csv").headers["Content-Disposition"]
    assert said == (
        f'attachment; filename="Ubersicht Q3 2026 gpj-{job["id"]}.csv"; '
        f"filename*=UTF-8''%C3%9Cbersicht%20Q3%202026%20gpj-{job['id']}.csv"
    )
    nameless = _finished(caller, TABLE.slice(0, 3), label="../..", bins=4)
    assert f'filename="rfm-{nameless["id"]}.csv"' in _read(caller, nameless, "csv").headers["Content-Disposition"]
    foreign = _finished(caller, TABLE.slice(0, 3), label="売上", bins=3)
    said = _read(caller, foreign, "json").headers["Content-Disposition"]
    assert said.startswith(f"inline; filename=\"{foreign['id']}.json\"; filename*=UTF-8''%E5%A3%B2%E4%B8%8A-")


def test_a_removed_result_is_not_read_from_what_is_kept(caller: Caller, job: dict[str, Any]) -> None:
    _read(caller, job, "csv", Range="bytes=0-9")
    with session.transaction() as db:
        db.delete(db.get_one(StoredResult, web_api.row(job["id"]).id))
    assert _read(caller, job, "csv", Range="bytes=10-19").status_code == 410


def test_files_left_by_a_killed_process_are_removed(caller: Caller) -> None:
    folder = settings.load().rendering_folder
    (folder / "tmpdead").mkdir(parents=True, exist_ok=True)
    left, fresh = folder / "tmpdead" / "0.chunk", folder / "fresh.rows"
    left.write_bytes(b"x")
    fresh.write_bytes(b"x")
    for old in (left, left.parent):
        os.utime(old, (0, 0))
    result_files.remove_abandoned()
    assert [path.name for path in folder.iterdir()] == ["fresh.rows"]
    fresh.unlink()
