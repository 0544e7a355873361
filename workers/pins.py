"""Which versions of which datasets a report reads. Both who submits a report and who runs one again ask here."""

import uuid
from collections.abc import Collection

from sqlalchemy.orm import Session

from analytics.catalogue.report_type import ReportType
from models import dataset
from models.dataset import Size


def datasets_read(kind: ReportType) -> list[str]:
    """Return every dataset a type may read, each once, in the order it declares them."""
    return list(dict.fromkeys([*(name for need in kind.datasets for name in need), *kind.optional_datasets]))


def newest(session: Session, organisation_id: uuid.UUID, kind: ReportType) -> dict[str, Size]:
    """Return the newest version of each dataset that a type may read and the organisation has."""
    have = dataset.current_sizes(session, organisation_id)
    return {name: have[name] for name in datasets_read(kind) if name in have}


def missing(kind: ReportType, names: Collection[str]) -> list[tuple[str, ...]]:
    """Return what a type needs and these datasets do not give: any one of each tuple would do."""
    return [need for need in kind.datasets if not set(need).intersection(names)]
