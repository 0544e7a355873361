"""Warnings about values: what is said of them, and that they stay as they are."""

import datetime as dt
from typing import Any

import pytest

from analytics import result
from analytics.datasets import remarks
from tests.unit.datasets.conftest import Imported, Importer

TODAY = dt.date(2024, 6, 1)


def said(found: Imported, code: str) -> list[str]:
    return [warning.detail for warning in found.change.warnings if warning.code == code]


def deals(importer: Importer, *products: str, **said: Any) -> Imported:
    lines = "".join(f'{number},Lead,"{product}"\n' for number, product in enumerate(products))
    return importer("deal_id,stage,product\n" + lines, dataset="deals", **said)


def orders(importer: Importer, *moments: str, **said: Any) -> Imported:
    lines = "".join(f"{number},c,{moment},1\n" for number, moment in enumerate(moments))
    return importer("order_id,customer_id,ordered_at,amount\n" + lines, dataset="orders", **said)


def test_a_clean_file_is_met_with_silence(importer: Importer) -> None:
    found = deals(importer, "GTX Pro", "GTX Basic", "MG Special", "GTX Pro")
    assert found.change.warnings == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("GTX Pro", "GTXPro"),
        ("united kingdom", "United Kingdom"),
        ("GTX-Pro", "GTX Pro"),
        ("O'Neil", "O\u2019Neil"),
        ("BREAD BIN, IVORY", "bread bin ivory"),
        ("1.5 kg", "1,5 KG"),
    ],
)
def test_spellings_of_one_thing_are_reported_together_and_kept(importer: Importer, one: str, other: str) -> None:
    found = deals(importer, one, one, other, "Something else")
    (detail,) = said(found, "similar-values")
    assert f"{one!r} (2 rows) and {other!r} (1 row)" in detail
    assert sorted(row["product"] for row in found.rows) == sorted([one, one, other, "Something else"])


@pytest.mark.parametrize(
    ("one", "other"), [("A+", "A-"), ("A", "A-"), ("C", "C#"), ("1.5", "15"), ("0-10", "010"), ("1/2", "12")]
)
def test_what_a_sign_tells_apart_is_not_similar(importer: Importer, one: str, other: str) -> None:
    assert said(deals(importer, one, other), "similar-values") == []


def test_spellings_are_compared_with_those_in_the_table(importer: Importer) -> None:
    first = deals(importer, "GTX Pro", "Old Thing", "old thing")
    found = importer("deal_id,stage,product\n9,Lead,GTX PRO\n", dataset="deals", into=first)
    (detail,) = said(found, "similar-values")
    assert "'GTX PRO' (1 row) and 'GTX Pro' (in the table before)" in detail


def test_further_columns_are_compared_where_their_values_are_few(importer: Importer) -> None:
    many = "".join(f"{number},n{number},{'Retail' if number % 2 else 'retail'}\n" for number in range(2_000))
    again = "2000,N1,Retail\n"
    found = importer("customer_id,note,shelf\n" + many + again, dataset="customers")
    (detail,) = said(found, "similar-values")
    assert "column shelf" in detail
    assert "'Retail' (1,001 rows) and 'retail' (1,000 rows)" in detail


def test_names_of_people_and_keys_are_not_compared(importer: Importer) -> None:
    found = importer("customer_id,name,email\na b,Ann Lee,a@x.com\nA B,ann lee,b@x.com\n", dataset="customers")
    assert found.change.warnings == ()


def test_a_word_whose_parts_are_words_elsewhere_is_reported_and_kept(importer: Importer) -> None:
    found = deals(importer, *["GTXPro"] * 3, "GTX Basic", "MG Pro", "LinkedIn", "Pro")
    (detail,) = said(found, "run-together")
    assert "'GTXPro' (3 rows) is one word" in detail
    assert "'GTX Basic' and 'MG Pro'" in detail
    assert [row["product"] for row in found.rows].count("GTXPro") == 3


@pytest.mark.parametrize("product", ["GTXPlus", "gtxpro", "GTX_Pro", "Q1", "GTXPro2"])
def test_other_words_are_not_run_together(importer: Importer, product: str) -> None:
    assert said(deals(importer, product, "GTX Basic", "MG Pro", "Q 1"), "run-together") == []


def test_references_into_the_void_are_counted_and_the_nearest_known_value_is_shown(importer: Importer) -> None:
    customers = importer("customer_id\nAcme Ltd\nGlobex\nInitech 1\n", dataset="customers")
    known = remarks.Known(others={"customers": customers.current.files})
    rows = ["acme  ltd", "acme  ltd", "Globx", "Initech 2", "Globex", "", "Zz"]
    content = "deal_id,stage,customer_id\n" + "".join(f"{n},Lead,{row}\n" for n, row in enumerate(rows))
    found = importer(content, dataset="deals", known=known)
    (detail,) = said(found, "unmatched-references")
    assert detail.startswith(
        "5 of 6 rows (83 %) with a customer_id have one that customers does not have; 4 values: "
        "'acme  ltd' (2; nearest known: 'Acme Ltd'), 'Globx' (1; nearest known: 'Globex'), 'Initech 2' (1), 'Zz' (1)."
    )
    assert found.counts == (7, 7, 0, 0, 0)
    assert importer(content, dataset="deals").change.warnings == (), "without customers there is nothing to miss"


