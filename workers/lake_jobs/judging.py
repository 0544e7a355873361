"""What warnings about the values of a file are judged by: the day, and what the organisation has beside it."""

import datetime as dt
from typing import TYPE_CHECKING

from workers.lake_jobs import committing
from workers.running_job import RunningJob

if TYPE_CHECKING:
    from analytics.datasets import remarks


def known(job: RunningJob, dataset: str) -> "remarks.Known":
    """Return the day, and the datasets that rows of this one refer to, as they are now."""
    from analytics.datasets import references, remarks  # noqa: PLC0415 - heavy
    from models import lake_cache  # noqa: PLC0415 - heavy

    tables = {name: committing.open_table(job, name) for name in references.datasets_referred_to(dataset)}
    versions = {name: table.snapshot() for name, table in tables.items()}
    others = {
        name: lake_cache.local_files(tables[name], version) for name, version in versions.items() if version is not None
    }
    return remarks.Known(dt.datetime.now(dt.UTC).date(), others)
