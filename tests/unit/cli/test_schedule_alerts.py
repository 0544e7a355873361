"""Alerts on the command line: taken as JSON or from files, and rows named as one reads them."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from cli import main, schedule_alerts
from cli.invocation import Failure

ONE = {"name": "One", "when": {"missing": True}}
TWO = {"name": "Two", "when": {"above": "0.1"}}


def test_alerts_are_json_or_files_of_one_or_several(tmp_path: Path) -> None:
    file, several = tmp_path / "one.json", tmp_path / "several.json"
    file.write_text(json.dumps(ONE))
    several.write_text(json.dumps([TWO, ONE]))
    assert schedule_alerts.declared([json.dumps(TWO), f"@{file}"]) == [TWO, ONE]
    assert schedule_alerts.declared([f"@{several}", json.dumps([ONE])]) == [TWO, ONE, ONE]
    assert schedule_alerts.declared([]) == []


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("{", "is not JSON"),
        ("above 10", "is not JSON"),
        ("10", "is no alert"),
        ("@nowhere.json", "the file nowhere.json cannot be read: No such file"),
    ],
)
def test_what_is_none_is_refused_before_anything_is_asked(given: str, why: str) -> None:
    with pytest.raises(Failure, match=why):
        schedule_alerts.declared([given])
    refused = CliRunner().invoke(main.main, ["schedules", "check-alerts", "Any", "--alert", given])
    assert (refused.exit_code, why in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["alerts", "Any", "--name", "One"], "--name is for --changes"),
        (["check-alerts", "Any", "--save"], "--save needs"),
    ],
)
def test_options_that_mean_nothing_by_themselves_are_refused(arguments: list[str], why: str) -> None:
    refused = CliRunner().invoke(main.main, ["schedules", *arguments])
    assert (refused.exit_code, why in refused.output) == (2, True)


@pytest.mark.parametrize(
    ("found", "read"),
    [
        (None, ""),
        ({"country": "FR"}, "FR"),
        ({"country": None}, ""),
        ({"country": "FR", "month": 3}, "country FR, month 3"),
    ],
)
def test_a_row_is_named_by_its_key(found: dict[str, Any] | None, read: str) -> None:
    assert schedule_alerts.key(found) == read


@pytest.mark.parametrize(("value", "read"), [("10.50", "10.50"), (0, "0"), (True, "true"), (1.5, "1.5"), (None, "")])
def test_a_value_is_printed_as_it_came(value: Any, read: str) -> None:
    assert schedule_alerts.printed(value) == read
