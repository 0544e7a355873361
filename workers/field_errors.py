"""Which fields of a document are wrong, by JSON pointer: the same words whether HTTP or a schedule brought the document."""

import difflib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

# pydantic's names for what happens most, in words that mean something outside Python.
_CODES = {"extra_forbidden": "unknown-field", "missing": "missing"}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: where it is, a stable code, a sentence."""

    pointer: str
    code: str
    detail: str

    def as_json(self) -> dict[str, str]:
        return {"pointer": self.pointer, "code": self.code, "detail": self.detail}


def of_validation(
    error: pydantic.ValidationError, raw: Any, *, base: str = "", known: Collection[str] = ()
) -> list[FieldError]:
    """Say which fields pydantic refused.

    Args:
        error: what pydantic raised.
        raw: what it was given; pointers are reckoned in it.
        base: where `raw` itself lies in the document, such as `/params`.
        known: names of the fields, to guess what an unknown one was meant to be.
    """
    return [
        FieldError(
            pointer=f"#{base}{pointer(one['loc'], raw, missing=one['type'] == 'missing')}",
            code=_CODES.get(one["type"], one["type"].replace("_", "-")),
            detail=_detail(one, known),
        )
        for one in error.errors(include_url=False, include_context=False, include_input=False)
    ]


def summary(errors: Sequence[FieldError]) -> str:
    """Return one sentence that tells of the first and counts the others."""
    first = errors[0]
    others = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    return f"{first.pointer}: {first.detail}{others}"


def pointer(location: Sequence[str | int], raw: Any, *, missing: bool) -> str:
    """Return the JSON pointer (RFC 6901) of a location that pydantic reports.

    pydantic puts the names of union members between the keys; only what leads somewhere in the document belongs in a
    pointer, or the last part where it names what is missing.
    """
    parts: list[str] = []
    value = raw
    for position, part in enumerate(location):
        if _leads_on(value, part):
            value = value[part]
            parts.append(str(part))
        elif missing and position == len(location) - 1:
            parts.append(str(part))
    return "".join("/" + escaped(part) for part in parts)


def escaped(key: str) -> str:
    """Return a key as it is written in a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1")


def closest(name: str, known: Collection[str]) -> str | None:
    matches = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return matches[0] if matches else None


def _leads_on(value: Any, part: str | int) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and 0 <= part < len(value)


def _detail(error: Mapping[str, Any], known: Collection[str]) -> str:
    if error["type"] != "extra_forbidden":
        message = str(error["msg"]).removeprefix("Value error, ")
        return message if message.endswith(".") else f"{message}."
    name = str(error["loc"][-1])
    guess = closest(name, known)
    return f"There is no field {name!r} here." + (f" Did you mean {guess!r}?" if guess else "")
