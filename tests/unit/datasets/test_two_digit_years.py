"""Dates with a year of two digits are a question where the year may be first or last."""

import pytest

from analytics import errors
from tests.unit.datasets.conftest import Importer


def content(*moments: str) -> str:
    rows = "".join(f"t{number},{moment}\n" for number, moment in enumerate(moments))
    return "lead_id,created_at\n" + rows


@pytest.mark.parametrize(
    "moments",
    [
        ("24/01/05", "24/02/17", "24/03/30"),
        ("24-01-05", "24-12-17", "23-03-30"),
        ("24.01.15", "23.02.17"),
        ("05/01/24", "17/02/24"),
        ("24/01/05 10:00", "24/02/17 11:30"),
    ],
)
def test_a_year_that_may_be_first_or_last_is_a_question(importer: Importer, moments: tuple[str, ...]) -> None:
    with pytest.raises(errors.Refusal, match="the year could be first or last") as refused:
        importer(content(*moments), dataset="leads")
    assert refused.value.code == "ambiguous-date-order"
    numbers = moments[0].replace("-", "/").replace(".", "/").split()[0].split("/")
    by_year = importer(content(*moments), dataset="leads", date_format="YMD").rows[0]["created_at"]
    by_day = importer(content(*moments), dataset="leads", date_format="DMY").rows[0]["created_at"]
    assert by_year.strftime("%y/%m/%d").split("/") == numbers
    assert by_day.strftime("%d/%m/%y").split("/") == numbers


def test_three_orders_are_three_answers(importer: Importer) -> None:
    with pytest.raises(errors.Refusal, match="DMY or MDY or YMD") as refused:
        importer(content("01/02/03", "04/05/06"), dataset="leads")
    assert refused.value.data["formats"] == ["%d/%m/%y", "%m/%d/%y", "%y/%m/%d"]


@pytest.mark.parametrize(
    ("moments", "years"),
    [
        (("05/01/99", "17/02/98"), [1998, 1999]),
        (("99/01/05", "98/02/17"), [1998, 1999]),
        (("12/31/24", "01/15/25"), [2024, 2025]),
    ],
)
def test_values_that_settle_it_are_no_question(importer: Importer, moments: tuple[str, ...], years: list[int]) -> None:
    found = importer(content(*moments), dataset="leads")
    assert sorted(row["created_at"].year for row in found.rows) == years


@pytest.mark.parametrize("zone", ["", "Z"])
def test_a_fraction_of_a_second_may_begin_with_a_comma(importer: Importer, zone: str) -> None:
    moments = ["2024-01-05 10:00:00"] * 20 + [f'"2024-01-05 10:00:00,5{zone}"']
    found = importer(content(*moments), dataset="leads")
    assert found.rejects == []
    assert {row["created_at"].microsecond for row in found.rows} == {0, 500_000}


def test_the_end_of_a_paid_period_is_not_the_end_of_a_subscription(importer: Importer) -> None:
    header = "subscription_id,customer_id,start date,mrr,Current Period End\n"
    found = importer(header + "s1,c,2024-01-05,10,2024-02-05\n", dataset="subscriptions")
    assert [row["ended_on"] for row in found.rows] == [None]
    assert "Current Period End" in found.staged.reading.mapping.headers
