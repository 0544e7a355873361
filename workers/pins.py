"""Which versions of which datasets a report reads. Who submits a report, and who runs one again, ask here."""

import uuid

from sqlalchemy.orm import Session

from analytics.catalogue.report_type import Needs
from models import dataset
from models.dataset import DatasetVersion, Made, Size
from workers.field_errors import FieldError
from workers.refusals import RefusedError, Why


def newest(session: Session, organisation_id: uuid.UUID, needs: Needs) -> dict[str, Size]:
    """Return the newest version of each dataset that a question may read and the organisation has."""
    have = dataset.current_sizes(session, organisation_id)
    return {name: have[name] for name in needs.all if name in have}


def readable(session: Session, organisation_id: uuid.UUID, name: str, *, number: int, pointer: str) -> Made:
    """Return a version, named by a caller, that can still be read.

    Raises:
        refusals.RefusedError: there is no such version, or it is gone; it points to where the caller named it.
    """
    found = dataset.find(session, organisation_id, name, version=number)
    if found is None:
        raise unknown(session, organisation_id, name, number=number, pointer=pointer)
    if found.version.gone_at is not None:
        raise _gone(found.version, pointer=pointer)
    return found


def unknown(session: Session, organisation_id: uuid.UUID, name: str, *, number: int, pointer: str) -> RefusedError:
    newest = dataset.newest(session, organisation_id, name)
    where = f"the newest is {newest.version.version}" if newest is not None else "it has never been imported"
    detail = f"There is no version {number} of {name}; {where}."
    errors = [FieldError(pointer, "unknown-dataset-version", detail)]
    return RefusedError(Why.UNKNOWN_DATASET_VERSION, detail, errors=errors)


def _gone(version: DatasetVersion, *, pointer: str) -> RefusedError:
    detail = (
        f"Version {version.version} of {version.dataset} is no longer kept, since {version.gone_at:%Y-%m-%dT%H:%M:%SZ}. "
        f"GET /v1/datasets/{version.dataset}/versions lists those that are."
    )
    errors = [FieldError(pointer, "dataset-version-gone", detail)]
    return RefusedError(Why.DATASET_VERSION_GONE, detail, errors=errors)
