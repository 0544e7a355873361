"""Bytes and cells that nobody meant: an import refuses them with a known code, or its rows add up. Nothing else ever happens.

The long run: `pytest tests/unit/datasets/test_fuzz.py --hypothesis-profile long --timeout 0`.
"""

import csv
import datetime as dt
import gzip
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import errors
from analytics.datasets import schemas
from tests.unit.datasets.conftest import Imported, Importer
from workers import job_problems

HEADERS = ("order_id", "customer_id", "ordered_at", "amount", "note")
ROWS = (
    ("1", "a", "2020-01-01", "1.50", 'says "hi", twice'),
    ("2", "b", "2020-01-02T10:00:00Z", "-2", "line\nbreak"),
    ("3", "", "31/12/2020", "(1,234.50)", "caf\u00e9 \u20ac"),
    ("4", "d", "2020-02-30", "", "\u3042"),
)
# What readers stumble over, put into the middle of good files.
TOKENS = (
    *(b"\0", b'"', b'""', b'"\n', b"\n", b"\r", b"\r\n\r\n", b",", b";", b"\t", b"|", b"'", b"\\", b"\xef\xbb\xbf"),
    *(
        b"\xff\xfe",
        b"\xfe\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\x1a",
        b"\x1b[2J",
        b"=1+1",
        b"<?xml",
        b"<html>",
        b"{",
        b"[",
        b"}]",
    ),
    *(
        b"PK\x03\x04",
        b"PAR1",
        b"\x1f\x8b",
        b"\x28\xb5\x2f\xfd",
        b"null",
        b"NaN",
        b"1e999",
        b"9" * 400,
        b"," * 300,
        b"\xa0",
    ),
)
NASTY = (
    *(
        "",
        " ",
        "\u200b",
        "-",
        "--",
        "NA",
        "NaN",
        "inf",
        "-0",
        "+",
        ".",
        ",",
        "()",
        "(1)",
        "1e5",
        "1e999",
        "0x1F",
        "1_000",
    ),
    *(
        "\u0663",
        "\u00bd",
        "1.2.3",
        "1,2,3",
        "1.234",
        "1,234",
        "1 234",
        "9" * 40,
        "0." + "1" * 40,
        "-" * 9,
        "\u22121",
        "\u00a312",
    ),
    *(
        "2020-02-30",
        "2020-13-01",
        "0000-00-00",
        "0001-01-01",
        "9999-12-31",
        "99999-01-01",
        "24:00",
        "2020-01-01T24:00:00Z",
    ),
    *(
        "2020-01-01T10:00:00+99:00",
        "2020-01-01 10:00 +02:00",
        "1/1/1",
        "31/12/2020",
        "12/31/2020",
        "31.12.20",
        "20200101",
    ),
    *(
        "1582979415",
        "15829794150000000",
        "-1582979415",
        "Feb 29, 2021",
        "29-Feb-20",
        "tomorrow",
        "true",
        "FALSE",
        "won",
    ),
    *(
        "a\nb",
        'a"b',
        "a\\b",
        "'; DROP TABLE x; --",
        "$name",
        "{v}",
        "%s",
        "\ufeff",
        "\U0001f600",
        "e\u0301",
        "A\u030a" * 50,
    ),
)


def as_csv(headers: Sequence[str], rows: Sequence[Sequence[str]], *, delimiter: str = ",") -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(headers)
    writer.writerows(rows)
    return out.getvalue().encode("utf-8", "surrogatepass")


def as_zip(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def as_parquet() -> bytes:
    out = io.BytesIO()
    columns = zip(*ROWS, strict=True)
    pq.write_table(pa.table(dict(zip(HEADERS, map(list, columns), strict=True))), out)
    return out.getvalue()


def as_workbook() -> bytes:
    """The smallest workbook that has rows: text within its cells, no styles."""
    office = "http://schemas.openxmlformats.org"
    main = f'xmlns="{office}/spreadsheetml/2006/main"'
    cell = '<c t="inlineStr"><is><t>{}</t></is></c>'
    rows = "".join(
        "<row>" + "".join(cell.format(text.replace("<", "&lt;")) for text in row) + "</row>" for row in (HEADERS, *ROWS)
    )
    relation = f"{office}/officeDocument/2006/relationships"
    members = {
        "[Content_Types].xml": f'<Types xmlns="{office}/package/2006/content-types"><Default Extension="rels" '
        'ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" '
        'ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{office}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{relation}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{relation}">'
        '<sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{office}/package/2006/relationships"><Relationship Id="r1" '
        f'Type="{relation}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>",
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


OBJECTS = [dict(zip(HEADERS, row, strict=True)) for row in ROWS]
PLAIN: Mapping[str, bytes] = {
    "csv": as_csv(HEADERS, ROWS),
    "semicolons": as_csv(HEADERS, ROWS, delimiter=";"),
    "tsv": as_csv(HEADERS, ROWS, delimiter="\t"),
    "utf-16": as_csv(HEADERS, ROWS).decode().encode("utf-16"),
    "ndjson": "\n".join(json.dumps(row) for row in OBJECTS).encode(),
    "json": json.dumps(OBJECTS, ensure_ascii=False).encode(),
    "parquet": as_parquet(),
    "xlsx": as_workbook(),
}
PACKED: Mapping[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "zstd": lambda content: pa.compress(content, codec="zstd", asbytes=True),
    "zip": lambda content: as_zip("export.csv", content),
}


@st.composite
def mutated(draw: st.DrawFn, content: bytes) -> bytes:
    """A file that was good until something happened to it, a few times."""
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 40)))
        put = draw(st.sampled_from([b"", content[start:end] * 2, *TOKENS]) | st.binary(max_size=8))
        content = content[:start] + put + content[end:]
    return content


