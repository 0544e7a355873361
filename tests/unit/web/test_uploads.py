"""Which bodies of an upload are taken, and that they are kept as they came."""

import uuid
from pathlib import Path

import flask
import pytest

from models import settings
from web import problems, uploads


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(settings, "load", lambda: settings.Settings(upload_dir=tmp_path / "uploads"))
    return settings.load().upload_folder


def receive(body: bytes, **headers: str) -> uuid.UUID:
    job = uuid.uuid4()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with flask.Flask(__name__).test_request_context("/", method="POST", data=body, headers=named):
        uploads.receive(job, at_most=1_000)
    return job


@pytest.mark.parametrize("encoding", ["", "identity", "gzip", "x-gzip", "GZIP", "zstd"])
def test_a_body_is_kept_as_it_came(folder: Path, encoding: str) -> None:
    job = receive(b"\x28\xb5\x2f\xfdwhatever", Content_Encoding=encoding, Content_Type="application/x-ndjson")
    assert (folder / str(job)).read_bytes() == b"\x28\xb5\x2f\xfdwhatever"


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, zstd", "compress", "aws-chunked"])
def test_other_encodings_are_refused_before_anything_is_kept(folder: Path, encoding: str) -> None:
    with pytest.raises(problems.Problem) as refused:
        receive(b"whatever", Content_Encoding=encoding)
    assert refused.value.kind.status == 415
    assert "gzip and zstd" in str(refused.value.detail)
    assert not folder.exists()


def test_a_form_is_not_taken_compressed(folder: Path) -> None:
    with pytest.raises(problems.Problem) as refused:
        receive(b"\x1f\x8b", Content_Encoding="gzip", Content_Type="multipart/form-data; boundary=x")
    assert refused.value.kind.status == 415
    assert not folder.exists()
