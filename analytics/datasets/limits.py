"""How wide a table may be, whatever its format."""

from analytics import errors

MAX_COLUMNS = 2000
LONGEST_HEADER = 1000
# A column of one value takes next to nothing, and neither does an object without values; so many cells from so few bytes
# are no table.
CELLS_PER_BYTE = 200
CELLS_FROM = 32 * 1024**2


def check_columns(count: int) -> None:
    """See that a file has a reasonable number of columns.

    Raises:
        errors.Refusal: `too-many-columns`.
    """
    if count > MAX_COLUMNS:
        raise errors.Refusal(
            "too-many-columns",
            f"The file has {count:,} columns or more; at most {MAX_COLUMNS:,} are read. Leave out those nobody asks for.",
            {"columns": count, "most": MAX_COLUMNS},
        )


def check_header(header: str) -> None:
    """See that a column has a name of reasonable length.

    Raises:
        errors.Refusal: `header-too-long`.
    """
    if len(header) > LONGEST_HEADER:
        raise errors.Refusal(
            "header-too-long",
            f"The name of a column has {len(header):,} characters; it begins with {header[:50]!r}. "
            f"At most {LONGEST_HEADER:,} are read.",
            {"header": header[:100], "length": len(header)},
        )


def check_cells(made: int, size: int) -> None:
    """See that a file of so many bytes does not become absurdly many cells.

    Raises:
        errors.Refusal: `bomb`.
    """
    if made > CELLS_FROM and made > size * CELLS_PER_BYTE:
        raise errors.Refusal(
            "bomb",
            f"The file makes more than {made:,} cells of {size:,} bytes, which no export does. Send it as CSV.",
            {"compressed": size, "cells": made},
        )
