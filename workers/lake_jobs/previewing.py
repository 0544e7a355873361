"""A preview: the file is read and planned as an import would, on the table as it is, and nothing is written."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

from analytics.datasets import options
from models import settings
from models.base import Json
from workers.lake_jobs import committing, judging
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from analytics.datasets import importing, previewing


def run(job: RunningJob) -> None:
    """Say what an import of the job's file would do. The file stays where it is, so that it can be imported next."""
    job.check_cancelled()
    with job.scratch() as folder:
        found = _preview(job, folder)
    with job.finish() as final:
        final.outcome = {"preview": found}


def _preview(job: RunningJob, folder: Path) -> Json:
    from analytics.datasets import next_request, previewing  # noqa: PLC0415 - heavy

    asked = options.PreviewOptions.model_validate(job.params)
    made = previewing.make(job.upload_path, asked, _surroundings(job, folder))
    following = None
    if made.options is not None:
        following = next_request.compose(made.options, upload=str(job.id), filename=job.upload.get("filename"))
    whole = made.preview.model_copy(update={"next": following}).model_dump_json()
    # PostgreSQL keeps no NUL in JSON, and a header or a cell may have one.
    found: Json = json.loads(whole.replace("\\u0000", "\\ufffd"))
    return found


def _surroundings(job: RunningJob, folder: Path) -> "previewing.Surroundings":
    from analytics.datasets import previewing  # noqa: PLC0415 - heavy

    configured = settings.load()
    return previewing.Surroundings(
        folder=folder,
        table=lambda dataset: _table(job, dataset),
        known=lambda dataset: judging.known(job, dataset),
        progress=job.progress,
        memory=configured.engine_memory,
        threads=configured.engine_threads,
    )


def _table(job: RunningJob, dataset: str) -> "importing.CurrentTable | None":
    from analytics.datasets import importing  # noqa: PLC0415 - heavy
    from models import lake_cache  # noqa: PLC0415 - heavy

    table = committing.open_table(job, dataset)
    snapshot = table.snapshot()
    if snapshot is None:
        return None
    return importing.CurrentTable(lake_cache.local_files(table, snapshot), snapshot.schema)
