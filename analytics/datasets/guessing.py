"""Which dataset a file belongs to, from its headers alone."""

from collections.abc import Iterable
from pathlib import Path

from analytics import errors
from analytics.datasets import headers, options, reading, schemas


def guess_dataset(path: Path, *, among: Iterable[str]) -> str | None:
    """Return the first of these datasets whose required columns the file has; None where it has those of none.

    Raises:
        errors.Refusal: the file cannot be read as a table at all.
    """
    reader = reading.open_reader(
        path, format=options.FileFormat.AUTO, null_values=(), progress=lambda _done, _total: None, limits=None
    )
    for dataset in among:
        try:
            headers.map_headers(reader.headers, schemas.DATASETS[dataset], {})
        except errors.Refusal:
            continue
        return dataset
    return None
