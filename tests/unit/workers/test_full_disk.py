"""A full disk is never a job's own fault, whichever library meets it."""

import errno
import os

import deltalake.exceptions
import duckdb
import pytest

from workers import errors

WORDS = os.strerror(errno.ENOSPC)


def test_what_duckdb_says_of_a_full_disk() -> None:
    with pytest.raises(duckdb.IOException) as full, duckdb.connect(":memory:") as connection:
        # A device that is always full; a CSV file is written to it in place.
        connection.execute("COPY (SELECT range FROM range(100000)) TO '/dev/full' (FORMAT csv, USE_TMP_FILE false)")
    assert errors.is_interruption(full.value)


@pytest.mark.parametrize("kind", [deltalake.exceptions.DeltaError, deltalake.exceptions.CommitFailedError, OSError])
def test_what_delta_says_of_a_full_disk(kind: type[Exception]) -> None:
    assert errors.is_interruption(kind(f"Generic LocalFileSystem error: Unable to copy data to file: {WORDS}"))


@pytest.mark.parametrize(
    "error",
    [
        duckdb.IOException("No files found that match the pattern"),
        duckdb.ConversionException(f"Could not convert string '{WORDS}' to INT64"),
        ValueError(WORDS),
        OSError("Generic LocalFileSystem error: File name too long"),
        OSError(errno.ENOENT, os.strerror(errno.ENOENT)),
    ],
)
def test_other_errors_count_even_if_they_quote_its_words(error: Exception) -> None:
    assert not errors.is_interruption(error)
