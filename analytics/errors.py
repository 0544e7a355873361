"""Why data or a question cannot be worked with: permanent, and the asker's to mend."""

from collections.abc import Mapping
from typing import Any


class Refusal(Exception):  # noqa: N818 - it is not an error of the program; the name says what it is
    """The data or the question does not allow an answer; trying again cannot help.

    Attributes:
        code: stable slug, the last part of the problem type (`missing-columns`).
        detail: a sentence for a person that says what to do.
        data: facts a program can use, JSON values only.
    """

    def __init__(self, code: str, detail: str, data: Mapping[str, Any] | None = None) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.data = dict(data or {})
