"""Files made to do harm, small on disk or quickly written, each with the code it must be refused with (None: it is read)."""

import io
import json
import random
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import xlsxwriter

MEGABYTE = 1024**2
LINES = b"0,0\n" * (MEGABYTE // 4)


@dataclass(frozen=True)
class Hostile:
    """A file and what has to become of it."""

    name: str
    code: str | None
    write: Callable[[], bytes]


def gzip_of_zeros() -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(LINES) for _ in range(80)) + packer.flush()


def zstd_of_zeros() -> bytes:
    return bytes(pa.Codec("zstd", 1).compress(LINES * 80, asbytes=True))


def zstd_with_a_window_of_two_gigabytes() -> bytes:
    # A frame header that asks for a window of 2^31 bytes, and one last raw block of a byte.
    return b"\x28\xb5\x2f\xfd" + bytes([0x00, 21 << 3]) + b"\x09\x00\x00x"


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def zip_that_lies_about_its_size() -> bytes:
    content = bytearray(zipped({"a.csv": b"a,b\n" + b"1,2\n" * 1000}))
    at = content.rfind(b"PK\x01\x02")
    content[at + 24 : at + 28] = struct.pack("<I", 10)
    return bytes(content)


def zip_that_promises_more_than_it_has() -> bytes:
    content = bytearray(zipped({"a.csv": b"a,b\n1,2\n"}))
    at = content.rfind(b"PK\x05\x06")
    content[at + 12 : at + 16] = struct.pack("<I", 2**31)
    return bytes(content)


def zip_of_many_members() -> bytes:
    return zipped({f"{number:060}": b"" for number in range(45_000)})


def one_long_line(fill: bytes) -> bytes:
    return b"a,b,c\n1,2," + fill * (40 * MEGABYTE // len(fill)) + b"\n"


def quote_that_is_never_closed() -> bytes:
    return b'a,b,c\n1,2,"' + b"x,y,z\n" * (3 * MEGABYTE)


def a_million_columns() -> bytes:
    return ",".join(f"c{number}" for number in range(1_000_000)).encode() + b"\n1,2\n"


def objects_of_ever_new_keys() -> bytes:
    return b"\n".join(json.dumps({f"k{number}": number}).encode() for number in range(100_000))


def a_million_keys() -> bytes:
    return b"{" + b"".join(b'"k%d":1,' % number for number in range(1_000_000)) + b'"last":1}'


def wide_objects_and_empty_ones() -> bytes:
    return json.dumps({f"k{number}": 1 for number in range(1_900)}).encode() + b"\n" + b"{}\n" * 40_000


def array_of_small_things() -> bytes:
    return b'[{"a":[' + b"1.5," * (15 * MEGABYTE) + b"1]}]"


def parquet(table: pa.Table, **said: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **said)
    return out.getvalue()


def parquet_with_a_footer(length: int, footer: bytes) -> bytes:
    return b"PAR1" + footer + struct.pack("<I", length) + b"PAR1"


def thrift_list_of_two_billion() -> bytes:
    # FileMetaData: version 1, then a list of schema elements that says it has 2^31 - 1 of them.
    footer = b"\x15\x02\x19\xfc\xff\xff\xff\xff\x07" + b"\0" * 200
    return parquet_with_a_footer(len(footer), footer)


def parquet_that_counts_one_row_more() -> bytes:
    content = parquet(pa.table({"a": list(range(100))}))
    # The number of rows, 100, stands before the list of row groups.
    assert content.count(b"\x16\xc8\x01\x19") == 1
    return content.replace(b"\x16\xc8\x01\x19", b"\x16\xca\x01\x19")


def parquet_with_broken_pages() -> bytes:
    content = bytearray(parquet(pa.table({"a": [str(number) for number in range(10_000)]}), compression="zstd"))
    content[60:4_000] = random.Random(1).randbytes(3_940)  # noqa: S311 - bytes, not secrets
    return bytes(content)


def parquet_of_one_value() -> bytes:
    column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(400_000, np.int8)), ["x"])
    columns = [column] * 100
    return parquet(pa.table(columns, names=[f"c{number}" for number in range(100)]), compression="zstd")


def parquet_page_of_a_gigabyte() -> bytes:
    size = 400 * MEGABYTE
    text = pa.StringArray.from_buffers(1, pa.py_buffer(struct.pack("<ii", 0, size)), pa.py_buffer(bytes(size)))
    return parquet(pa.table({"a": text}), compression="zstd", use_dictionary=False, write_statistics=False)


