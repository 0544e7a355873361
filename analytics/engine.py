"""Opens the Parquet files of a dataset's version as Ibis tables: DuckDB in this process."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One version of one dataset: the files that hold exactly its rows.

    Attributes:
        dataset: canonical name.
        version: the Delta table's version.
        files: paths or object-store addresses of the Parquet files. Older files may lack columns that were added later.
        row_count: rows in all files together.
    """

    dataset: str
    version: int
    files: tuple[str, ...]
    row_count: int
