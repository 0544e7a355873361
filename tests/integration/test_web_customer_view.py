"""What is known of one customer, over HTTP."""

import urllib.parse
from collections.abc import Iterator
from typing import Any

import flask.testing
import pytest

from analytics.datasets import erasing, persons
from models import lake, settings
from models.api_key import Scope
from tests.integration import web_api
from tests.integration.erasures import Shop
from tests.integration.web_api import Answer, Caller
from web import render_pool

WHO = "Zq/47 11ö"
PATH = "/v1/customers/Zq%2F47%2011%C3%B6"

FILES = {
    "customers": f"customer_id,name,created_at\n{WHO},Ada,2025-12-01\nC-2,Bob,2025-12-02\n",
    "orders": (
        "order_id,customer_id,ordered_at,amount,currency,kind\n"
        f"O1,{WHO},2026-01-02,10.50,GBP,sale\nO2,{WHO},2026-03-04,-2.50,GBP,refund\nO3,{WHO},2026-02-03,7.00,EUR,sale\n"
        # Whose it is only its lines tell.
        "O4,,2026-04-05,1.00,GBP,sale\nO5,C-2,2026-01-09,99.00,GBP,sale\nO6,,2026-01-09,50.00,GBP,sale\n"
    ),
    "order_lines": (
        "order_id,line_no,customer_id,ordered_at,product,amount\n"
        f"O4,1,{WHO},2026-04-05,tea,1.00\nO1,1,,2026-01-02,pot,10.50\nO5,1,,2026-01-09,cup,99.00\n"
        # Two people's order is neither's.
        f"O6,1,{WHO},2026-01-09,jug,25.00\nO6,2,C-2,2026-01-09,jug,25.00\n"
    ),
    "deals": f"deal_id,customer_id,stage,created_at,amount,currency\nD1,{WHO},demo,2026-01-01,500,USD\n",
    "deal_stages": "deal_id,stage,entered_at\nD1,demo,2026-01-05\nD9,demo,2026-01-05\n",
    "leads": f"lead_id,customer_id,created_at\nL1,{WHO},2025-11-01\n",
    "touches": f"touch_id,person_id,channel,occurred_at\nT1,L1,mail,2025-10-01\nT2,{WHO},mail,2025-12-24\nT3,x,mail,2025-10-01\n",
    "activities": "activity_id,customer_id,deal_id,occurred_at\nA1,,D1,2026-01-06\nA2,C-2,D1,2026-01-06\n",
    "subscriptions": f"subscription_id,started_on,customer_id,mrr,currency\nS1,2026-01-01,{WHO},20,GBP\n",
    "fx_rates": "currency,on,rate\nEUR,2026-01-01,0.85\n",
}


@pytest.fixture(scope="module")
def caller(http: flask.testing.FlaskClient) -> Iterator[Caller]:
    """An organisation with data about people, which no test changes."""
    known = web_api.new_caller(http)
    for name, content in FILES.items():
        Shop(known.organisation_id).give(name, content)
    yield known
    render_pool.close_all()


@pytest.fixture
def small(http: flask.testing.FlaskClient) -> Caller:
    """An organisation that has orders and nothing else."""
    known = web_api.new_caller(http)
    Shop(known.organisation_id).give("orders", FILES["orders"])
    return known


def of(answer: Answer, name: str) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    return next(one for one in answer.json["datasets"] if one["dataset"] == name)


def test_everything_that_is_known_of_a_customer(caller: Caller) -> None:
    answer = caller.get(PATH)
    assert answer.json["id"] == WHO
    assert answer.json["links"]["self"] == PATH
    assert answer.json["customer"]["name"] == "Ada"
    assert [one["dataset"] for one in answer.json["datasets"]] == [name for name in persons.TRACES if name in FILES]
    assert {one["version"] for one in answer.json["datasets"]} == {0}
    orders = of(answer, "orders")
    assert (orders["rows"], orders["first_at"], orders["last_at"]) == (
        4,
        "2026-01-02T00:00:00Z",
        "2026-04-05T00:00:00Z",
    )
    assert orders["money"] == [{"currency": "EUR", "amount": "7.00"}, {"currency": "GBP", "amount": "9.00"}]
    assert [row["order_id"] for row in orders["data"]] == ["O4", "O2", "O3", "O1"]
    assert orders["data"][1] == {
        "order_id": "O2",
        "customer_id": WHO,
        "ordered_at": "2026-03-04T00:00:00Z",
        "amount": "-2.50",
        "currency": "GBP",
        "kind": "refund",
    }
    keys = {"order_lines": "product", "deal_stages": "deal_id", "touches": "touch_id", "activities": "activity_id"}
    found = {name: sorted(row[key] for row in of(answer, name)["data"]) for name, key in keys.items()}
    assert found == {
        "order_lines": ["jug", "pot", "tea"],
        "deal_stages": ["D1"],
        "touches": ["T1", "T2"],
        "activities": ["A1"],
    }
    assert of(answer, "subscriptions")["first_at"] == "2026-01-01"


