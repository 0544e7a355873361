"""Opens a file as batches of text, whatever its format and compression: the one entrance for all who read files."""

from collections.abc import Sequence
from pathlib import Path

from analytics import errors
from analytics.datasets import (
    batches,
    delimited,
    formats,
    json_reader,
    options,
    packing,
    parquet_reader,
    source,
    xlsx_reader,
)

# The words that files use for no value. `NA` is one too, but not in a column of countries: see `wording`.
NULL_WORDS = (
    "",
    "NULL",
    "null",
    "Null",
    "NaN",
    "nan",
    "NAN",
    "N/A",
    "n/a",
    "#N/A",
    "#NULL!",
    "None",
    "none",
    "NIL",
    "nil",
    "NaT",
    "<NA>",
    "<null>",
    "(null)",
    "[NULL]",
    "\\N",
    "-",
    "--",
)


def open_reader(  # noqa: PLR0913 - a file, how it is to be read, and what may be used
    path: Path,
    *,
    format: options.FileFormat,  # noqa: A002 - it is the name of the option
    null_values: Sequence[str],
    progress: packing.Progress,
    limits: packing.Limits | None = None,
    sheet: str | None = None,
    scratch: Path | None = None,
) -> batches.TextReader:
    """Find out what a file is and read its header.

    `sheet` is the name of a workbook's sheet; `scratch` a folder for files that have to be unpacked before they are read,
    which go with the reader.

    Raises:
        errors.Refusal: the file cannot be read as a table.
    """
    packed = packing.Packed(path, limits=limits or packing.Limits())
    found = formats.find(packed, format)
    null_words = (*NULL_WORDS, *null_values)
    if sheet is not None and found is not options.FileFormat.XLSX:
        raise errors.Refusal(
            "unknown-sheet",
            f"The file has no sheets, so there is none called {sheet!r}.",
            {"sheet": sheet, "sheets": []},
        )
    match found:
        case options.FileFormat.JSON | options.FileFormat.NDJSON:
            lines = found is options.FileFormat.NDJSON
            return json_reader.JsonReader(packed, lines=lines, null_words=null_words, progress=progress)
        case options.FileFormat.PARQUET:
            return parquet_reader.ParquetReader(packed, null_words=null_words, progress=progress, scratch=scratch)
        case options.FileFormat.XLSX:
            return xlsx_reader.XlsxReader(
                packed, sheet=sheet, null_words=null_words, progress=progress, scratch=scratch
            )
        case _:
            text = source.TextSource(packed, progress=progress)
            delimiter = "\t" if found is options.FileFormat.TSV else None
            return delimited.DelimitedReader(text, delimiter=delimiter, null_words=null_words)
