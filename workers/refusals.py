"""Why work that is asked for is not taken on, said without HTTP: the web answers each as the problem type of the same name."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from workers import field_errors
from workers.field_errors import FieldError


class Why(StrEnum):
    """The slugs of the problem types under which the web answers."""

    INVALID_REQUEST = "invalid-request"
    """A field has a value that it cannot have."""

    UNKNOWN_REPORT_TYPE = "unknown-report-type"
    """There is no such type."""

    DATASET_MISSING = "dataset-missing"
    """A dataset that it reads has never been imported."""

    UNKNOWN_DATASET_VERSION = "unknown-dataset-version"
    """There never was such a version."""

    DATASET_VERSION_GONE = "dataset-version-gone"
    """The version cannot be read any more."""


class RefusedError(Exception):
    """Ends the planning of work that cannot be done.

    Attributes:
        why: what kind of refusal it is.
        detail: a sentence for a person that says what is wrong and what to do.
        errors: the fields concerned, where there are any; pointers are reckoned in the report's request.
        facts: further members for programs.
    """

    def __init__(
        self, why: Why, detail: str, *, errors: Sequence[FieldError] = (), facts: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail)
        self.why = why
        self.detail = detail
        self.errors = tuple(errors)
        self.facts = dict(facts or {})


def invalid(*errors: FieldError) -> RefusedError:
    """Make the refusal of fields that are wrong."""
    return RefusedError(Why.INVALID_REQUEST, field_errors.summary(errors), errors=errors)
