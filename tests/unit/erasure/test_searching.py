"""Looking for a customer in kept bytes: rows of results, and uploaded files of every packing."""

import gzip
import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.datasets import searching
from analytics.datasets.mentions import Mention
from analytics.render import chunks

WHO = Mention("C-0017")
ROWS = "order_id,customer_id\n1,{}\n2,C-0018\n"


def _parquet(text: str) -> bytes:
    target = io.BytesIO()
    pq.write_table(pa.table({"customer_id": [line.split(",")[1] for line in text.splitlines()[1:]]}), target)
    return target.getvalue()


def _zip(text: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("readme.txt", "nobody")
        archive.writestr("orders.csv", text)
    return target.getvalue()


def _zstd(text: str) -> bytes:
    return bytes(pa.compress(text.encode(), codec="zstd", asbytes=True))


PACKINGS: dict[str, Callable[[str], bytes]] = {
    "plain": str.encode,
    "utf-16": lambda text: text.encode("utf-16"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zstd": _zstd,
    "zip": _zip,
    "parquet": _parquet,
}


@pytest.mark.parametrize("packing", PACKINGS)
def test_a_file_that_names_them_is_found_and_another_is_not(tmp_path: Path, packing: str) -> None:
    file = tmp_path / "upload"
    file.write_bytes(PACKINGS[packing](ROWS.format("C-0017")))
    assert searching.file_may_name(file, WHO)
    file.write_bytes(PACKINGS[packing](ROWS.format("C-0016")))
    assert not searching.file_may_name(file, WHO)


def test_what_cannot_be_looked_into_may_name_them(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    innocent = ROWS.format("x")
    for content in (
        gzip.compress(innocent.encode())[:-12],
        _zip(innocent)[:-30],
        _parquet(innocent)[:-10],
        gzip.compress(gzip.compress(innocent.encode())),
        gzip.compress(_parquet(innocent)),
    ):
        file.write_bytes(content)
        assert searching.file_may_name(file, WHO)


def test_an_id_across_two_blocks_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "BLOCK", 7)
    file = tmp_path / "upload"
    for shift in range(10):
        file.write_bytes(b"x" * shift + b"C-0017" + b"x" * 9)
        assert searching.file_may_name(file, WHO), shift


@pytest.mark.parametrize("written", [json.dumps("Zoë"), "<t>Zoë</t>", "Zoe\u0308"])
def test_other_spellings_of_an_id_are_found(tmp_path: Path, written: str) -> None:
    file = tmp_path / "upload"
    file.write_text(written, encoding="utf-8")
    assert searching.file_may_name(file, Mention("Zoë"))
    file.write_bytes("Zoë".encode("cp1252"))
    assert searching.file_may_name(file, Mention("Zoë"))


def test_a_row_of_a_result_is_found_in_any_column_of_text() -> None:
    rows = pa.table({"customer_id": ["C-0018", None, "C-0017"], "n": [1, 2, 3]})
    (chunk,) = chunks.encode(rows)
    assert searching.chunk_names(chunk.data, WHO)
    (repeating,) = chunks.encode(pa.table({"who": ["C-0017"] * 100}))
    assert searching.chunk_names(repeating.data, WHO)
    (others,) = chunks.encode(rows.slice(0, 2))
    assert not searching.chunk_names(others.data, WHO)
    (rejected,) = chunks.encode(pa.table({"line": [2], "value": ["x"], "row": ['1,"C-0017","Doe, Jane",x']}))
    assert searching.chunk_names(rejected.data, WHO)
