"""Which column of a file is which column of a dataset, and what the columns nobody knows are called."""

import enum
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import aliases, layouts, schemas
from analytics.datasets.layout import Layout

LONGEST_NAME = 60
# A further column under one of these names would be mistaken for something of ours.
RESERVED = frozenset({"line", "filename", "file_row_number"})


class How(enum.StrEnum):
    """Why a header is a column."""

    CALLER = "caller"  # the caller's mapping says so
    EXACT = "exact"  # it has the column's name
    USUAL_NAME = "usual-name"  # other systems call the column so
    EXTRA = "extra"  # it is no canonical column, and kept under a name of its own


@dataclass(frozen=True, slots=True)
class HeaderMapping:
    """The columns of a file, by position.

    Attributes:
        headers: what the file calls its columns.
        names: what we call them; canonical names, or safe names for the further ones.
        canonical: canonical column to header, for those that the file has.
        waived: canonical columns that the caller said the file does not have.
        said: canonical columns of which the caller said the header.
        layout: the known export that the file is, if it is one.
    """

    headers: tuple[str, ...]
    names: tuple[str, ...]
    canonical: Mapping[str, str]
    waived: frozenset[str]
    said: frozenset[str] = frozenset()
    layout: Layout | None = None

    @property
    def extras(self) -> tuple[str, ...]:
        return tuple(name for name in self.names if name not in self.canonical)

    def how(self, name: str) -> How:
        """Tell why the column of this name is the header it is."""
        if name not in self.canonical:
            return How.EXTRA
        if name in self.said:
            return How.CALLER
        return How.EXACT if normalise(self.canonical[name]) == normalise(name) else How.USUAL_NAME


def map_headers(
    headers: Sequence[str], schema: schemas.DatasetSchema, mapping: Mapping[str, str | None]
) -> HeaderMapping:
    """What the caller says first, then what is known of the export as a whole, then exact names, then usual names.

    Raises:
        errors.Refusal: `unknown-header`, `ambiguous-header` or `missing-columns`.
    """
    chosen = _chosen(headers, mapping)
    said = frozenset(chosen)
    waived = frozenset(name for name, header in mapping.items() if header is None)
    layout = layouts.of_dataset({normalise(header) for header in headers}, schema.name)
    for offers in _offers(schema, layout, waived):
        _fill(chosen, headers, offers)
    _check_required(chosen, headers, schema, waived)
    by_position = {position: name for name, position in chosen.items()}
    names = _safe_names(headers, by_position, schema)
    canonical = {column.name: headers[chosen[column.name]] for column in schema.columns if column.name in chosen}
    return HeaderMapping(tuple(headers), names, canonical, waived, said, layout)


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


def _offers(
    schema: schemas.DatasetSchema, layout: Layout | None, waived: frozenset[str]
) -> Iterable[Mapping[str, Sequence[str]]]:
    """The normalised headers that each column may be taken from, best first, in rounds.

    Every name of a better round is given away before any of the next, so that an alias never takes a column from its owner.
    """
    wanted = [column.name for column in schema.columns if column.name not in waived]
    settled = layout.columns if layout else {}
    usual = aliases.ALIASES[schema.name]
    yield {name: settled[name] for name in wanted if name in settled}
    yield {name: (normalise(name),) for name in wanted if name not in settled}
    yield {name: usual[name].split() for name in wanted if name in usual and name not in settled}


def _fill(chosen: dict[str, int], headers: Sequence[str], offers: Mapping[str, Sequence[str]]) -> None:
    normal = [normalise(header) for header in headers]
    for name, words in offers.items():
        if name in chosen:
            continue
        taken = set(chosen.values())
        free = (
            [position for position, seen in enumerate(normal) if seen == word and position not in taken]
            for word in words
        )
        found = next(filter(None, free), None)
        if found is None:
            continue
        if len(found) > 1:
            _refuse_choice(name, [headers[position] for position in found], headers)
        chosen[name] = found[0]


def _refuse_choice(name: str, equals: Sequence[str], headers: Sequence[str]) -> None:
    raise errors.Refusal(
        "ambiguous-header",
        f"{name} could be any of the headers {', '.join(map(repr, equals))}. Say which with `mapping`, or null for none.",
        {"column": name, "equals": list(equals), "headers": list(headers[:500])},
    )


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
