"""Which versions of which datasets a report reads. Both who submits a report and who runs one again ask here."""

import uuid

from sqlalchemy.orm import Session

from analytics.catalogue.report_type import Needs
from models import dataset
from models.dataset import Size


def newest(session: Session, organisation_id: uuid.UUID, needs: Needs) -> dict[str, Size]:
    """Return the newest version of each dataset that a question may read and the organisation has."""
    have = dataset.current_sizes(session, organisation_id)
    return {name: have[name] for name in needs.all if name in have}
