"""Reads files in a process of its own and says of each how it ended, how long it took and how much memory."""

import gc
import json
import sys
import time
from pathlib import Path

import pyarrow as pa

from analytics import errors
from analytics.datasets import options, reading


def peak_megabytes() -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def read(path: Path) -> tuple[str | None, int, int]:
    """Return the code of the refusal if there was one, and how many rows and rejects there were."""
    rows = rejects = 0
    try:
        reader = reading.open_reader(
            path, format=options.FileFormat.AUTO, null_values=(), progress=lambda _done, _total: None
        )
        for parse in reader.read():
            batch = parse()
            rows, rejects = rows + batch.rows.num_rows, rejects + batch.rejects.num_rows
    except errors.Refusal as refusal:
        return refusal.code, rows, rejects
    return None, rows, rejects


def main() -> None:
    for path in map(Path, sys.argv[1:]):
        # The peak is counted anew for each file, without what is only kept for the next.
        gc.collect()
        pa.default_memory_pool().release_unused()
        Path("/proc/self/clear_refs").write_text("5")
        began = time.monotonic()
        code, rows, rejects = read(path)
        found: dict[str, object] = {"code": code, "rows": rows, "rejects": rejects}
        found |= {"seconds": time.monotonic() - began, "megabytes": peak_megabytes()}
        sys.stdout.write(json.dumps({path.name: found}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
