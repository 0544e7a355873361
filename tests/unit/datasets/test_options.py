"""What a caller may say, and what is refused before any file is read."""

import pydantic
import pytest

from analytics.datasets import options


def test_query_parameters_are_understood() -> None:
    said = options.ImportOptions.model_validate(
        {
            "dataset": "orders",
            "mode": "append",
            "max_rejects": "0.5",
            "null_values": "n.v.,leer",
            "mapping": '{"amount": "usd", "channel": null}',
            "date_format": "DD.MM.YYYY HH:mm",
        }
    )
    assert said.mode is options.ImportMode.APPEND
    assert said.max_rejects == 0.5
    assert said.null_values == ("n.v.", "leer")
    assert dict(said.mapping) == {"amount": "usd", "channel": None}
    assert said.date_format == "%d.%m.%Y %H:%M"


@pytest.mark.parametrize(
    "wrong",
    [
        {"dataset": "nothing"},
        {"unknown": 1},
        {"timezone": "Mars/Olympus"},
        {"timezone": "../etc/passwd"},
        {"refund_pattern": "("},
        {"refund_pattern": "(?=C)"},
        {"refund_pattern": r"(a)\1"},
        {"max_rejects": 1.5},
        {"decimal": ";"},
        {"currency": "eur"},
        {"mapping": {"colour": "x"}},
        {"mapping": "[1]"},
        {"mapping": "{"},
        {"date_format": "%H:%M"},
        {"date_format": "soon"},
        {"mode": "merge"},
        {"format": "xls"},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(pydantic.ValidationError):
        options.ImportOptions.model_validate({"dataset": "orders"} | wrong)


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("DMY", "DMY"),
        ("day-first", "DMY"),
        ("m/d", "MDY"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("MM/DD/YYYY", "%m/%d/%Y"),
        ("D MMM YY", "%d %b %y"),
    ],
)
def test_date_formats(said: str, read: str) -> None:
    assert options.ImportOptions(dataset="orders", date_format=said).date_format == read


def test_defaults_fill_only_what_was_not_said() -> None:
    said = options.ImportOptions(dataset="orders", timezone="Asia/Tokyo")
    filled = said.with_defaults(timezone="Europe/London", currency="GBP")
    assert (filled.timezone, filled.currency) == ("Asia/Tokyo", "GBP")
