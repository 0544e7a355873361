"""Answers that are made as a whole are compressed where that is worth something and wanted."""

import gzip
import json

import pytest
from backports import zstd

from tests.integration.web_api import Caller

DECODED = {"gzip": gzip.decompress, "zstd": zstd.decompress}


@pytest.mark.parametrize("coding", ["gzip", "zstd"])
@pytest.mark.parametrize("path", ["/openapi.json", "/docs", "/v1/report-types/rfm"])
def test_long_answers_are_compressed(caller: Caller, path: str, coding: str) -> None:
    plain = caller.get(path)
    assert "Content-Encoding" not in plain.headers
    coded = caller.get(path, Accept_Encoding=coding)
    assert coded.headers["Content-Encoding"] == coding
    assert DECODED[coding](coded.data) == plain.data
    assert int(coded.headers["Content-Length"]) == len(coded.data) < len(plain.data) / 2
    for answer in (plain, coded):
        assert "Accept-Encoding" in answer.headers["Vary"]


def test_short_answers_and_problems_are_not(caller: Caller) -> None:
    for path in ("/v1/jobs", "/healthz", "/v1/reports/nothing"):
        assert "Content-Encoding" not in caller.get(path, Accept_Encoding="gzip, zstd").headers, path


def test_who_refuses_everything_is_answered_all_the_same(caller: Caller) -> None:
    answer = caller.get("/v1/report-types/rfm", Accept_Encoding="*;q=0")
    assert answer.status_code == 200
    assert json.loads(answer.data)["name"] == "rfm"