def test_of_many_unmatched_values_the_most_frequent_are_shown(importer: Importer) -> None:
    customers = importer("customer_id\nz\n", dataset="customers")
    known = remarks.Known(others={"customers": customers.current.files})
    lines = "".join(f"{n},c{n % 9},2024-01-01,1\n" for n in range(13)) + "99,z,2024-01-01,1\n"
    found = importer("order_id,customer_id,ordered_at,amount\n" + lines, dataset="orders", known=known)
    (detail,) = said(found, "unmatched-references")
    assert detail.startswith("13 of 14 rows (93 %)")
    assert "9 values: 'c0' (2), 'c1' (2), 'c2' (2), 'c3' (2), 'c4' (1), …" in detail


def test_rows_that_repeat_are_counted_where_only_their_place_tells_them_apart(importer: Importer) -> None:
    line = "1,a,2024-01-01,2,5\n"
    found = importer(
        "order_id,product,ordered_at,quantity,unit_price\n" + line * 3 + "1,b,2024-01-01,2,5\n", dataset="order_lines"
    )
    (detail,) = said(found, "repeated-rows")
    assert detail.startswith("2 rows are the same")
    assert "line_no" in detail
    assert found.counts == (4, 4, 0, 0, 0)
    numbered = "order_id,line_no,ordered_at,amount\n1,1,2024-01-01,5\n1,1,2024-01-01,5\n"
    assert said(importer(numbered, dataset="order_lines"), "repeated-rows") == []


def test_dates_far_away_are_reported_and_kept(importer: Importer) -> None:
    moments = [
        "1969-12-31",
        "1969-12-30T10:00:00",
        "1970-01-01",
        "2024-06-01",
        "2025-06-02",
        "2025-06-03",
        "2999-01-01",
    ]
    found = orders(importer, *moments, known=remarks.Known(TODAY))
    early, late = said(found, "far-dates")
    assert early == "2 rows have ordered_at before 1970-01-01, as early as 1969-12-30. They were kept."
    assert late == "2 rows have ordered_at after 2025-06-02, as late as 2999-01-01. They were kept."
    assert found.counts == (7, 7, 0, 0, 0)
    assert said(orders(importer, *moments), "far-dates") == [], "without a day nothing is far ahead"


def test_what_is_planned_may_be_far_ahead(importer: Importer) -> None:
    header = "subscription_id,started_on,ended_on,customer_id,mrr\n"
    found = importer(header + "1,2024-01-01,2034-01-01,a,1\n", dataset="subscriptions", known=remarks.Known(TODAY))
    assert found.change.warnings == ()
    found = importer(header + "1,2024-01-01,2999-12-31,a,1\n", dataset="subscriptions", known=remarks.Known(TODAY))
    (detail,) = said(found, "far-dates")
    assert "ended_on after" in detail


def test_columns_without_any_value_are_reported(importer: Importer) -> None:
    found = importer(
        "Customer ID,E-mail Address,nothing\n1,,\n2,N/A,\n", dataset="customers", mapping={"email": "E-mail Address"}
    )
    assert said(found, "empty-column") == ["The column 'E-mail Address' (email) has no value in any row."]


def test_of_each_kind_only_so_many_are_told(importer: Importer) -> None:
    products = [spelling for number in range(30) for spelling in (f"thing x{number}", f"Thing X{number}")]
    found = deals(importer, *products)
    details = said(found, "similar-values")
    assert len(details) == remarks.MOST_OF_A_KIND + 1
    assert details[-1] == "There are 10 more of this kind."


def test_long_lists_and_long_values_are_cut(importer: Importer) -> None:
    spellings = ["a" * n + " " + "a" * (200 - n) for n in range(1, 20)]
    (detail,) = said(deals(importer, *spellings), "similar-values")
    assert len(detail) < 1_500
    assert "and 11 more" in detail


def test_the_warnings_of_reading_come_first(importer: Importer) -> None:
    found = deals(importer, "GTX Pro", "gtx pro")
    mixed = importer("deal_id,stage,product\n1,Lead,GTX Pro\n,,\n2,Lead,gtx pro\n", dataset="deals")
    assert [type(warning) for warning in found.change.warnings] == [result.ResultWarning]
    assert [warning.code for warning in mixed.change.warnings] == ["blank-lines", "similar-values"]
