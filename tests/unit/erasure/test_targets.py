"""Receivers without a person: whose share goes, whose stays, and what is left of an address."""

from typing import Any

import pytest

from analytics.datasets.mentions import Mention
from workers.lake_jobs import erasing_targets

WHO = Mention("Zq-17")
SHORT = Mention("17")
EQ = {"column": "customer_id", "op": "eq", "value": "Zq-17"}


def email(**more: Any) -> dict[str, Any]:
    return {"channel": "email", "formats": ["csv"], **more}


@pytest.mark.parametrize(
    ("given", "left"),
    [
        ([email(to=["ada@example.org"])], [email(to=["ada@example.org"])]),
        ([email(to=["ada@example.org"], filter=EQ)], []),
        ([email(to=["ada@example.org"], filter={"not": EQ})], []),
        ([email(to=["ada@example.org", "Zq-17@example.org"])], [email(to=["ada@example.org"])]),
        ([email(to=["Zq-17@example.org"])], []),
        ([email(to=["ada@example.org"], subject="Of Zq-17")], [email(to=["ada@example.org"], subject="Of [erased]")]),
        ([{"channel": "file", "url": "/srv/Zq-17", "format": "csv", "name": "a.csv"}], []),
        ([{"channel": "webhook", "webhook_id": "1"}], [{"channel": "webhook", "webhook_id": "1"}]),
    ],
)
def test_receivers_of_a_schedule(given: list[Any], left: list[Any]) -> None:
    assert erasing_targets.without_wanted(given, WHO) == left


def test_of_many_shares_only_theirs_goes() -> None:
    shares = {"Zq-17": ["jane@example.org"], "C-2": ["jim@example.org"]}
    burst = {"column": "customer_id", "recipients": shares, "otherwise": ["desk@example.org"]}
    [left] = erasing_targets.without_wanted([email(burst=burst)], WHO)
    assert left["burst"]["recipients"] == {"C-2": ["jim@example.org"]}
    assert left["burst"]["otherwise"] == ["desk@example.org"]


def test_where_nobodys_share_is_left_who_gets_the_others_does_not_get_all() -> None:
    burst = {"column": "customer_id", "recipients": {"Zq-17": ["j@example.org"]}, "otherwise": ["desk@example.org"]}
    assert erasing_targets.without_wanted([email(burst=burst)], WHO) == []


@pytest.mark.parametrize(
    ("who", "url", "left"),
    [
        (WHO, "https://example.org/customers/Zq-17?mail=jane@example.org", "https://example.org/[erased]"),
        (WHO, "https://example.org/customers/Zq-18", "https://example.org/customers/Zq-18"),
        (WHO, "https://Zq-17.example.org/hook", "[erased]"),
        (SHORT, "https://example.org/customers/17/hook", "https://example.org/[erased]"),
        (SHORT, "https://example.org/customers/175", "https://example.org/customers/175"),
        (Mention("Jane Doe"), "s3://bucket/Jane%20Doe/x", "s3://bucket/[erased]"),
    ],
)
def test_what_is_left_of_a_url(who: Mention, url: str, left: str) -> None:
    named = erasing_targets.url_names(url, who)
    assert named == (left != url)
    assert erasing_targets.masked_target({"url": url}, who, filter_=None) == {"url": left}


@pytest.mark.parametrize(
    ("filter_", "is_theirs"),
    [
        (EQ, True),
        ({"and": [EQ, {"column": "country", "op": "eq", "value": "GB"}]}, True),
        ({**EQ, "op": "in", "value": ["Zq-17"]}, True),
        ({**EQ, "op": "in", "value": ["Zq-17", "C-2"]}, False),
        ({"or": [EQ, {**EQ, "value": "C-2"}]}, False),
        ({"not": EQ}, False),
        (None, False),
    ],
)
def test_an_address_goes_with_rows_that_were_theirs_alone(filter_: Any, is_theirs: bool) -> None:  # noqa: FBT001 - a case
    target = erasing_targets.masked_target({"to": "jane@example.org", "formats": ["csv"]}, WHO, filter_=filter_)
    assert target == {"to": "[erased]" if is_theirs else "jane@example.org", "formats": ["csv"]}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ('{"id":17}', True),
        ("order-17-late", True),
        ("key_17", True),
        ("175", False),
        ("a17", False),
        ("", False),
    ],
)
def test_a_short_id_in_what_others_have_written(text: str, holds: bool) -> None:  # noqa: FBT001 - a case
    assert SHORT.may_be_in(text) == holds
