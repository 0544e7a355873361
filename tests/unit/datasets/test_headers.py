"""Headers: exact names, usual names, the caller's mapping, and the columns nobody knows."""

import pytest

from analytics import errors
from analytics.datasets import aliases, headers, schemas


def mapped(names: list[str], dataset: str = "orders", **mapping: str | None) -> headers.HeaderMapping:
    return headers.map_headers(names, schemas.DATASETS[dataset], mapping)


def test_every_alias_belongs_to_a_column() -> None:
    for dataset, columns in aliases.ALIASES.items():
        schema = schemas.DATASETS[dataset]
        for name, words in columns.items():
            assert schema.column(name) is not None, (dataset, name)
            assert words.split() == [headers.normalise(word) for word in words.split()], (dataset, name)
    assert set(aliases.ALIASES) == set(schemas.DATASETS)


@pytest.mark.parametrize("header", ["customer_id", "CustomerID", "Customer ID", "CUSTOMER-ID", " customer  id "])
def test_case_and_separators_do_not_matter(header: str) -> None:
    assert mapped(["order_id", header, "ordered_at", "amount"]).canonical["customer_id"] == header


def test_online_retail() -> None:
    names = ["InvoiceNo", "StockCode", "Description", "Quantity", "InvoiceDate", "UnitPrice", "CustomerID", "Country"]
    found = mapped(names, "order_lines")
    assert found.names == (
        "order_id",
        "product_id",
        "product",
        "quantity",
        "ordered_at",
        "unit_price",
        "customer_id",
        "country",
    )
    assert found.extras == ("country",)


def test_an_exact_name_wins_over_a_usual_one() -> None:
    found = mapped(["Date", "ordered_at", "customer_id", "amount", "order_id"])
    assert found.canonical["ordered_at"] == "ordered_at"
    assert found.extras == ("date",)


def test_the_caller_wins_over_both() -> None:
    found = mapped(["Date", "ordered_at", "customer_id", "amount"], ordered_at="date")
    assert found.canonical["ordered_at"] == "Date"
    assert found.names == ("ordered_at", "ordered_at_2", "customer_id", "amount")


def test_missing_columns_say_what_was_seen() -> None:
    with pytest.raises(errors.Refusal) as refused:
        mapped(["order_id", "customer_id", "when"])
    assert refused.value.code == "missing-columns"
    assert refused.value.data == {"missing": ["ordered_at", "amount"], "headers": ["order_id", "customer_id", "when"]}
    assert "'when'" in refused.value.detail


def test_null_says_that_the_file_has_no_such_column() -> None:
    found = mapped(["basket_id", "item"], "order_lines", ordered_at=None, amount=None)
    assert dict(found.canonical) == {"order_id": "basket_id", "product": "item"}


def test_a_key_cannot_be_said_away() -> None:
    with pytest.raises(errors.Refusal) as refused:
        mapped(["name"], "customers", customer_id=None)
    assert refused.value.data["missing"] == ["customer_id"]


def test_columns_that_others_are_derived_from() -> None:
    with pytest.raises(errors.Refusal) as refused:
        mapped(["order_id", "ordered_at", "quantity"], "order_lines")
    assert refused.value.data["missing"] == ["amount or quantity and unit_price"]


@pytest.mark.parametrize(
    ("mapping", "code"),
    [
        ({"amount": "nowhere"}, "unknown-header"),
        ({"amount": "x"}, "ambiguous-header"),
        ({"amount": "total", "customer_id": "total"}, "ambiguous-header"),
    ],
)
def test_a_mapping_that_cannot_be_followed(mapping: dict[str, str], code: str) -> None:
    with pytest.raises(errors.Refusal) as refused:
        mapped(["x", "x", "total", "ordered_at", "order_id", "customer_id"], **mapping)
    assert refused.value.code == code


def test_further_columns_get_safe_names_in_order() -> None:
    found = mapped(["customer_id", "ordered_at", "amount", "UTM Source", "utm-source", "2nd", "", "Größe", "kind of"])
    assert found.extras == ("utm_source", "utm_source_2", "c_2nd", "column_7", "grosse", "kind_of")
