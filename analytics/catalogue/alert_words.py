"""What an alert watches and waits for, in words that people read in a letter or on a page. Light."""

from decimal import Decimal
from typing import Any

from analytics.catalogue.alerts import Of, OfColumn, OfCount, OfSummary, Threshold, printed

_WORDS = {
    "above": "above {}",
    "at_least": "at least {}",
    "below": "below {}",
    "at_most": "at most {}",
    "equals": "equal to {}",
    "differs_from": "other than {}",
    "rises_by": "up by {} or more",
    "falls_by": "down by {} or more",
    "changes_by": "up or down by {} or more",
    "older_than": "older than {}",
}


def condition(wanted: Threshold) -> str:
    """Say what makes an alert fire, or recover: `above 10`."""
    value = wanted.value
    if wanted.name == "missing":
        return "missing"
    if wanted.name in {"outside", "inside"}:
        low, high = map(printed, value)
        return f"below {low} or above {high}" if wanted.name == "outside" else f"from {low} to {high}"
    return _WORDS[wanted.name].format(_read(value))


def _read(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return printed(value) if isinstance(value, Decimal) else value


def figure(of: Of) -> str:
    """Say what is watched: `sum of revenue`."""
    if isinstance(of, OfSummary):
        return of.summary.replace("_", " ").replace(".", " ")
    if isinstance(of, OfCount):
        return "number of rows"
    if isinstance(of, OfColumn):
        return f"{of.take} of {of.column.replace('_', ' ')}"
    return f"{of.column} of each {', '.join(of.each)}".replace("_", " ")
