"""The filter tree of a question: and, or, not over comparisons of a column with a value."""

import math
import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_serializer,
    model_validator,
)
from pydantic_core import PydanticCustomError

MAX_DEPTH = 8
MAX_LEAVES = 100
MAX_TEXT = 1_000
MAX_LIST = 1_000

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Op(StrEnum):
    """How a column is compared with the value."""

    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    NOT_IN = "not_in"
    BETWEEN = "between"
    IS_NULL = "is_null"
    CONTAINS = "contains"
    STARTS_WITH = "starts_with"


LIST_OPS = frozenset({Op.IN, Op.NOT_IN})
TEXT_OPS = frozenset({Op.CONTAINS, Op.STARTS_WITH})

_SCALAR_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "number"}, {"type": "boolean"}]}
_VALUE_SCHEMA = {
    "description": "A scalar; a list for `in` and `not_in`; [low, high], both included, for `between`; "
    "true or false for `is_null`; text for `contains` and `starts_with`. Exact numbers may be strings.",
    "anyOf": [*_SCALAR_SCHEMA["anyOf"], {"type": "array", "items": _SCALAR_SCHEMA, "maxItems": MAX_LIST}],
}


class Filter(BaseModel):
    """One node: a comparison (`column`, `op`, `value`), or exactly one of `and`, `or`, `not`.

    A comparison with an empty cell is false. `ne` and `not_in` are the exact opposites of `eq` and `in`, so they
    are true for an empty cell, as `!=` is in Salesforce's query language. `not` is the exact opposite of what it holds.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True)

    column: ColumnName | None = Field(None, description="A column of the facts or of `customers`.")
    op: Op | None = Field(None, description="The comparison.")
    value: Annotated[Any, WithJsonSchema(_VALUE_SCHEMA)] = None
    and_: tuple["Filter", ...] | None = Field(None, alias="and", description="All of these hold.")
    or_: tuple["Filter", ...] | None = Field(None, alias="or", description="At least one of these holds.")
    not_: "Filter | None" = Field(None, alias="not", description="This does not hold.")

    @field_validator("value")
    @classmethod
    def _value_suits_op(cls, value: Any, info: ValidationInfo) -> Any:
        op = info.data.get("op")
        return value if op is None else _checked_value(op, value)

    @model_validator(mode="after")
    def _one_form(self) -> Self:
        given = self.model_fields_set
        branches = given & {"and_", "or_", "not_"}
        leaf = given & {"column", "op", "value"}
        if len(branches) > 1 or (branches and leaf):
            raise PydanticCustomError("filter_form", "Give either column, op and value, or one of and, or, not")
        if branches and not any(getattr(self, name) for name in branches):
            raise PydanticCustomError("filter_form", "and, or and not need something to combine")
        if not branches and leaf != {"column", "op", "value"}:
            raise PydanticCustomError("filter_form", "A comparison needs column, op and value")
        if not branches and (self.column is None or self.op is None):
            raise PydanticCustomError("filter_form", "A comparison needs a column and an op")
        return self

    @model_serializer(mode="plain")
    def _only_what_was_given(self) -> dict[str, Any]:
        if self.and_ is not None:
            return {"and": [child.model_dump() for child in self.and_]}
        if self.or_ is not None:
            return {"or": [child.model_dump() for child in self.or_]}
        if self.not_ is not None:
            return {"not": self.not_.model_dump()}
        return {"column": self.column, "op": str(self.op), "value": self.value}

    def columns(self) -> Iterator[str]:
        """Yield every column the tree compares, with repeats."""
        if self.column is not None:
            yield self.column
        for child in (*(self.and_ or ()), *(self.or_ or ()), *((self.not_,) if self.not_ else ())):
            yield from child.columns()

    def conjuncts(self) -> Iterator["Filter"]:
        """Yield the parts that must all hold, so that each can be applied where its columns are."""
        if self.and_ is None:
            yield self
        else:
            for child in self.and_:
                yield from child.conjuncts()


def check_size(raw: Any) -> Any:
    """Refuse a tree that is too deep or too large, before anything recurses into it."""
    leaves = 0
    pending: list[tuple[Any, int]] = [(raw, 1)]
    while pending:
        node, depth = pending.pop()
        if not isinstance(node, dict):
            continue
        if depth > MAX_DEPTH:
            raise PydanticCustomError("filter_too_deep", "The filter is more than {limit} deep", {"limit": MAX_DEPTH})
        children = [
            child for key in ("and", "or") if isinstance(node.get(key), list | tuple) for child in node[key]
        ] + ([node["not"]] if "not" in node else [])
        leaves += not children
        if leaves + len(pending) > MAX_LEAVES:
            raise PydanticCustomError(
                "filter_too_large", "The filter has more than {limit} comparisons", {"limit": MAX_LEAVES}
            )
        pending.extend((child, depth + 1) for child in children)
    return raw


def _checked_value(op: Op, value: Any) -> Any:
    if op is Op.IS_NULL:
        _require(isinstance(value, bool), "is_null takes true or false")
    elif op in LIST_OPS:
        _require(isinstance(value, list | tuple) and 0 < len(value) <= MAX_LIST, f"{op} takes a list of 1 to 1000")
        return tuple(_checked_scalar(item) for item in value)
    elif op is Op.BETWEEN:
        _require(isinstance(value, list | tuple) and len(value) == 2, "between takes [low, high]")
        return tuple(_checked_scalar(item) for item in value)
    elif op in TEXT_OPS:
        _require(isinstance(value, str) and 0 < len(value) <= MAX_TEXT, f"{op} takes a text of 1 to 1000 characters")
        return _as_stored(value)
    else:
        return _checked_scalar(value)
    return value


def _checked_scalar(value: Any) -> Any:
    _require(value is not None, "to find empty cells use is_null")
    _require(isinstance(value, str | int | float), "the value must be text, a number, true or false")
    _require(not isinstance(value, str) or len(value) <= MAX_TEXT, "a text has at most 1000 characters")
    _require(not isinstance(value, float) or math.isfinite(value), "the number must be finite")
    return _as_stored(value)


def _as_stored(value: Any) -> Any:
    """Return a text in the form that imports store it in: an é has many spellings in bytes, and a keyboard's is not a file's."""
    return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


def _require(holds: bool, sentence: str) -> None:  # noqa: FBT001 - an assertion reads best this way round
    if not holds:
        raise PydanticCustomError("filter_value", "{sentence}", {"sentence": sentence})
