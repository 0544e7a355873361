"""Delivers a report as a file: written beside its place and moved there whole, or put into an object store at once."""

import os
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from analytics.catalogue.row_filters import UnfitError
from models import rendering_scratch, settings
from models.deliveries import Attempted
from models.delivery import Delivery
from workers.deliveries import folders, rendering
from workers.deliveries.rendering import GoneError, Report

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

# Stores that PyArrow speaks to itself, with the machine's own credentials.
OF_ARROW = frozenset({"s3", "gs", "gcs"})


def send(delivery: Delivery) -> Attempted:
    """Make one attempt. A second one writes the same bytes under the same name."""
    try:
        report = rendering.load(delivery)
        name = folders.name(str(delivery.target["name"]), fields(delivery, report))
        with rendering_scratch.folder() as scratch:
            file = rendering.copied(report, str(delivery.target["format"]), scratch)
            _put(delivery, file, name)
    except rendering.EmptyError:
        return rendering.SKIPPED
    except (GoneError, folders.RefusedError, UnfitError) as error:
        return Attempted(succeeded=False, error=str(error), permanent=True)
    except (OSError, ImportError) as error:
        return Attempted(succeeded=False, error=f"It could not be written: {type(error).__name__}: {error}")
    return Attempted(succeeded=True)


def fields(delivery: Delivery, report: Report) -> dict[str, str]:
    """Return what the fields of a file's name stand for; the same at every attempt."""
    finished = report.job.finished_at or delivery.created_at
    return {
        "type": report.job.type,
        "date": f"{finished:%Y-%m-%d}",
        "time": f"{finished:%H%M%S}",
        "id": str(report.job.id),
        "schedule": str(delivery.schedule_id or "none"),
    }


def _put(delivery: Delivery, file: Path, name: str) -> None:
    roots, url = settings.load().delivery_roots, str(delivery.target["url"])
    # Judged again: the settings may have changed since it was asked for.
    url = folders.parse(url, roots=roots, organisation_id=delivery.organisation_id)
    if folders.is_local(url):
        folder = folders.local_folder(url, roots=roots, organisation_id=delivery.organisation_id)
        _move_in(file, folder / name, mark=str(delivery.id))
    else:
        store, path = _store(url)
        store.put_file(str(file), f"{path}/{name}")


def _move_in(file: Path, target: Path, *, mark: str) -> None:
    """Copy beside the target and rename: whoever looks sees the whole file or none."""
    beside = target.with_name(f".{target.name}.{mark}.part")
    with file.open("rb") as source, beside.open("wb") as copy:
        while block := source.read(1 << 20):
            copy.write(block)
        copy.flush()
        os.fsync(copy.fileno())
    beside.replace(target)
    descriptor = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _store(url: str) -> "tuple[AbstractFileSystem, str]":
    import fsspec.core  # noqa: PLC0415 - only who delivers into object stores needs it

    if urlsplit(url).scheme not in OF_ARROW:
        store, place = fsspec.core.url_to_fs(url)
        return store, str(place)
    import pyarrow.fs  # noqa: PLC0415 - heavy
    from fsspec.implementations.arrow import ArrowFSWrapper  # noqa: PLC0415 - as above

    filesystem, path = pyarrow.fs.FileSystem.from_uri(url)
    return ArrowFSWrapper(filesystem), path