@st.composite
def damaged_files(draw: st.DrawFn) -> bytes:
    content = draw(mutated(PLAIN[draw(st.sampled_from(sorted(PLAIN)))]))
    packed = PACKED[draw(st.sampled_from(sorted(PACKED)))](content)
    return draw(mutated(packed)) if draw(st.booleans()) else packed


def check_refusal(refusal: errors.Refusal) -> None:
    assert refusal.code in job_problems.BY_SLUG
    assert refusal.detail
    json.dumps(refusal.data, allow_nan=False)


def outcome(importer: Importer, content: bytes, **said: object) -> Imported | errors.Refusal:
    """The import, checked; or why it was refused, which must be one of the reasons that people are told."""
    try:
        found = importer(content, **said)
    except errors.Refusal as refusal:
        check_refusal(refusal)
        return refusal
    read, inserted, updated, unchanged, rejected = found.counts
    assert read == inserted + updated + unchanged + rejected
    assert len(found.rows) == inserted
    assert len(found.rejects) == rejected == sum(found.change.rejects_by_code.values())
    return found


def fuzzed(share: int) -> settings:
    """So large a part of the examples of the profile that runs: of 100 in a test run, of many in a long one."""
    return settings(
        max_examples=max(1, settings().max_examples * share // 100),
        deadline=dt.timedelta(seconds=20),
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
    )


@fuzzed(20)
@given(content=st.binary(min_size=1, max_size=600), dataset=st.sampled_from(sorted(schemas.DATASETS)))
def test_arbitrary_bytes(importer: Importer, content: bytes, dataset: str) -> None:
    outcome(importer, content, dataset=dataset)


@fuzzed(60)
@given(content=damaged_files())
def test_files_to_which_something_happened(importer: Importer, content: bytes) -> None:
    outcome(importer, content, dataset="orders")


CELLS = st.one_of(st.sampled_from(NASTY), st.text(max_size=12), st.from_regex(r"\A[-+(0-9.,/: TZ)]{0,20}\Z"))


@st.composite
def tables(draw: st.DrawFn) -> tuple[str, bytes]:
    """A well-formed file for any dataset, with all of its columns and two more, in which anything may be written."""
    dataset = draw(st.sampled_from(sorted(schemas.DATASETS)))
    headers = [*(column.name for column in schemas.DATASETS[dataset].columns), "further", "Further more"]
    rows = draw(st.lists(st.lists(CELLS, min_size=len(headers), max_size=len(headers)), min_size=1, max_size=4))
    return dataset, as_csv(headers, rows)


@fuzzed(8)
@given(
    table=tables(),
    decimal=st.sampled_from([None, ".", ","]),
    date_format=st.sampled_from([None, "DMY", "MDY", "%d %B %Y %H:%M"]),
    timezone=st.sampled_from(["UTC", "Europe/London", "America/St_Johns", "Pacific/Apia"]),
)
def test_arbitrary_cells(
    importer: Importer, table: tuple[str, bytes], decimal: str | None, date_format: str | None, timezone: str
) -> None:
    dataset, content = table
    first = outcome(importer, content, dataset=dataset, decimal=decimal, date_format=date_format, timezone=timezone)
    if isinstance(first, errors.Refusal):
        return
    again = importer(content, into=first, dataset=dataset, decimal=decimal, date_format=date_format, timezone=timezone)
    assert again.counts[1:3] == (0, again.counts[2]), "what was imported once is known"
    assert again.rows == first.rows


def test_the_good_files_are_good(importer: Importer) -> None:
    """Otherwise the mutations would only ever be refused for one and the same reason."""
    found = outcome(importer, PLAIN["csv"], dataset="orders")
    assert isinstance(found, Imported)
    assert found.counts == (4, 2, 0, 0, 2)
