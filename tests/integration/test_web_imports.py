"""Uploads: to the disk under the job's id, whole and durable, or not at all."""

import gzip
import hashlib
import io
import resource
import signal
from pathlib import Path

import pytest

from models import settings
from tests.integration import web_api
from tests.integration.web_api import CSV, Caller


@pytest.fixture
def folder(database: settings.Settings) -> Path:
    database.upload_folder.mkdir(exist_ok=True)
    return database.upload_folder


@pytest.fixture(autouse=True)
def leaves_nothing_half_written(folder: Path) -> None:
    assert not list(folder.glob(".*"))


def test_a_raw_body_is_kept_under_the_jobs_id(caller: Caller, folder: Path) -> None:
    answer = caller.send(
        "/v1/imports?dataset=orders&mode=append&date_format=DMY&null_values=-,none",
        CSV,
        Content_Disposition='attachment; filename="../../etc/pass\x07wd.csv"',
    )
    assert answer.status_code == 202, answer.text
    job = answer.json
    assert (folder / job["id"]).read_bytes() == CSV
    kept = web_api.row(job["id"])
    assert kept.upload == {
        "filename": "../../etc/passwd.csv",
        "bytes": len(CSV),
        "sha256": hashlib.sha256(CSV).hexdigest(),
        "content_type": "text/csv",
    }
    assert (job["kind"], job["type"], job["rows"], job["mapping"], job["dataset_version"]) == (
        "import",
        "orders",
        None,
        None,
        None,
    )
    assert job["params"]["timezone"] == "Europe/London"
    assert job["params"]["currency"] == "GBP"
    assert job["params"]["mode"] == "append"
    assert job["params"]["null_values"] == ["-", "none"]
    assert "wait" not in job["params"]
    assert job["links"]["rejects"] == f"/v1/imports/{job['id']}/rejects"
    assert answer.headers["Location"] == f"/v1/imports/{job['id']}"


def test_a_form_is_the_same_as_a_raw_body(caller: Caller, folder: Path) -> None:
    big = CSV + b"\r\n--not a boundary\r\n" * 20_000
    form = {"file": (io.BytesIO(big), "orders.csv", "text/csv")}
    answer = caller.send("/v1/imports?dataset=orders", form, "multipart/form-data")
    assert answer.status_code == 202, answer.text
    assert (folder / answer.json["id"]).read_bytes() == big
    upload = web_api.row(answer.json["id"]).upload
    assert upload is not None
    assert (upload["filename"], upload["bytes"], upload["content_type"]) == ("orders.csv", len(big), "text/csv")


def test_a_compressed_body_is_kept_as_it_came(caller: Caller, folder: Path) -> None:
    packed = gzip.compress(CSV)
    answer = caller.send("/v1/imports?dataset=orders", packed, Content_Encoding="gzip")
    assert (folder / answer.json["id"]).read_bytes() == packed


@pytest.mark.parametrize("content_type", ["text/csv", "application/x-www-form-urlencoded", "application/octet-stream"])
def test_whatever_curl_calls_it_is_taken(caller: Caller, content_type: str) -> None:
    assert caller.send("/v1/imports?dataset=customers", b"customer_id\n1\n", content_type).status_code == 202


def test_an_empty_file_is_refused_and_leaves_nothing(caller: Caller, folder: Path) -> None:
    before = set(folder.iterdir())
    for data, content_type in ((b"", "text/csv"), ({"file": (io.BytesIO(b""), "x.csv")}, "multipart/form-data")):
        answer = caller.send("/v1/imports?dataset=orders", data, content_type)
        assert answer.status_code == 422
        assert answer.json["type"] == "/docs/problems/empty-file"
    assert set(folder.iterdir()) == before
    assert caller.get("/v1/imports").json["data"] == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"other": (io.BytesIO(CSV), "x.csv")}, "unknown-field"),
        ({"dataset": "orders"}, "unknown-field"),
        ({"file": [(io.BytesIO(CSV), "a.csv"), (io.BytesIO(CSV), "b.csv")]}, "repeated"),
    ],
)
def test_a_form_with_anything_else_is_refused(caller: Caller, folder: Path, form: object, code: str) -> None:
    before = set(folder.iterdir())
    answer = caller.send("/v1/imports?dataset=orders", form, "multipart/form-data")
    assert answer.status_code == 422
    assert answer.json["errors"][0]["code"] == code
    assert set(folder.iterdir()) == before


@pytest.mark.parametrize(
    "body", [b"", b"--x", b"--x\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc"]
)
def test_a_broken_form_is_refused(caller: Caller, folder: Path, body: bytes) -> None:
    before = set(folder.iterdir())
    answer = caller.send("/v1/imports?dataset=orders", body, "multipart/form-data; boundary=x")
    assert answer.status_code in {400, 422}
    assert set(folder.iterdir()) == before


def test_a_file_above_the_limit_is_refused(caller: Caller, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = set(folder.iterdir())
    monkeypatch.setenv("MAX_UPLOAD_BYTES", "1000")
    settings.load.cache_clear()
    try:
        answer = caller.send("/v1/imports?dataset=orders", b"x" * 1001)
    finally:
        monkeypatch.undo()
        settings.load.cache_clear()
    assert answer.status_code == 413
    assert answer.json["max_bytes"] == 1000
    assert set(folder.iterdir()) == before


def test_a_full_disk_is_said_and_nothing_is_kept(caller: Caller, folder: Path) -> None:
    # A limit on the size of files fails a write as a full disk does, halfway through the file.
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        answer = caller.send("/v1/imports?dataset=orders", b"x" * (2 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert answer.status_code == 507
    assert answer.json["type"] == "/docs/problems/storage-full"
    assert not list(folder.glob(".*"))


def test_the_options_are_checked_before_the_file(caller: Caller) -> None:
    answer = caller.send("/v1/imports?dataset=orders&mapping={bad&speed=9", CSV)
    assert answer.status_code == 422
    pointers = {error["pointer"]: error["code"] for error in answer.json["errors"]}
    assert pointers["#/query/speed"] == "unknown-field"
    assert "#/query/mapping" in pointers
    unknown = caller.send("/v1/imports?dataset=ordres", CSV)
    assert unknown.status_code == 422
    assert unknown.json["errors"][0]["pointer"] == "#/query/dataset"
    assert "order_lines" in unknown.json["detail"]
    missing = caller.send("/v1/imports", CSV)
    assert missing.json["errors"] == [{"pointer": "#/query/dataset", "code": "missing", "detail": "Field required."}]
