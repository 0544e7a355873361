"""What makes two reports the same one: then, and only then, the result of the first is the answer to the second."""

import hashlib
import json
import uuid
from collections.abc import Mapping

from analytics.catalogue.parameters import ReportParams
from analytics.catalogue.report_type import ReportType


def key(organisation_id: uuid.UUID, kind: ReportType, params: ReportParams, versions: Mapping[str, int]) -> bytes:
    """Return what is equal for reports that give the same result, and only for those.

    A result follows from the version of its definition, every parameter with the defaults filled in, and the versions of
    the datasets. No clock, and no setting of the machine that computes it, plays a part.

    Args:
        organisation_id: whose data.
        kind: the type, with the version of its definition that computes.
        params: all parameters.
        versions: which version of which dataset is read.
    """
    question = {
        "organisation": str(organisation_id),
        "type": kind.name,
        "version": kind.version,
        "params": params.model_dump(mode="json"),
        "datasets": dict(versions),
    }
    canonical = json.dumps(question, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(canonical.encode()).digest()
