"""Opens a file as batches of text, whatever its format. Other formats join here: they need only be a `TextReader`."""

from collections.abc import Sequence
from pathlib import Path

from analytics.datasets import batches, delimited, options, source

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


def open_reader(
    path: Path,
    *,
    format: options.FileFormat,  # noqa: A002 - it is the name of the option
    null_values: Sequence[str],
    progress: source.Progress,
    limits: source.Limits | None = None,
) -> batches.TextReader:
    """Find out what a file is and read its header.

    Raises:
        errors.Refusal: the file cannot be read as a table.
    """
    text = source.TextSource(path, limits=limits or source.Limits(), progress=progress)
    delimiter = "\t" if format is options.FileFormat.TSV else None
    return delimited.DelimitedReader(text, delimiter=delimiter, null_words=(*NULL_WORDS, *null_values))
