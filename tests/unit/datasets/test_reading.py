"""From bytes to rows: encodings, delimiters, lines, shapes, and what is no CSV at all."""

import gzip
import zlib
from pathlib import Path

import pytest

from analytics import errors
from analytics.datasets import importing, options, source
from tests.unit.datasets.conftest import Importer

HEADER = "customer_id,name,city\n"


def refusal(importer: Importer, content: str | bytes, **said: object) -> errors.Refusal:
    with pytest.raises(errors.Refusal) as refused:
        importer(content, dataset="customers", **said)
    return refused.value


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_encodings_are_found_out(importer: Importer, encoding: str) -> None:
    found = importer((HEADER + "1,Zoë,Köln\n").encode(encoding), dataset="customers")
    assert [(row["name"], row["city"]) for row in found.rows] == [("Zoë", "Köln")]


def test_windows_1252_far_into_the_file_is_found_out(importer: Importer) -> None:
    lines = [f"{number},{'x' * 200},town\n" for number in range(50_000)]
    content = (HEADER + "".join(lines)).encode() + "last,Zoë,Köln\n".encode("cp1252")
    assert len(content) > source.BLOCK_BYTES
    found = importer(content, dataset="customers")
    assert found.staged.facts["encoding"] == "windows-1252"
    assert found.select("name, city")[0] == {"name": "Zoë", "city": "Köln"}


