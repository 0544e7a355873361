"""Times as callers write them: RFC 3339 with a zone. A bare number is no time, though pydantic would take it for seconds."""

from typing import Annotated, Any

from pydantic import AwareDatetime, BeforeValidator
from pydantic_core import PydanticKnownError


def _is_written_out(given: Any) -> Any:
    if isinstance(given, int | float) or (isinstance(given, str) and _is_number(given)):
        raise PydanticKnownError("datetime_parsing", {"error": "a number is not a time; write 2026-11-22T10:00:00Z"})
    return given


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


Moment = Annotated[AwareDatetime, BeforeValidator(_is_written_out)]
