"""Previews over HTTP: accepted like imports, and the file of one job imported by another without being sent again."""

import io
import uuid
from pathlib import Path
from typing import Any

import pytest

from models import settings
from models.api_key import Scope
from tests.integration import web_api
from tests.integration.web_api import CSV, Caller

PREVIEW = "/v1/imports/preview?wait=0"


@pytest.fixture
def folder(database: settings.Settings) -> Path:
    database.upload_folder.mkdir(exist_ok=True)
    return database.upload_folder


def test_a_preview_is_accepted_like_an_import(caller: Caller, folder: Path) -> None:
    answer = caller.send(f"{PREVIEW}&date_format=DMY&priority=7", CSV)
    assert answer.status_code == 202, answer.text
    job = answer.json
    assert (job["kind"], job["type"], job["priority"], job["preview"]) == ("preview", "auto", 7, None)
    assert answer.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert (folder / job["id"]).read_bytes() == CSV
    assert (job["params"]["dataset"], job["params"]["timezone"], job["params"]["currency"]) == (
        None,
        "Europe/London",
        "GBP",
    )
    assert not {"wait", "priority", "upload"} & set(job["params"])
    assert caller.get(f"/v1/jobs/{job['id']}").json["id"] == job["id"]
    assert web_api.row(job["id"]).queue == "imports"


def test_a_preview_of_a_named_dataset_has_its_type(caller: Caller) -> None:
    form = {"file": (io.BytesIO(CSV), "orders.csv", "text/csv")}
    answer = caller.send(f"{PREVIEW}&dataset=orders", form, "multipart/form-data")
    assert (answer.status_code, answer.json["type"]) == (202, "orders")


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("dataset=nothing", "#/query/dataset"),
        ("colour=red", "#/query/colour"),
        ("wait=31", "#/query/wait"),
        ("mapping=[", "#/query/mapping"),
        ('mapping={"nothing":"x"}', "#/query"),
        ("upload=1", "#/query/upload"),
        ("max_rejects=2", "#/query/max_rejects"),
    ],
)
def test_wrong_options_are_refused_before_the_file_is_read(
    caller: Caller, folder: Path, query: str, pointer: str
) -> None:
    before = set(folder.iterdir())
    answer = caller.send(f"/v1/imports/preview?{query}", CSV)
    assert answer.status_code == 422, answer.text
    assert answer.json["errors"][0]["pointer"].startswith(pointer)
    assert set(folder.iterdir()) == before


def test_there_must_be_a_file(caller: Caller, folder: Path) -> None:
    before = set(folder.iterdir())
    answer = caller.send(PREVIEW, b"")
    assert (answer.status_code, answer.json["type"]) == (422, "/docs/problems/empty-file")
    assert set(folder.iterdir()) == before


def test_only_a_key_that_may_import_may_preview(caller: Caller) -> None:
    reader = web_api.another_key(caller, Scope.DATASETS_READ)
    assert reader.send(PREVIEW, CSV).status_code == 403
    job = caller.send(PREVIEW, CSV).json
    assert reader.get(f"/v1/jobs/{job['id']}").status_code == 200
    assert web_api.another_key(caller, Scope.REPORTS_READ).get(f"/v1/jobs/{job['id']}").status_code == 403


def test_a_preview_is_made_once_for_a_key(caller: Caller) -> None:
    first = caller.send(PREVIEW, CSV, Idempotency_Key="k")
    again = caller.send(PREVIEW, CSV, Idempotency_Key="k")
    assert again.json["id"] == first.json["id"]
    assert again.headers["Idempotent-Replayed"] == "true"
    other = caller.send(f"{PREVIEW}&dataset=orders", CSV, Idempotency_Key="k")
    assert other.json["type"] == "/docs/problems/idempotency-key-reused"


@pytest.mark.parametrize("first", [PREVIEW, "/v1/imports?dataset=customers"])
def test_the_file_of_another_job_is_imported(caller: Caller, folder: Path, first: str) -> None:
    job = caller.send(first, CSV, Content_Disposition='attachment; filename="orders.csv"').json
    answer = caller.post(f"/v1/imports?dataset=orders&upload={job['id']}")
    assert answer.status_code == 202, answer.text
    made = answer.json
    assert (made["kind"], made["type"]) == ("import", "orders")
    assert made["id"] != job["id"]
    assert (folder / made["id"]).samefile(folder / job["id"])
    assert web_api.row(made["id"]).upload == web_api.row(job["id"]).upload
    assert caller.post(f"{PREVIEW}&upload={made['id']}").status_code == 202


def test_the_same_key_imports_the_same_file_once_even_when_it_is_gone(caller: Caller, folder: Path) -> None:
    job = caller.send(PREVIEW, CSV).json
    path = f"/v1/imports?dataset=orders&upload={job['id']}"
    first = caller.post(path, Idempotency_Key="once")
    (folder / job["id"]).unlink()
    again = caller.post(path, Idempotency_Key="once")
    assert (again.status_code, again.json["id"]) == (202, first.json["id"])
    assert len(list(folder.glob(f"{first.json['id']}*"))) == 1


def test_a_file_that_is_gone_is_a_clear_problem(caller: Caller, folder: Path) -> None:
    job = caller.send(PREVIEW, CSV).json
    (folder / job["id"]).unlink()
    before = set(folder.iterdir())
    answer = caller.post(f"/v1/imports?dataset=orders&upload={job['id']}")
    assert (answer.status_code, answer.json["type"]) == (409, "/docs/problems/upload-gone")
    assert set(folder.iterdir()) == before
    assert caller.get("/v1/imports").json["data"] == []


def test_the_file_of_another_organisation_is_not_there(caller: Caller, folder: Path) -> None:
    stranger = web_api.new_caller(caller.http)
    job = stranger.send(PREVIEW, CSV).json
    before = set(folder.iterdir())
    for path in (f"/v1/imports?dataset=orders&upload={job['id']}", f"{PREVIEW}&upload={job['id']}"):
        answer = caller.post(path)
        assert (answer.status_code, answer.json["type"]) == (404, "/docs/problems/not-found")
    assert caller.get(f"/v1/jobs/{job['id']}").status_code == 404
    assert caller.post(f"/v1/imports?dataset=orders&upload={uuid.uuid4()}").status_code == 404
    assert set(folder.iterdir()) == before


def test_a_file_is_either_sent_or_named(caller: Caller, folder: Path) -> None:
    job = caller.send(PREVIEW, CSV).json
    before = set(folder.iterdir())
    answer = caller.send(f"/v1/imports?dataset=orders&upload={job['id']}", CSV)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "two-files")
    assert set(folder.iterdir()) == before


def test_a_report_has_no_file_to_import(caller: Caller) -> None:
    web_api.give_dataset(caller)
    report: Any = caller.post("/v1/reports", {"type": "rfm"}).json
    answer = caller.post(f"/v1/imports?dataset=orders&upload={report['id']}")
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (422, "no-file")
