"""Tells what alerts would say of a schedule's newest result; nothing is kept or told."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from models import rendering_scratch
from models.alert_runs import KeptRun
from models.base import Json
from models.schedule import Schedule
from web import alert_child, errors, problem_types, problems, render_pool, result_files, result_stream
from web import alert_schemas as shapes


def of_runs(declared: Sequence[Json], runs: Sequence[KeptRun], *, zone: str) -> shapes.AlertPreview:
    """Say what alerts would say of the first of these runs, seen after the second, if there is one.

    Raises:
        problems.Problem: a result was removed while it was being read, or there is no room.
    """
    this, *earlier = runs
    before = earlier[0] if earlier else None
    found = _in_a_process(declared, this, before, zone=zone) if declared else []
    return shapes.AlertPreview(
        run=_run(this),
        before=None if before is None else _run(before),
        alerts=[shapes.TriedAlert.model_validate(one) for one in found],
    )


def no_run(schedule: Schedule) -> problems.Problem:
    detail = (
        f"No result of {schedule.name!r} is kept to try alerts on. Run it first; with `deliver: false` nobody gets it."
    )
    return problems.Problem(problem_types.NO_RUN, detail, facts={"schedule_id": str(schedule.id)})


def _run(kept: KeptRun) -> shapes.TriedRun:
    return shapes.TriedRun(due_at=kept.due_at, job_id=kept.job.id)


def _in_a_process(
    declared: Sequence[Json], this: KeptRun, before: KeptRun | None, *, zone: str
) -> list[dict[str, Any]]:
    try:
        with rendering_scratch.folder() as folder:
            sides = [None if run is None else _side(run, folder / part) for part, run in (("a", this), ("b", before))]
            return render_pool.file_pool().run(alert_child.preview, declared, *sides, zone)
    except result_stream.ResultVanishedError as error:
        detail = "A result was removed while it was being read. Ask again."
        raise problems.Problem(problem_types.RESULT_EXPIRED, detail) from error
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full.") from error
        raise


def _side(run: KeptRun, folder: Path) -> alert_child.Side:
    """Put a result where the process finds it."""
    folder.mkdir()
    header = run.stored.header
    whole = {**header, "row_count": run.stored.row_count, "params": {**run.job.params, **(header.get("params") or {})}}
    return alert_child.Side(whole, [str(piece) for piece in result_files.write_chunks(run.stored, folder)], run.due_at)
