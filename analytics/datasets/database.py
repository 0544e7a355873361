"""The DuckDB in which a file is understood and merged with a table: in bounded memory, spilling what does not fit."""

from pathlib import Path

import duckdb

# DuckDB gets no more however much it might have: a child is to stay under 700 MB whatever the size of the file, and
# what does not fit is spilled at little cost.
MOST_MEMORY = "350MB"


def connect(folder: Path, *, memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """Open a database of its own; `folder` is for what does not fit into `memory`."""
    spill = folder / "spill"
    connection = duckdb.connect(
        ":memory:",
        config={
            "memory_limit": memory,
            "threads": threads,
            "temp_directory": str(spill),
            # Rows carry their line, so their order in between is free and need not be kept in memory.
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
        },
    )
    connection.execute("SET TimeZone = 'UTC'")
    allowed = connection.execute(
        "SELECT least(parse_formatted_bytes($1), parse_formatted_bytes($2))", [memory, MOST_MEMORY]
    )
    connection.execute(f"SET memory_limit = '{(allowed.fetchone() or (0,))[0]}B'")
    return connection
