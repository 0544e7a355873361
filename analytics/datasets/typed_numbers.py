"""Numbers that are numbers already in the file: their decimal sign is the point, whatever its texts use."""

import dataclasses
from collections.abc import Mapping, Sequence

from analytics import errors
from analytics.datasets import batches, profiling


def mark(
    profiles: Sequence[profiling.ColumnProfile], found: Mapping[str, batches.NumberCells]
) -> tuple[profiling.ColumnProfile, ...]:
    """Say of each column whether all its values are such numbers; the columns are in the order of the file."""
    marked = []
    for position, profile in enumerate(profiles):
        cells = found.get(batches.text_column(position))
        marked.append(
            dataclasses.replace(profile, exact=profile.count) if cells is not None and cells.only else profile
        )
    return tuple(marked)


def check(profiles: Sequence[profiling.ColumnProfile], found: Mapping[str, batches.NumberCells], *, sign: str) -> None:
    """See that no number is misread among texts that write theirs with a comma.

    Raises:
        errors.Refusal: `ambiguous-decimal-sign`.
    """
    if sign == ".":
        return
    for position, profile in enumerate(profiles):
        cells = found.get(batches.text_column(position))
        if cells is not None and not cells.only and cells.ambiguous:
            raise errors.Refusal(
                "ambiguous-decimal-sign",
                f"The column {profile.header!r} has numbers such as 1.234 and, beside them, texts with a decimal comma. "
                "Make all of them numbers, or all texts.",
                {"headers": [profile.header]},
            )
