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
    ASSUMED = "assumed"  # a preview takes it so until its question is answered
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
        return how_of(name, self.canonical.get(name), said=self.said)


def how_of(name: str, header: str | None, *, said: frozenset[str]) -> How:
    """Tell why a column is taken from a header; from none, if it is not canonical."""
    if header is None:
        return How.EXTRA
    if name in said:
        return How.CALLER
    return How.EXACT if normalise(header) == normalise(name) else How.USUAL_NAME


@dataclass(frozen=True, slots=True)
class Placement:
    """Which header each canonical column is taken from, before anybody asks whether that is enough.

    Attributes:
        places: canonical column to the position of its header.
        doubtful: canonical columns for which more than one header is equally good, and those headers' positions.
        missing: columns that the dataset needs and no header is known for; of alternatives, in words.
    """

    places: Mapping[str, int]
    doubtful: Mapping[str, tuple[int, ...]]
    missing: tuple[str, ...]
    said: frozenset[str]
    waived: frozenset[str]
    layout: Layout | None


def place(headers: Sequence[str], schema: schemas.DatasetSchema, mapping: Mapping[str, str | None]) -> Placement:
    """What the caller says first, then what is known of the export as a whole, then exact names, then usual names.

    Raises:
        errors.Refusal: the caller's mapping cannot be followed: `unknown-header` or `ambiguous-header`.
    """
    places = _chosen(headers, mapping)
    said = frozenset(places)
    waived = frozenset(name for name, header in mapping.items() if header is None)
    layout = layouts.of_dataset({normalise(header) for header in headers}, schema.name)
    doubtful: dict[str, tuple[int, ...]] = {}
    for offers in _offers(schema, layout, waived):
        doubtful |= _fill(places, headers, offers)
    missing = tuple(_missing(places, schema, waived))
    return Placement(places, doubtful, missing, said, waived, layout)


def map_headers(
    headers: Sequence[str], schema: schemas.DatasetSchema, mapping: Mapping[str, str | None]
) -> HeaderMapping:
    """Name all columns of a file.

    Raises:
        errors.Refusal: `unknown-header`, `ambiguous-header` or `missing-columns`.
    """
    placed = place(headers, schema, mapping)
    for name, positions in placed.doubtful.items():
        _refuse_choice(name, [headers[position] for position in positions], headers)
    if placed.missing:
        _refuse_missing(placed.missing, headers, schema)
    by_position = {position: name for name, position in placed.places.items()}
    names = _safe_names(headers, by_position, schema)
    canonical = {
        column.name: headers[placed.places[column.name]] for column in schema.columns if column.name in placed.places
    }
    return HeaderMapping(tuple(headers), names, canonical, placed.waived, placed.said, placed.layout)


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
        if not found and (by_place := re.fullmatch(r"#([0-9]{1,5})", header.strip())):
            found = [place - 1 for place in [int(by_place[1])] if 0 < place <= len(headers)]
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
        "ambiguous-header",
        f"The mapping takes {name} from {header!r}, which the file has {count} times. Name the column by its place: #1 is the "
        "first.",
        seen,
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


def _fill(
    places: dict[str, int], headers: Sequence[str], offers: Mapping[str, Sequence[str]]
) -> Mapping[str, tuple[int, ...]]:
    """Give headers to the columns that have none yet. Columns with more than one equally good header are returned."""
    normal = [normalise(header) for header in headers]
    doubtful = {}
    for name, words in offers.items():
        if name in places:
            continue
        taken = set(places.values())
        free = (
            tuple(position for position, seen in enumerate(normal) if seen == word and position not in taken)
            for word in words
        )
        found = next(filter(None, free), ())
        if found:
            places[name] = found[0]
        if len(found) > 1:
            doubtful[name] = found
    return doubtful


def _refuse_choice(name: str, equals: Sequence[str], headers: Sequence[str]) -> None:
    raise errors.Refusal(
        "ambiguous-header",
        f"{name} could be any of the headers {', '.join(map(repr, equals))}. Say which with `mapping`, by header or "
        "by place (#1 is the first column), or null for none.",
        {"column": name, "equals": list(equals), "headers": list(headers[:500])},
    )


def _missing(places: Mapping[str, int], schema: schemas.DatasetSchema, waived: frozenset[str]) -> list[str]:
    missing = [
        column.name
        for column in schema.columns
        if column.required and column.name not in places and (column.key or column.name not in waived)
    ]
    for alternative in schema.alternatives:
        met = any(all(name in places for name in names) for names in alternative)
        excused = any(not _is_key(schema, name) and name in waived for names in alternative for name in names)
        wanted = " or ".join(" and ".join(names) for names in alternative)
        if not met and not excused and not any(name in missing for names in alternative for name in names):
            missing.append(wanted)
    return missing


def _refuse_missing(missing: Sequence[str], headers: Sequence[str], schema: schemas.DatasetSchema) -> None:
    seen = ", ".join(repr(header) for header in headers[:50])
    raise errors.Refusal(
        "missing-columns",
        f"The file has no column for {', '.join(missing)} of {schema.name}. Its headers are: {seen}. "
        'Say which is which with `mapping`, for example {"' + missing[0].split()[0] + '": "<header>"}.',
        {"missing": list(missing), "headers": list(headers[:500])},
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
