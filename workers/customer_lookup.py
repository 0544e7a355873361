"""Reading one customer out of the lake at pinned versions. It needs the heavy libraries, so it runs beside the web process."""

import uuid
from collections.abc import Mapping
from typing import Any

from models import settings

# The engine of a look-up is a guest on the machine of the web.
MEMORY = "512MB"


class LookupFailedError(RuntimeError):
    """The engine failed. Known here, because an error of its own would load the engine in the web process."""


class VersionGoneError(LookupError):
    """A version that was the newest a moment ago cannot be read any more."""


def look(organisation_id: str, versions: Mapping[str, int], customer_id: str, rows: int) -> list[dict[str, Any]]:
    """Return what each of these datasets holds of a customer, each with at most so many rows.

    Raises:
        VersionGoneError: one of the versions has been removed meanwhile.
        LookupFailedError: the engine failed.
    """
    import duckdb  # noqa: PLC0415 - heavy

    from analytics.datasets import customer_view  # noqa: PLC0415 - heavy
    from models import lake, lake_cache  # noqa: PLC0415 - heavy

    configured = settings.load()
    sources = []
    for name, version in versions.items():
        table = lake.open_table(configured.lake_location, organisation_id=str(uuid.UUID(organisation_id)), dataset=name)
        found = table.snapshot(version)
        if found is None:
            raise VersionGoneError(name)
        sources.append(customer_view.Source(name, lake_cache.local_files(table, found)))
    limits = customer_view.Limits(
        rows=rows, memory=MEMORY, threads=configured.engine_threads, spill=configured.spill_folder
    )
    try:
        return customer_view.look(sources, customer_id, limits)
    except duckdb.IOException as error:
        # A file has been swept away between the two looks.
        raise VersionGoneError(str(error)) from None
    except duckdb.Error as error:
        raise LookupFailedError(f"{type(error).__name__}: {error}") from None
