"""Whose the rows of an alert are, for receivers who see only their own."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.alerts import figures
from analytics.alerts.figures import Figures
from analytics.catalogue.row_filters import UnfitError
from analytics.render import parts, row_masks


@dataclass(slots=True)
class Shares:
    """Of each row the names of the filters that let it through; and of those filters that do not suit the rows."""

    seen: dict[bytes, list[str]] = field(default_factory=dict)
    unfit: set[str] = field(default_factory=set)


def seen_by(
    found: Figures, of: Collection[bytes], filters: Mapping[str, Mapping[str, Any]], header: Mapping[str, Any]
) -> Shares:
    """Find out for each of some rows which filters let it through.

    Args:
        found: the figures, with all cells of their rows.
        of: the digests of the rows that are asked about.
        filters: by the names that are returned.
        header: of the result.
    """
    shares = Shares()
    places = [place for place, known_as in enumerate(found.of) if known_as in of]
    if not places:
        return shares
    asked = [known_as for known_as in found.of if known_as in of]
    table = pa.concat_tables(found.pieces).take(pa.array(places))
    rows = row_masks.Rows(table, figures.kinds_of(header), figures.zone_of(header))
    shares.seen = {known_as: [] for known_as in asked}
    for name, raw in filters.items():
        try:
            mask = rows.mask(parts.fitting(raw, header))
        except UnfitError:
            shares.unfit.add(name)
            continue
        for place in np.flatnonzero(mask):
            shares.seen[asked[place]].append(name)
    return shares
