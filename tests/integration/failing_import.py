"""Runs one import job in a process of its own, as a worker's child does, and lets it fail in a way whose words quote the data.

Started by test_logs.py with the job's id and the name of a way.
"""

import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa
from billiard import process

from analytics.datasets import importing
from models import session, settings
from tasks import imports
from workers import logs, runtime


def quote_in_duckdb(upload: Path, **_: Any) -> None:
    question = f"SELECT CAST(amount AS INTEGER) FROM read_csv('{upload}', all_varchar = true)"
    duckdb.connect().execute(question).fetchall()


def quote_in_arrow(upload: Path, **_: Any) -> None:
    pa.array([_secret(upload)]).cast(pa.int64())


def quote_in_pandas(upload: Path, **_: Any) -> None:
    pd.DataFrame({"a": [1]})[_secret(upload)]


def quote_in_parameters(upload: Path, **_: Any) -> None:
    with session.transaction() as db:
        db.execute(sa.text("SELECT CAST(:value AS integer)"), {"value": _secret(upload)})


def quote_in_detail_of_postgresql(upload: Path, **_: Any) -> None:
    with session.transaction() as db:
        for _attempt in range(2):
            db.execute(
                sa.text("INSERT INTO organisations (id, name) VALUES (gen_random_uuid(), :n)"), {"n": _secret(upload)}
            )


def quote_in_cause(upload: Path, **_: Any) -> None:
    try:
        int(_secret(upload))
    except ValueError as error:
        raise ExceptionGroup(_secret(upload), [error, RuntimeError(_secret(upload))]) from error


def quote_in_warning(upload: Path, **_: Any) -> None:
    warnings.warn(f"cannot read {_secret(upload)}", stacklevel=1)
    raise RuntimeError(_secret(upload))


def quote_in_thread(upload: Path, **_: Any) -> None:
    thread = threading.Thread(target=int, args=(_secret(upload),), name="helper")
    thread.start()
    thread.join()
    raise RuntimeError(_secret(upload))


def _secret(upload: Path) -> str:
    return upload.read_text().splitlines()[1].split(",")[-1]


WAYS: dict[str, Callable[..., None]] = {
    name.removeprefix("quote_in_"): way for name, way in list(globals().items()) if name.startswith("quote_in_")
}


def main(job_id: str, way: str) -> None:
    # The place in the pool that Celery gives to a child.
    process.current_process().index = 0
    logs.configure()
    if way == "past_the_runtime":

        def claim(_job_id: object) -> None:
            quote_in_arrow(next(path for path in _uploads() if path.name == job_id))

        runtime._claim = claim  # type: ignore[assignment]
        imports.run.apply(args=[job_id], task_id=job_id)
        return
    if way in WAYS:
        importing.stage = WAYS[way]  # type: ignore[assignment]
    imports.run(job_id)


def _uploads() -> list[Path]:
    return list(settings.load().upload_folder.iterdir())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
