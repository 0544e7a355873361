"""What `docs/alerts.md` shows can be declared as it stands there, and its numbers are those of the code."""

import json
import re
from typing import Any

import pytest

from analytics.catalogue import alert_checks, alerts, row_filters
from tests.client import ROOT

PAGE = (ROOT / "docs" / "alerts.md").read_text(encoding="utf-8")
# Of which report type each example is; the first is a whole schedule, which says that itself.
TYPES = {"A champion goes silent": "rfm", "No new orders": "rfm", "No report": "rfm", "More rejects": "data_quality"}


def _examples() -> list[tuple[dict[str, Any], str, dict[str, Any]]]:
    """Return the alerts that are shown, each with the type of report and its parameters."""
    schedule = json.loads(re.findall(r"-d '(\{.*?\n\})'", PAGE, re.DOTALL)[0])
    found = [(one, schedule["type"], schedule["params"]) for one in schedule["alerts"]]
    for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL):
        shown = json.loads(text.replace("…", "x"))
        found += [
            (one, TYPES[one["name"]], {}) for one in (shown if isinstance(shown, list) else [shown]) if "when" in one
        ]
    return found


@pytest.mark.parametrize(("shown", "type_", "params"), _examples(), ids=lambda one: str(one)[:40])
def test_an_example_can_be_declared(shown: dict[str, Any], type_: str, params: dict[str, Any]) -> None:
    known = row_filters.kinds(type_, params)
    assert known is not None
    assert list(alert_checks.misfits(alerts.Alert.model_validate(shown), known, zone="UTC")) == []


def test_every_example_is_found() -> None:
    assert len(_examples()) == 6


@pytest.mark.parametrize("name", sorted(alerts.Condition.model_fields))
def test_every_condition_is_described(name: str) -> None:
    assert f'{{"{name}":' in PAGE


@pytest.mark.parametrize(
    "of", re.findall(r"^\| (?:left out, or )?`(\{\"(?:summary|rows|column).*?\})` \|", PAGE, re.MULTILINE)
)
def test_every_form_of_a_figure_is_one(of: str) -> None:
    alerts.Alert.model_validate({"name": "x", "of": json.loads(of), "when": {"missing": True}})


def test_limits_are_those_of_the_code() -> None:
    said = f"{alerts.MOST_ALERTS} alerts for each schedule, {alerts.LONGEST_NAME} characters for a name, "
    said += f"{alerts.MOST_KEY_COLUMNS} columns for `each`, {alerts.MOST_KEYS:,} rows remembered for each alert, "
    assert f"{said}{alerts.MOST_RUNS} runs for `after`" in PAGE.replace("\n", " ")