def workbook(sheet: str = "", texts: str = "", **parts: str) -> bytes:
    """A workbook of these parts, with the usual ones where none are given."""
    spreadsheet = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    members = {
        "[Content_Types].xml": "<Types/>",
        "xl/workbook.xml": f'<workbook xmlns="{spreadsheet}" xmlns:r="{relations}"><sheets>'
        '<sheet name="S" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}">'
        f'<Relationship Id="r1" Type="{relations}/worksheet" Target="worksheets/sheet1.xml"/>'
        f'<Relationship Id="r2" Type="{relations}/sharedStrings" Target="sharedStrings.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": sheet or f'<worksheet xmlns="{spreadsheet}"><sheetData/></worksheet>',
        "xl/sharedStrings.xml": texts or f'<sst xmlns="{spreadsheet}"/>',
    }
    return zipped({name: part.encode() for name, part in (members | parts).items()})


def laughs() -> str:
    entities = "".join(f'<!ENTITY l{number} "{f"&l{number - 1};" * 10}">' for number in range(1, 10))
    return f'<?xml version="1.0"?><!DOCTYPE sst [<!ENTITY l0 "ha">{entities}]><sst><si><t>&l9;</t></si></sst>'


def external_entity() -> str:
    entity = '<!DOCTYPE worksheet [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    return f'{entity}<worksheet><sheetData><row><c t="inlineStr"><is><t>&x;</t></is></c></row></sheetData></worksheet>'


def rows_of_cells(rows: int, columns: int) -> str:
    row = "<row>" + "<c><v>1</v></c>" * columns + "</row>"
    return "<worksheet><sheetData>" + row * rows + "</sheetData></worksheet>"


def a_cell_far_away() -> str:
    near = '<row r="1"><c r="A1"><v>1</v></c><c r="B1"><v>2</v></c></row>'
    return f'<worksheet><sheetData>{near}<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData></worksheet>'


