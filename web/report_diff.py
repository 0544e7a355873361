"""Two runs of a report beside one another: what has changed in the question, the data, the summary and the rows."""

import uuid
from pathlib import Path
from typing import Any

from models import rendering_scratch
from models.job import Job
from models.job_states import JobKind
from models.result import StoredResult
from web import (
    catalogue_schemas,
    errors,
    job_object,
    job_views,
    problem_types,
    problems,
    render_child,
    render_pool,
    result_files,
    results,
)


def make(this: Job, against_id: uuid.UUID, *, limit: int) -> catalogue_schemas.ReportDiff:
    """Compare a report with another run of the same type.

    Raises:
        problems.Problem: there is no such run, one of them has no result, or they cannot be compared.
    """
    against = job_views.find(str(against_id), JobKind.REPORT)
    if against.type != this.type:
        detail = f"This is {this.type}, and {against_id} is {against.type}."
        raise problems.Problem(problem_types.NOT_COMPARABLE, detail)
    stored = (results.stored_result(this), results.stored_result(against))
    same = stored[0].sha256 == stored[1].sha256
    found = _compare(stored, limit=limit)
    return catalogue_schemas.ReportDiff(
        type=this.type,
        same=same,
        this=_run(this, stored[0]),
        against=_run(against, stored[1]),
        **found,
    )


def _run(job: Job, stored: StoredResult) -> catalogue_schemas.DiffRun:
    return catalogue_schemas.DiffRun(
        id=job.id,
        finished_at=job.finished_at,
        version=stored.header["version"],
        dataset_versions=job.dataset_versions or {},
        row_count=stored.row_count,
        links={"self": job_object.address(job), "result": f"{job_object.address(job)}/result"},
    )


def _compare(stored: tuple[StoredResult, StoredResult], *, limit: int) -> dict[str, Any]:
    try:
        with rendering_scratch.folder() as folder:
            sides = [_side(one, folder / str(at)) for at, one in enumerate(stored)]
            found: dict[str, Any] = render_pool.file_pool().run(render_child.compare, *sides, limit, str(folder))
            return found
    except render_child.NotComparableError as error:
        raise problems.Problem(problem_types.NOT_COMPARABLE, f"{error}.") from error
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full.") from error
        raise


def _side(stored: StoredResult, folder: Path) -> render_child.Side:
    folder.mkdir()
    pieces = result_files.write_chunks(stored, folder)
    return stored.header, [str(piece) for piece in pieces]
