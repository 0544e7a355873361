"""Which column of a file is which column of a dataset, and what the columns nobody knows are called."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import aliases, schemas

LONGEST_NAME = 60
# A further column under one of these names would be mistaken for something of ours.
RESERVED = frozenset({"line", "filename", "file_row_number"})


@dataclass(frozen=True, slots=True)
class HeaderMapping:
    """The columns of a file, by position.

    Attributes:
        headers: what the file calls its columns.
        names: what we call them; canonical names, or safe names for the further ones.
        canonical: canonical column to header, for those that the file has.
        waived: canonical columns that the caller said the file does not have.
    """

    headers: tuple[str, ...]
    names: tuple[str, ...]
    canonical: Mapping[str, str]
    waived: frozenset[str]

    @property
    def extras(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.canonical)


def map_headers(
    headers: Sequence[str], schema: schemas.DatasetSchema, mapping: Mapping[str, str | None]
) -> HeaderMapping:
    """Exact names first, then usual names; what the caller says wins over both.

    Raises:
        errors.Refusal: `unknown-header`, `ambiguous-header` or `missing-columns`.
    """
    chosen = _chosen(headers, mapping)
    waived = frozenset(name for name, header in mapping.items() if header is None)
    _fill(chosen, headers, schema, waived)
    _check_required(chosen, headers, schema, waived)
    by_position = {position: name for name, position in chosen.items()}
    names = _safe_names(headers, by_position, schema)
    canonical = {column.name: headers[chosen[column.name]] for column in schema.columns if column.name in chosen}
    return HeaderMapping(tuple(headers), names, canonical, waived)


def normalise(header: str) -> str:
    """Lower case, letters and digits only: `Customer_ID` and `customer id` are the same name."""
    folded = unicodedata.normalize("NFKC", header).casefold()
    return "".join(character for character in folded if character.isalnum())


def _chosen(headers: Sequence[str], mapping: Mapping[str, str | None]) -> dict[str, int]:
    chosen: dict[str, int] = {}
    for name, header in mapping.items():
        if header is None:
            continue
        exact = [position for position, seen in enumerate(headers) if seen.strip() == header.strip()]
        found = exact or [position for position, seen in enumerate(headers) if normalise(seen) == normalise(header)]
        if len(found) != 1:
            _refuse_header(name, header, headers, count=len(found))
        if (other := next((known for known, position in chosen.items() if position == found[0]), None)) is not None:
            raise errors.Refusal(
                "ambiguous-header",
                f"The mapping takes both {other} and {name} from the header {header!r}.",
                {"header": header, "columns": [other, name]},
            )
        chosen[name] = found[0]
    return chosen


def _refuse_header(name: str, header: str, headers: Sequence[str], *, count: int) -> None:
    seen = {"column": name, "header": header, "headers": list(headers)}
    if count == 0:
        raise errors.Refusal(
            "unknown-header", f"The mapping takes {name} from {header!r}, which the file does not have.", seen
        )
    raise errors.Refusal(
        "ambiguous-header", f"The mapping takes {name} from {header!r}, which the file has {count} times.", seen
    )


def _fill(
    chosen: dict[str, int], headers: Sequence[str], schema: schemas.DatasetSchema, waived: frozenset[str]
) -> None:
    normal = [normalise(header) for header in headers]
    usual = aliases.ALIASES[schema.name]
    wanted = [column.name for column in schema.columns if column.name not in waived]
    # Every exact name is given away before any usual one, so that an alias never takes a column from its owner.
    for offers in (
        {name: [normalise(name)] for name in wanted},
        {name: usual[name].split() for name in wanted if name in usual},
    ):
        for name, words in offers.items():
            if name in chosen:
                continue
            taken = set(chosen.values())
            positions = (normal.index(word) for word in words if word in normal and normal.index(word) not in taken)
            if (position := next(positions, None)) is not None:
                chosen[name] = position


def _check_required(
    chosen: Mapping[str, int], headers: Sequence[str], schema: schemas.DatasetSchema, waived: frozenset[str]
) -> None:
    missing = [
        column.name
        for column in schema.columns
        if column.required and column.name not in chosen and (column.key or column.name not in waived)
    ]
    for alternative in schema.alternatives:
        met = any(all(name in chosen for name in names) for names in alternative)
        excused = any(not _is_key(schema, name) and name in waived for names in alternative for name in names)
        wanted = " or ".join(" and ".join(names) for names in alternative)
        if not met and not excused and not any(name in missing for names in alternative for name in names):
            missing.append(wanted)
    if missing:
        seen = ", ".join(repr(header) for header in headers[:50])
        raise errors.Refusal(
            "missing-columns",
            f"The file has no column for {', '.join(missing)} of {schema.name}. Its headers are: {seen}. "
            'Say which is which with `mapping`, for example {"' + missing[0].split()[0] + '": "<header>"}.',
            {"missing": missing, "headers": list(headers[:500])},
        )


def _is_key(schema: schemas.DatasetSchema, name: str) -> bool:
    return name in schema.key


def _safe_names(
    headers: Sequence[str], by_position: Mapping[int, str], schema: schemas.DatasetSchema
) -> tuple[str, ...]:
    """Names for all columns; clashes get the lowest free number, in the order of the file."""
    taken = {column.name for column in schema.columns} | RESERVED
    names = []
    for position, header in enumerate(headers):
        name = by_position.get(position) or _free(_snake_case(header, position), taken)
        taken.add(name)
        names.append(name)
    return tuple(names)


def _snake_case(header: str, position: int) -> str:
    plain = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", plain)
    name = re.sub(r"[^a-z0-9]+", "_", spaced.lower()).strip("_")[:LONGEST_NAME]
    if not name:
        return f"column_{position + 1}"
    return name if name[0].isalpha() else f"c_{name}"


def _free(name: str, taken: set[str]) -> str:
    if name not in taken:
        return name
    number = 2
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