def many_texts() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, part in _members(workbook()):
            if name != "xl/sharedStrings.xml":
                archive.writestr(name, part)
        with archive.open("xl/sharedStrings.xml", "w") as member:
            member.write(b"<sst>")
            chance = random.Random(2)  # noqa: S311 - bytes, not secrets
            for _ in range(100):
                text = chance.randbytes(MEGABYTE // 2).hex()
                member.write(
                    "".join(f"<si><t>{text[at : at + 1000]}</t></si>" for at in range(0, len(text), 1000)).encode()
                )
            member.write(b"</sst>")
    return out.getvalue()


def _members(content: bytes) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def good_workbook() -> bytes:
    out = io.BytesIO()
    with xlsxwriter.Workbook(out, {"in_memory": True}) as book:
        sheet = book.add_worksheet()
        for row in range(100):
            sheet.write_row(row, 0, [f"id{row}", f"name{row}", row])
    return out.getvalue()


ALL = (
    Hostile("gzip-bomb", "bomb", gzip_of_zeros),
    Hostile("zstd-bomb", "bomb", zstd_of_zeros),
    Hostile("zip-bomb", "bomb", lambda: zipped({"a.csv": LINES * 80})),
    Hostile("zstd-window", "bomb", zstd_with_a_window_of_two_gigabytes),
    Hostile(
        "zstd-truncated", "truncated-file", lambda: bytes(pa.compress(b"a,b\n1,2\n" * 999, "zstd", asbytes=True))[:-3]
    ),
    Hostile(
        "zstd-garbage", "damaged-file", lambda: bytes(pa.compress(b"a,b\n1,2\n", "zstd", asbytes=True)) + b"garbage"
    ),
    Hostile("zip-in-zip", "unsupported-format", lambda: zipped({"a.zip": zipped({"a.csv": b"a,b\n1,2\n"})})),
    Hostile("gzip-in-zip", "unsupported-format", lambda: zipped({"a.gz": gzip_of_zeros()})),
    Hostile("zip-lies", "damaged-file", zip_that_lies_about_its_size),
    Hostile("zip-promises", "damaged-file", zip_that_promises_more_than_it_has),
    Hostile("zip-many", "bomb", zip_of_many_members),
    Hostile("zip-two", "several-members", lambda: zipped({"a.csv": b"a\n1\n", "../../b.csv": b"a\n1\n"})),
    Hostile("zip-empty", "empty-file", lambda: zipped({})),
    Hostile("zip-truncated", "truncated-file", lambda: zipped({"a.csv": b"a,b\n" * 999})[:-30]),
    Hostile("line-of-text", "not-csv", lambda: one_long_line(b"x")),
    Hostile("line-of-commas", "not-csv", lambda: one_long_line(b",")),
    Hostile("unclosed-quote", None, quote_that_is_never_closed),
    Hostile("blank-lines", None, lambda: b"a,b\n1,2\n" + b"\n" * 500_000),
    Hostile("short-lines", None, lambda: b"a,b\n1,2\n" + b"x\n" * 150_000),
    Hostile("columns-csv", "too-many-columns", a_million_columns),
    Hostile("header-long", "header-too-long", lambda: b"x" * 100_000 + b",b\n1,2\n"),
    Hostile("nul-csv", "not-csv", lambda: b"a,b\n1,\0\n"),
    Hostile("nul-json", "not-csv", lambda: b'[{"a":"\0"}]'),
    Hostile("keys-json", "too-many-columns", objects_of_ever_new_keys),
    Hostile("object-json", "not-json", a_million_keys),
    Hostile("wide-json", "bomb", wide_objects_and_empty_ones),
    Hostile("string-json", "not-json", lambda: b'[{"a":"' + b"x" * (30 * MEGABYTE) + b'"}]'),
    Hostile("list-json", "not-json", array_of_small_things),
    Hostile("deep-array", "not-json", lambda: b"[" * (20 * MEGABYTE)),
    Hostile("deep-object", "truncated-file", lambda: b'{"a":' * 100_000),
    Hostile("deep-line", None, lambda: b'{"a":1}\n{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}\n"),
    Hostile("two-lists", "ambiguous-list", lambda: b'{"a":[{"x":1}],"b":[{"y":2}]}'),
    Hostile("half-array", "truncated-file", lambda: b'[{"a":1},{"a":2}'),
    Hostile("parquet-cut", "truncated-file", lambda: parquet(pa.table({"a": [1]}))[:-3]),
    Hostile("parquet-footer", "damaged-file", lambda: parquet_with_a_footer(2**31, b"\0" * 100)),
    Hostile("parquet-zeros", "damaged-file", lambda: parquet_with_a_footer(100, b"\0" * 100)),
    Hostile("parquet-thrift", "damaged-file", thrift_list_of_two_billion),
    Hostile("parquet-rows", "damaged-file", parquet_that_counts_one_row_more),
    Hostile("parquet-pages", "damaged-file", parquet_with_broken_pages),
    Hostile("parquet-page", "bomb", parquet_page_of_a_gigabyte),
    Hostile("parquet-value", "bomb", parquet_of_one_value),
    Hostile("parquet-columns", "too-many-columns", lambda: parquet(pa.table({f"c{n}": [1] for n in range(5_000)}))),
    Hostile("parquet-bytes", "binary-column", lambda: parquet(pa.table({"a": [b"\xff\xfe"]}))),
    Hostile("xlsx-laughs", "unsafe-workbook", lambda: workbook(texts=laughs())),
    Hostile("xlsx-entity", "unsafe-workbook", lambda: workbook(sheet=external_entity())),
    Hostile("xlsx-deep", "unsafe-workbook", lambda: workbook(sheet="<worksheet>" + "<a>" * 1_000_000)),
    Hostile("xlsx-tag", "unsafe-workbook", lambda: workbook(sheet=f'<worksheet a="{"x" * (20 * MEGABYTE)}"/>')),
    Hostile("xlsx-texts", "workbook-too-large", many_texts),
    Hostile("xlsx-cells", None, lambda: workbook(sheet=rows_of_cells(300, 1_500))),
    Hostile("xlsx-far", "too-many-columns", lambda: workbook(sheet=a_cell_far_away())),
    Hostile("xlsx-xml", "damaged-file", lambda: workbook(sheet="<worksheet><sheetData></row>")),
    Hostile("xlsx-pointer", "damaged-file", lambda: workbook(sheet=rows_of_cells(3, 3).replace("<c>", '<c t="s">'))),
    Hostile("xlsx-cut", "truncated-file", lambda: good_workbook()[:-100]),
    Hostile("xlsx-none", "unknown-sheet", workbook),
    Hostile("docx", "unsupported-format", lambda: zipped({"[Content_Types].xml": b"", "word/document.xml": b""})),
)
