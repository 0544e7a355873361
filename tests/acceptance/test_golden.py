"""Published figures, all the way: file in over HTTP, report out over HTTP, every cell compared."""

import csv
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pytest

from cli.stack import Stack
from tests.client import Client, Json, as_dicts

pytestmark = [pytest.mark.stack, pytest.mark.golden]

LONDON = "Europe/London"
KNOWN_AND_POSITIVE = {
    "and": [
        {"column": "customer_id", "op": "is_null", "value": False},
        {"column": "quantity", "op": "gt", "value": 0},
        {"column": "unit_price", "op": "gt", "value": 0},
    ]
}


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def online_retail(stack: Stack, shared_data: Path) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        job = client.import_(
            "order_lines",
            shared_data / "online_retail" / "online_retail.csv.gz",
            timezone=LONDON,
            refund_pattern="^C",
            currency="GBP",
        )
        assert job["status"] == "succeeded", job["error"]
        rows = job["rows"]
        assert rows["read"] == 541_909
        assert rows["inserted"] + rows["updated"] + rows["unchanged"] + rows["rejected"] == 541_909
        assert rows["rejected"] == 0
        yield client


@pytest.fixture(scope="module")
def cdnow(stack: Stack, shared_data: Path) -> Iterator[Client]:
    with Client.of_new_organisation(stack) as client:
        mapping = {"customer_id": "sample_id", "ordered_at": "date", "amount": "usd"}
        job = client.import_("orders", shared_data / "cdnow" / "cdnow_sample.csv.gz", mapping=mapping, currency="USD")
        assert job["status"] == "succeeded", job["error"]
        assert job["rows"]["read"] == job["rows"]["inserted"] == 6_919
        yield client


def _compare_months(result: Json, answers: Path) -> None:
    found = {row["period"][:7]: row for row in as_dicts(result)}
    expected = _rows(answers)
    assert sorted(found) == sorted(row["month"] for row in expected)
    for row in expected:
        ours = found[row["month"]]
        assert Decimal(ours["net"]) == Decimal(row["revenue"]), row["month"]
        assert ours["orders"] == int(row["orders"]), row["month"]
        assert ours["customers"] == int(row["customers"]), row["month"]
        assert float(ours["aov"]) == pytest.approx(float(row["aov"]), abs=5e-7), row["month"]


def _compare_cohorts(result: Json, answers: Path) -> None:
    found = {(row["cohort"][:7], row["period_index"]): row for row in as_dicts(result)}
    expected = _rows(answers)
    for row in expected:
        ours = found.pop((row["cohort"], int(row["month_offset"])))
        assert ours["cohort_size"] == int(row["cohort_size"])
        assert ours["active"] == int(row["active_customers"])
        assert float(ours["rate"]) == pytest.approx(float(row["retention"]), abs=5e-7)
        assert Decimal(ours["revenue"]) == Decimal(row["revenue"])
    # What the answers leave out is what nobody was active in.
    assert all(not row["active"] for row in found.values())


def test_online_retail_by_month(online_retail: Client, shared_data: Path) -> None:
    result = online_retail.report(
        "revenue_trend", period="month", timezone=LONDON, refunds="exclude", filter=KNOWN_AND_POSITIVE
    )
    answers = shared_data / "online_retail/answers/monthly_revenue.csv"
    _compare_months(result, answers)
    rows = as_dicts(result)
    assert sum(Decimal(row["net"]) for row in rows) == Decimal("8911407.904")
    assert sum(row["orders"] for row in rows) == 18_532


def test_online_retail_cohorts(online_retail: Client, shared_data: Path) -> None:
    result = online_retail.report(
        "cohort_retention", period="month", timezone=LONDON, refunds="exclude", filter=KNOWN_AND_POSITIVE
    )
    answers = shared_data / "online_retail/answers/cohort_retention.csv"
    _compare_cohorts(result, answers)
    sizes = {row["cohort"]: row["cohort_size"] for row in as_dicts(result)}
    assert sum(sizes.values()) == 4_338


def test_online_retail_net_of_cancellations(online_retail: Client) -> None:
    known = {"column": "customer_id", "op": "is_null", "value": False}
    result = online_retail.report("revenue_trend", period="month", timezone=LONDON, filter=known)
    assert sum(Decimal(row["net"]) for row in as_dicts(result)) == Decimal("8300065.814")


def test_cdnow_by_month(cdnow: Client, shared_data: Path) -> None:
    result = cdnow.report("revenue_trend", period="month", currency="USD")
    _compare_months(result, shared_data / "cdnow/answers/monthly_revenue.csv")
    assert sum(Decimal(row["net"]) for row in as_dicts(result)) == Decimal("244091.94")


def test_cdnow_cohorts(cdnow: Client, shared_data: Path) -> None:
    result = cdnow.report("cohort_retention", period="month", currency="USD")
    _compare_cohorts(result, shared_data / "cdnow/answers/cohort_retention.csv")


def test_cdnow_rfm_accounts_for_every_customer_and_penny(cdnow: Client) -> None:
    rows = as_dicts(cdnow.report("rfm", currency="USD"))
    assert len(rows) == 2_357
    assert sum(Decimal(row["monetary"]) for row in rows) == Decimal("244091.94")
