"""How wide a table may be, whatever its format."""

from analytics import errors

MAX_COLUMNS = 2000
LONGEST_HEADER = 1000


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
        errors.Refusal: `too-many-columns`.
    """
    if len(header) > LONGEST_HEADER:
        raise errors.Refusal(
            "header-too-long",
            f"The name of a column has {len(header):,} characters; it begins with {header[:50]!r}. "
            f"At most {LONGEST_HEADER:,} are read.",
            {"header": header[:100], "length": len(header)},
        )
