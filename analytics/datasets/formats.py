"""Which format a file has, told by what it begins with; what the caller declared must agree."""

import codecs
import re

from analytics import errors
from analytics.datasets import options, packing, source

SUPPORTED = ("CSV", "TSV", "NDJSON", "JSON", "XLSX", "Parquet", "each of them also packed with gzip, zstd or zip")
PARQUET_MAGIC = b"PAR1"
# What other files begin with, and what can be done about each.
OTHERS = {
    b"PARE": ("encrypted Parquet", "Write it without encryption."),
    b"%PDF": ("PDF", "Export the data behind it as CSV."),
    b"\xd0\xcf\x11\xe0": ("old Excel (XLS), or Excel with a password", "Save it in Excel as XLSX without a password."),
    b"BZh": ("bzip2", "Pack it with gzip, zstd or zip instead."),
    b"\xfd7zXZ": ("xz", "Pack it with gzip, zstd or zip instead."),
    b"7z\xbc\xaf": ("7z", "Pack it with gzip, zstd or zip instead."),
    b"Rar!": ("RAR", "Pack it with gzip, zstd or zip instead."),
    b"Obj\x01": ("Avro", "Export it as Parquet or NDJSON."),
    b"ORC": ("ORC", "Export it as Parquet."),
    b"ARROW1": ("Arrow", "Write it as Parquet."),
    b"SQLite format 3": ("SQLite", "Export the table as CSV."),
    b"\x89PNG": ("a picture", "Export the data as CSV."),
    b"\xff\xd8\xff": ("a picture", "Export the data as CSV."),
}
PACKED = {packing.GZIP_MAGIC: "gzip", packing.ZSTD_MAGIC: "zstd"}
MARKUP = (b"<!doctype", b"<html", b"<?xml", b"<table")
JSON = re.compile(r'\s*(\{\s*["}]|\[\s*[\[{\]]|\{\s*$|\[\s*$)')


def find(packed: packing.Packed, declared: options.FileFormat) -> options.FileFormat:
    """The format of a file; `json` may still turn out to be NDJSON, and `csv` any delimiter's.

    Raises:
        errors.Refusal: `empty-file`, `unsupported-format`, `format-mismatch`.
    """
    head = packed.head()
    if not head:
        raise errors.Refusal("empty-file", "The file is empty.")
    found = _found(head, packed)
    if declared is options.FileFormat.AUTO or _agree(found, declared):
        return found if declared is options.FileFormat.AUTO else declared
    raise errors.Refusal(
        "format-mismatch",
        f"The file was declared to be {declared.upper()}, but it is {_NAMES[found]}. Leave `format` out, or say what it is.",
        {"declared": str(declared), "found": str(found)},
    )


_NAMES = {
    options.FileFormat.CSV: "text such as CSV",
    options.FileFormat.JSON: "JSON",
    options.FileFormat.XLSX: "XLSX",
    options.FileFormat.PARQUET: "Parquet",
}
_AGREEING = {
    options.FileFormat.CSV: {options.FileFormat.CSV, options.FileFormat.TSV},
    options.FileFormat.JSON: {options.FileFormat.JSON, options.FileFormat.NDJSON},
}


def _agree(found: options.FileFormat, declared: options.FileFormat) -> bool:
    return declared in _AGREEING.get(found, {found})


def _found(head: bytes, packed: packing.Packed) -> options.FileFormat:
    if head.startswith(PARQUET_MAGIC):
        return options.FileFormat.PARQUET
    if head.startswith((packing.ZIP_MAGIC, packing.EMPTY_ZIP_MAGIC)):
        if packed.compression == "zip" and not _may_be_workbook(head):
            _refuse("a zip file within a zip file", "Send the innermost file.")
        return options.FileFormat.XLSX
    for magic, name in PACKED.items():
        if head.startswith(magic):
            _refuse(f"{name} within {packed.compression}", "Pack it once.")
    for magic, (name, advice) in OTHERS.items():
        if head.startswith(magic):
            _refuse(name, advice)
    text = _text(head)
    start = text.lstrip()[:64].lower().encode()
    if start.startswith(MARKUP):
        _refuse("HTML or XML", "Open it in a spreadsheet program and save it as XLSX or CSV.")
    return options.FileFormat.JSON if JSON.match(text) else options.FileFormat.CSV


def _may_be_workbook(head: bytes) -> bool:
    """Whether an office document is likely; the workbook's reader makes sure."""
    return any(name in head for name in (b"[Content_Types].xml", b"_rels/.rels", b"xl/", b"docProps/", b"mimetype"))


def _text(head: bytes) -> str:
    encoding = source.encoding_by_mark(head)
    return codecs.decode(head, encoding, "replace")


def _refuse(name: str, advice: str) -> None:
    raise errors.Refusal(
        "unsupported-format",
        f"The file is {name}. {advice} What can be imported is {', '.join(SUPPORTED)}.",
        {"format": name, "supported": list(SUPPORTED)},
    )
