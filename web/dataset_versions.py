"""Versions of datasets as callers name them: looked up, and refused where there is none or it is gone."""

import uuid

from sqlalchemy.orm import Session

from models import dataset
from models.dataset import DatasetVersion, Made
from web import problem_types, problems


def readable(db: Session, organisation_id: uuid.UUID, name: str, *, number: int, pointer: str) -> Made:
    """Return a version that can still be read.

    Raises:
        problems.Problem: there is no such version, or it is gone.
    """
    found = dataset.find(db, organisation_id, name, version=number)
    if found is None:
        raise unknown(db, organisation_id, name, number=number, pointer=pointer)
    if found.version.gone_at is not None:
        raise gone(found.version, pointer=pointer)
    return found


def unknown(db: Session, organisation_id: uuid.UUID, name: str, *, number: int, pointer: str) -> problems.Problem:
    newest = dataset.newest(db, organisation_id, name)
    where = f"the newest is {newest.version.version}" if newest is not None else "it has never been imported"
    detail = f"There is no version {number} of {name}; {where}."
    return problems.Problem(
        problem_types.UNKNOWN_DATASET_VERSION,
        detail,
        errors=[problems.FieldError(pointer, "unknown-dataset-version", detail)],
    )


def gone(version: DatasetVersion, *, pointer: str) -> problems.Problem:
    detail = (
        f"Version {version.version} of {version.dataset} is no longer kept, since {version.gone_at:%Y-%m-%dT%H:%M:%SZ}. "
        f"GET /v1/datasets/{version.dataset}/versions lists those that are."
    )
    return problems.Problem(
        problem_types.DATASET_VERSION_GONE,
        detail,
        errors=[problems.FieldError(pointer, "dataset-version-gone", detail)],
    )
