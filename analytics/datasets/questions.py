"""What only the sender of a file knows: refusals of an import put as questions, each with the answer to go on with."""

import difflib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from analytics import errors
from analytics.datasets import aliases, evidence, guessing, headers, options, schemas
from analytics.datasets.preview import Choice, Question

MOST_CHOICES = 8
# A header is suggested from here on, and assumed to be right from there on.
LIKELY = 0.3
ASSUMED = 0.5


@dataclass(frozen=True, slots=True)
class Asked:
    """Questions, and the options to go on with; None where there is no going on."""

    questions: tuple[Question, ...]
    options: options.ImportOptions | None


@dataclass(frozen=True, slots=True)
class File:
    """What a question is asked about."""

    headers: tuple[str, ...]
    columns: tuple[evidence.Evidence, ...]

    def reference(self, position: int) -> str:
        """Return how a mapping names the column: by its header, or by its place where others have the same header."""
        header = self.headers[position]
        return header if self.headers.count(header) == 1 and header.strip() else f"#{position + 1}"

    def sample(self, position: int) -> str | None:
        return next(iter(self.columns[position].samples), None)


def of_refusal(refusal: errors.Refusal, file: File, asked: options.ImportOptions) -> Asked | None:
    """Put a refusal as questions; None where no answer of the sender can help."""
    found: Asked | None = None
    match refusal.code:
        case "ambiguous-date-order":
            found = _date_order(refusal, asked)
        case "ambiguous-decimal-sign":
            found = _decimal_sign(refusal, file, asked)
        case "ambiguous-currency":
            found = _currency(refusal, asked)
        case "missing-columns":
            found = _missing_columns(refusal, file, asked)
        case "ambiguous-header":
            found = _ambiguous_header(refusal, file, asked)
        case "unknown-header":
            found = _unknown_header(refusal, file, asked)
    return found


def of_dataset(candidates: Sequence[guessing.Candidate]) -> Question:
    """Ask which dataset a file belongs to."""
    best = candidates[0].confidence if candidates else 0.0
    choices = [
        Choice(value=one.dataset, means=f"confidence {one.confidence:.2f}: {one.why}", example=None)
        for one in candidates
        if one.confidence >= best / 2
    ]
    assumed = candidates[0].dataset if candidates else None
    if candidates:
        detail = "It is not certain which dataset the rows belong to."
    else:
        detail = "The file is like none of the datasets: none of its headers is known. Say which one it is, with a `mapping`."
        choices = [
            Choice(value=name, means=schema.description, example=None) for name, schema in schemas.DATASETS.items()
        ]
    return _question("which-dataset", "dataset", detail, choices, assumed=assumed, goes_on=bool(candidates))


def of_sheet(refusal: errors.Refusal, *, assumed: str | None) -> Question:
    """Ask which sheet of a workbook is meant."""
    choices = [Choice(value=name, means=f"the sheet {name!r}", example=None) for name in refusal.data["sheets"]]
    return _question(refusal.code, "sheet", refusal.detail, choices, assumed=assumed)