def test_damaged_characters_reject_their_row_only(importer: Importer) -> None:
    found = importer(HEADER.encode() + "1,Zoë,Köln\n".encode() + b"2,Zo\xeb,Ulm\n3,Ann,Ulm\n", dataset="customers")
    assert [row["customer_id"] for row in found.rows] == ["1", "3"]
    assert [(row["line"], row["column"], row["code"]) for row in found.rejects] == [(3, "name", "bad-encoding")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiters_are_found_out(importer: Importer, delimiter: str) -> None:
    content = delimiter.join(["customer_id", "name", "city"]) + "\n" + delimiter.join(["1", '"a, b; c"', "Rome"]) + "\n"
    found = importer(content, dataset="customers")
    assert found.rows[0]["name"] == "a, b; c"
    assert found.staged.facts["delimiter"] == delimiter


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends(importer: Importer, end: str, *, last: bool) -> None:
    content = end.join(["customer_id,name,city", "1,a,b", "2,c,d"]) + (end if last else "")
    assert [row["city"] for row in importer(content, dataset="customers").rows] == ["b", "d"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_line_feed_in_a_file_of_carriage_returns_loses_no_row(importer: Importer, encoding: str) -> None:
    towns = ["Street\nTown", "Street", "Street"] * 3
    rows = [f'{number},x,"{town}"' for number, town in enumerate(towns)]
    content = "\r".join(["customer_id,name,city", *rows]).encode(encoding)
    found = importer(content, dataset="customers")
    assert [row["customer_id"] for row in found.rows] == [str(number) for number in range(len(towns))]
    assert [row["city"] for row in found.rows] == towns


@pytest.mark.parametrize(
    "head",
    [
        '"customer\rid",name,city\n',
        "customer_id,name,city\r",
        "Customers\rof March\n\ncustomer_id,name,city\n",
        'sep=,\rcustomer_id,"name",city\r\n',
    ],
)
def test_a_carriage_return_in_the_head_loses_no_row(importer: Importer, head: str) -> None:
    found = importer(head + "1,a,b\n2,c,d\n3,e,f\n", dataset="customers")
    assert [row["name"] for row in found.rows] == ["a", "c", "e"]


def test_a_line_end_is_seen_across_blocks(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", 1)
    content = b"customer_id,name\r\n" + b"".join(b"%d,x\r\n%d,y\r" % (number, number + 1) for number in range(0, 40, 2))
    found = importer(content, dataset="customers")
    assert sorted(int(row["customer_id"]) for row in found.rows) == list(range(40))
    assert found.rejects == []


@pytest.mark.parametrize(("rows", "at"), [(2_000, 10), (20_000, 19_000), (20_000, 10), (20, 20)])
def test_a_quote_that_is_never_closed_takes_its_own_line_only(importer: Importer, rows: int, at: int) -> None:
    lines = [f"{number},{chr(34) if number == at else ''}Name {number}\n" for number in range(1, rows + 1)]
    found = importer("customer_id,name\n" + "".join(lines), dataset="customers")
    assert len(found.rows) + len(found.rejects) == rows
    assert {row["name"] for row in found.rows if row["customer_id"] in {"1", "9", "11"}} <= {
        "Name 1",
        "Name 9",
        "Name 11",
    }
    assert max(len(row["name"]) for row in found.rows) < len("Name 20000") + 2


def test_a_row_with_a_value_too_many_is_rejected_though_its_last_is_empty(importer: Importer) -> None:
    content = HEADER + "1,a,b\n2,c,d\n3,1,234.50,\n4,e,\n"
    found = importer(content, dataset="customers")
    assert [row["customer_id"] for row in found.rows] == ["1", "2", "4"]
    assert [(row["line"], row["code"]) for row in found.rejects] == [(4, "wrong-column-count")]


def test_rows_that_all_end_with_delimiters_are_taken(importer: Importer) -> None:
    found = importer(HEADER + "1,a,b,\n2,c,d,,\n3,e,f\n4,g,h,\n5,1,5,x\n", dataset="customers")
    assert [row["city"] for row in sorted(found.rows, key=lambda row: row["customer_id"])] == ["b", "d", "f", "h"]
    assert [row["line"] for row in found.rejects] == [6]


def test_lines_are_physical_lines(importer: Importer) -> None:
    content = (
        "\ncustomer_id,created_at,name\n"
        '1,2020-01-01,"two\nlines"\n'
        "2,never,x\n"  # line 5
        "\n"
        "3,2020-01-01\n"  # line 7
        '4,2020-01-01,"three\r\nmore\nlines"\n'
        "5,soon,y\n"  # line 11
        '"6,short\n'  # an odd quote, which gathers the rest
    )
    found = importer(content, dataset="customers")
    assert [row["customer_id"] for row in found.rows] == ["1", "4"]
    assert [(row["line"], row["code"]) for row in found.rejects] == [
        (5, "bad-timestamp"),
        (7, "wrong-column-count"),
        (11, "bad-timestamp"),
        (12, "wrong-column-count"),
    ]
    assert found.rejects[0] == {
        "line": 5,
        "column": "created_at",
        "code": "bad-timestamp",
        "value": "never",
        "row": "2,never,x",
    }
    assert found.counts == (6, 2, 0, 0, 4)
    assert [warning.code for warning in found.staged.warnings] == ["blank-lines"]


def test_lines_are_right_across_blocks(importer: Importer) -> None:
    wide = "x" * 2000
    parts = ["customer_id,created_at,name\n"]
    line, expected = 2, []
    for number in range(12_000):
        bad = number % 1000 == 999
        parts.append(f'{number},{"never" if bad else "2020-01-01"},"{wide}{chr(10) if number % 7 == 0 else ""}"\n')
        expected += [line] if bad else []
        line += 2 if number % 7 == 0 else 1
    content = "".join(parts)
    assert len(content) > 2 * source.BLOCK_BYTES
    found = importer(content, dataset="customers")
    assert [row["line"] for row in found.rejects] == expected


def test_stray_quotes_are_text(importer: Importer) -> None:
    found = importer(HEADER + '1,5" pipe,Rome\n2,x,y\n', dataset="customers")
    assert [row["name"] for row in found.rows] == ['5" pipe', "x"]


def test_rows_quoted_as_a_whole_are_unwrapped(importer: Importer) -> None:
    plain = importer(HEADER + '1,"a, b",Rome\n2,c,d\n', dataset="customers")
    wrapped = importer(HEADER + '"1,""a, b"",Rome"\n2,c,d\n', dataset="customers")
    assert wrapped.rows == plain.rows


def test_rows_that_need_mending_among_values_that_repeat(importer: Importer) -> None:
    content = (HEADER + "1,Ann,Rome\n2,Ann,\n" * 20).encode()
    content += '"3,""Zoë, B"",Rome"\n4,Ann,"Ro\nme"\n5,Ann,NULL,,\n'.encode() + b"6,Ann,R\xf6me\n7,Bob\n8,Ann,Ulm\n"
    found = importer(content, dataset="customers")
    assert [(row["customer_id"], row["name"], row["city"]) for row in found.rows] == [
        ("1", "Ann", "Rome"),
        ("2", "Ann", None),
        ("3", "Zoë, B", "Rome"),
        ("4", "Ann", "Ro\nme"),
        ("8", "Ann", "Ulm"),
    ]
    assert [(row["line"], row["column"], row["code"]) for row in found.rejects] == [
        (45, None, "wrong-column-count"),
        (46, "city", "bad-encoding"),
        (47, None, "wrong-column-count"),
    ]


def test_empty_values_too_many_at_the_end_are_passed_over(importer: Importer) -> None:
    found = importer(HEADER + "1,a,b,,\n2,c,d,e\n", dataset="customers")
    assert [row["customer_id"] for row in found.rows] == ["1"]
    assert [row["value"] for row in found.rejects] == ["4 instead of 3"]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty-file"),
        (b"\n \n", "empty-file"),
        (HEADER.encode(), "empty-file"),
        (gzip.compress(b""), "empty-file"),
        (b"customer_id,name\n1,a\0b\n", "not-csv"),
        (bytes(range(1, 32)) * 50, "not-csv"),
        (b"PK\x03\x04rest", "truncated-file"),
        (b"PAR1rest", "truncated-file"),
        (b"<!DOCTYPE html><html>", "unsupported-format"),
        (b"Dear Sir or Madam\nplease find attached\n", "missing-columns"),
        (gzip.compress(HEADER.encode() + b"1,a,b\n" * 1000)[:-9], "truncated-file"),
        (gzip.compress(HEADER.encode() + b"1,a,b\n")[:-8] + b"\xff" * 8, "damaged-file"),
    ],
)
def test_what_cannot_be_read(importer: Importer, content: bytes, code: str) -> None:
    assert refusal(importer, content).code == code


def test_gzip_members_are_one_file(importer: Importer) -> None:
    content = gzip.compress(HEADER.encode() + b"1,a,b\n") + gzip.compress(b"2,c,d\n") + b"\0" * 10
    assert len(importer(content, dataset="customers").rows) == 2


def test_bombs_are_stopped_early(tmp_path: Path) -> None:
    path = tmp_path / "bomb.csv.gz"
    line = b"1,aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa,b\n" * 100_000
    compressor = zlib.compressobj(9, wbits=31)
    path.write_bytes(
        compressor.compress(HEADER.encode())
        + b"".join(compressor.compress(line) for _ in range(40))
        + compressor.flush()
    )
    with pytest.raises(errors.Refusal) as refused:
        importing.stage(
            path, options=options.ImportOptions(dataset="customers"), folder=tmp_path / "s", progress=lambda *_: None
        )
    assert refused.value.code == "bomb"
    assert refused.value.data["expanded"] < 100 * 1024**2


def test_progress_reaches_the_size_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text(HEADER + "1,a,b\n" * 300_000)
    seen: list[tuple[int, int | None]] = []
    importing.stage(
        path,
        options=options.ImportOptions(dataset="customers"),
        folder=tmp_path / "s",
        progress=lambda done, total: seen.append((done, total)),
    )
    size = path.stat().st_size
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