@pytest.mark.parametrize("who", [WHO, "C-2"])
def test_it_is_what_an_erasure_would_find(caller: Caller, who: str, database: settings.Settings) -> None:
    path = PATH if who == WHO else f"/v1/customers/{who}"
    files: dict[str, tuple[str, ...]] = {}
    for name in persons.TRACES:
        found = lake.open_table(
            database.lake_location, organisation_id=str(caller.organisation_id), dataset=name
        ).snapshot()
        files[name] = found.files if found is not None else ()
    with erasing.open_finder(who, spill=database.spill_folder, memory="200MB", threads=1) as finder:
        own = {name: finder.own_records(name, files=files[name], newest=files[name]) for name in persons.PARENTS}
        finder.know(own)
        expected = {name: sum(finder.find(name, files[name]).by_column().values()) for name in persons.TRACES}
    assert {one["dataset"]: one["rows"] for one in caller.get(path).json["datasets"]} == expected


def test_rows_are_bounded_and_counted(caller: Caller) -> None:
    for limit, shown in ((1, ["O4"]), (0, [])):
        orders = of(caller.get(f"{PATH}?limit={limit}"), "orders")
        assert (orders["rows"], [row["order_id"] for row in orders["data"]]) == (4, shown)
    for wrong in ("-1", "101", "x"):
        assert caller.get(f"{PATH}?limit={wrong}").status_code == 422


def test_the_newest_version_is_read(small: Caller) -> None:
    Shop(small.organisation_id).give("orders", f"order_id,customer_id,ordered_at,amount\nO9,{WHO},2026-05-01,3\n")
    answer = small.get(PATH)
    orders = of(answer, "orders")
    assert (orders["version"], orders["rows"]) == (1, 4), "no lines tell whose O4 is"
    assert answer.json["customer"] is None


def test_ids_that_differ_in_white_space_are_different_customers(http: flask.testing.FlaskClient) -> None:
    known = web_api.new_caller(http)
    names = {"X": "plain", "\u3000X\u3000": "wide", "Z\u2009": "thin", "a\nb": "broken", "x" * 3000: "long"}
    rows = "".join(f'"{who}",{name}\n' for who, name in names.items())
    Shop(known.organisation_id).give("customers", f"customer_id,name\n{rows}")
    for who, name in names.items():
        found = known.get(f"/v1/customers/{urllib.parse.quote(who, safe='')}").json
        assert (found["id"], found["customer"]["name"]) == (who, name)
    assert known.get("/v1/customers/Z").status_code == 404


def test_who_is_not_known_is_not_found(caller: Caller) -> None:
    for unknown in ("C-3", "o1", "%20", "a%00b"):
        answer = caller.get(f"/v1/customers/{unknown}")
        assert (answer.status_code, answer.json["type"]) == (404, "/docs/problems/not-found")
    stranger = web_api.new_caller(caller.http)
    assert stranger.get(PATH).status_code == 404
    Shop(stranger.organisation_id).give("orders", FILES["orders"].replace(WHO, "C-9"))
    assert stranger.get(PATH).status_code == 404, "only another organisation knows them"


def test_reading_datasets_is_what_it_takes(caller: Caller) -> None:
    assert web_api.another_key(caller, Scope.REPORTS_READ, Scope.REPORTS_WRITE).get(PATH).status_code == 403
    assert web_api.another_key(caller, Scope.DATASETS_READ).get(PATH).status_code == 200


def test_data_that_are_rewritten_at_the_moment_are_asked_for_later(small: Caller) -> None:
    web_api.give_dataset(small, "orders", version=7)
    answer = small.get(PATH)
    assert (answer.status_code, answer.json["type"]) == (409, "/docs/problems/not-ready")
    assert int(answer.headers["Retry-After"]) >= 1