def of_rejects(rejected: int, read: int, share: float) -> Question:
    """Ask what is to be done about too many bad rows."""
    needed = min(1.0, -(-rejected * 100 // read) / 100)
    return _question(
        "too-many-rejects",
        "max_rejects",
        f"{rejected:,} of {read:,} rows would be rejected, more than the {share:.0%} that max_rejects allows. Mend the file, "
        "or allow more.",
        [Choice(value=needed, means=f"import the others and reject these {rejected:,}", example=None)],
        assumed=needed,
    )


def _date_order(refusal: errors.Refusal, asked: options.ImportOptions) -> Asked:
    example = str(refusal.data["example"])
    numbers = re.findall(r"\d+", example)
    first, second, third = numbers[0], numbers[1], numbers[2]
    readings = (
        ("DMY", "%d", "the day comes first", f"{example!r} is day {first} of month {second}"),
        ("MDY", "%m", "the month comes first", f"{example!r} is day {second} of month {first}"),
        ("YMD", "%y", "the year comes first", f"{example!r} is day {third} of month {second} of the year {first}"),
    )
    possible = {str(pattern)[:2] for pattern in refusal.data["formats"]}
    choices = [
        Choice(value=value, means=means, example=text) for value, begins, means, text in readings if begins in possible
    ]
    question = _question(
        refusal.code,
        "date_format",
        refusal.detail,
        choices,
        header=str(refusal.data["header"]),
        assumed=choices[0].value,
    )
    return Asked((question,), asked.model_copy(update={"date_format": choices[0].value}))


def _decimal_sign(refusal: errors.Refusal, file: File, asked: options.ImportOptions) -> Asked:
    wanted = set(refusal.data["headers"])
    samples = (
        value
        for header, column in zip(file.headers, file.columns, strict=True)
        if header in wanted
        for value in column.samples
        if re.search(r"[.,]", value)
    )
    example = next(samples, None)
    likely = "," if refusal.data["with_comma"] > refusal.data["with_point"] else "."
    choices = [
        Choice(value=".", means="a point comes before the fraction", example=_as_number(example, ".")),
        Choice(value=",", means="a comma comes before the fraction", example=_as_number(example, ",")),
    ]
    question = _question(refusal.code, "decimal", refusal.detail, choices, assumed=likely)
    return Asked((question,), asked.model_copy(update={"decimal": likely}))


def _currency(refusal: errors.Refusal, asked: options.ImportOptions) -> Asked:
    example, codes = str(refusal.data["example"]), list(refusal.data["currencies"])
    choices = [
        Choice(
            value=code, means=f"amounts that name no other currency are in {code}", example=f"{example!r} is in {code}"
        )
        for code in codes[:MOST_CHOICES]
    ]
    question = _question(
        refusal.code, "currency", refusal.detail, choices, header=str(refusal.data["header"]), assumed=codes[0]
    )
    return Asked((question,), asked.model_copy(update={"currency": codes[0]}))


def _as_number(text: str | None, sign: str) -> str | None:
    if text is None:
        return None
    plain = re.sub(r"[^0-9.,-]", "", text)
    read = plain.replace("," if sign == "." else ".", "").replace(sign, ".")
    return f"{text!r} is {read}"


def _missing_columns(refusal: errors.Refusal, file: File, asked: options.ImportOptions) -> Asked:
    schema = schemas.DATASETS[asked.dataset]
    placed = headers.place(file.headers, schema, asked.mapping)
    mapping = dict(asked.mapping)
    free = [position for position in range(len(file.headers)) if position not in placed.places.values()]
    questions = []
    for name in _wanted(refusal.data["missing"], schema, placed.places):
        column = schema.column(name)
        if column is None:
            continue
        likely = _likely(column, free, file, schema)
        best = likely[0] if likely and likely[0][0] >= ASSUMED else None
        if best is not None:
            mapping[name] = file.reference(best[1])
            free.remove(best[1])
        elif not column.key:
            mapping[name] = None
        questions.append(_which_header(column, likely, file, assumed=mapping.get(name), goes_on=name in mapping))
    stuck = any(not question.goes_on for question in questions)
    return Asked(tuple(questions), None if stuck else _mapped(asked, mapping))


def _wanted(missing: Sequence[str], schema: schemas.DatasetSchema, places: Mapping[str, int]) -> list[str]:
    """The columns to ask for: those that are missing as such, and of alternatives the ones that lack the least."""
    names = [name for name in missing if schema.column(name) is not None]
    for alternative in schema.alternatives:
        lacking = [[name for name in option if name not in places] for option in alternative]
        if all(lacking) and not any(set(option) <= set(names) for option in lacking):
            names += [name for name in min(lacking, key=len) if name not in names]
    return list(dict.fromkeys(names))


def _likely(
    column: schemas.DatasetColumn, free: Sequence[int], file: File, schema: schemas.DatasetSchema
) -> list[tuple[float, int]]:
    """The positions of headers that may be the column, with how likely each is."""
    names = [headers.normalise(column.name), *aliases.ALIASES[schema.name].get(column.name, "").split()]
    scored = []
    for position in free:
        header = headers.normalise(file.headers[position])
        likeness = max(difflib.SequenceMatcher(None, header, name).ratio() for name in names)
        scored.append((round(file.columns[position].fits(column) * likeness, 2), position))
    return sorted((pair for pair in scored if pair[0] >= LIKELY), key=lambda pair: (-pair[0], pair[1]))[:MOST_CHOICES]


def _which_header(
    column: schemas.DatasetColumn,
    likely: Sequence[tuple[float, int]],
    file: File,
    *,
    assumed: str | None,
    goes_on: bool,
) -> Question:
    choices = [
        Choice(
            value=file.reference(position),
            means=f"{column.name} is the column {file.headers[position]!r}",
            example=file.sample(position),
        )
        for _, position in likely
    ]
    if not column.key:
        choices.append(Choice(value=None, means=f"the file has no {column.name}", example=None))
    detail = f"Which header is {column.name} ({column.description})?"
    return _question(
        "missing-columns", "mapping", detail, choices, column=column.name, assumed=assumed, goes_on=goes_on
    )


def _ambiguous_header(refusal: errors.Refusal, file: File, asked: options.ImportOptions) -> Asked | None:
    name = refusal.data.get("column")
    if name is None:
        return None
    schema = schemas.DATASETS[asked.dataset]
    normal = [headers.normalise(header) for header in file.headers]
    equals = {headers.normalise(header) for header in refusal.data.get("equals", [refusal.data.get("header", "")])}
    positions = [position for position, header in enumerate(normal) if header in equals]
    references = [
        f"#{place + 1}" if file.headers.count(file.headers[place]) > 1 else file.headers[place] for place in positions
    ]
    choices = [
        Choice(value=reference, means=f"column {position + 1} of the file", example=file.sample(position))
        for reference, position in zip(references, positions, strict=True)
    ]
    column = schema.column(name)
    if column is not None and not column.key:
        choices.append(Choice(value=None, means=f"none of them is {name}", example=None))
    question = _question(
        refusal.code,
        "mapping",
        refusal.detail,
        choices,
        column=name,
        header=file.headers[positions[0]],
        assumed=references[0],
    )
    return Asked((question,), _mapped(asked, {**asked.mapping, name: references[0]}))


def _unknown_header(refusal: errors.Refusal, file: File, asked: options.ImportOptions) -> Asked:
    name, header = str(refusal.data["column"]), str(refusal.data["header"])
    close = difflib.get_close_matches(header, file.headers, MOST_CHOICES, LIKELY)
    choices = [
        Choice(value=one, means=f"{name} is the column {one!r}", example=file.sample(file.headers.index(one)))
        for one in close
    ]
    assumed = close[0] if close else None
    mapping = {column: value for column, value in asked.mapping.items() if column != name}
    if assumed is not None:
        mapping[name] = assumed
    question = _question(refusal.code, "mapping", refusal.detail, choices, column=name, header=header, assumed=assumed)
    return Asked((question,), _mapped(asked, mapping))


def _mapped(asked: options.ImportOptions, mapping: Mapping[str, str | None]) -> options.ImportOptions:
    return asked.model_copy(update={"mapping": dict(mapping)})


def _question(code: str, parameter: str, detail: str, choices: list[Choice], **more: Any) -> Question:
    return Question.model_validate(
        {"column": None, "header": None, "goes_on": True}
        | {"code": code, "parameter": parameter, "detail": detail, "choices": choices}
        | more
    )
