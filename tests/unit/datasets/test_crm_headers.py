"""Exports of CRMs, shops and billing systems: each is recognised, and each of its headers is the column it should be."""

import csv
import io
from collections import Counter
from pathlib import Path
from typing import Any

import duckdb
import pytest

from analytics import errors
from analytics.datasets import aliases, evidence, guessing, headers, layouts, schemas
from tests.unit.datasets import crm_exports, shop_exports
from tests.unit.datasets.conftest import Importer
from tests.unit.datasets.crm_exports import Export

EXPORTS = (*crm_exports.EXPORTS, *shop_exports.EXPORTS)
SHOPIFY = (
    "Name,Email,Financial Status,Currency,Subtotal,Total,Created at,"
    "Lineitem quantity,Lineitem name,Lineitem price,Lineitem sku\n"
)


def looked_at(export: Export, rows: int = 5) -> tuple[evidence.Evidence, ...]:
    """The evidence of a file of such rows, whose first column is distinct."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["_line", *(f"c{position}" for position in range(len(export.names)))])
    for number in range(rows):
        cells = [export.values.get(name, "") for name in export.names]
        key = export.names.index(export.mapping[schemas.DATASETS[export.dataset].key[0]])
        cells[key] = f"{number}{cells[key]}"
        writer.writerow([number + 2, *cells])
    with duckdb.connect() as connection:
        connection.register("text", _table(out.getvalue()))
        return evidence.look(connection, "text", len(export.names))


def _table(text: str) -> Any:
    import pyarrow as pa  # noqa: PLC0415 - only here
    import pyarrow.csv as pa_csv  # noqa: PLC0415 - only here

    names = text.split("\r\n", 1)[0].split(",")
    types = {name: pa.int64() if name == "_line" else pa.string() for name in names}
    options = pa_csv.ConvertOptions(column_types=types, strings_can_be_null=True)
    return pa_csv.read_csv(io.BytesIO(text.encode()), convert_options=options)


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.layout)
def test_the_headers_of_an_export_are_the_columns_they_should_be(export: Export) -> None:
    found = headers.map_headers(export.names, schemas.DATASETS[export.dataset], {})
    assert found.layout is not None
    assert found.layout.title == export.layout
    assert dict(found.canonical) == export.mapping


@pytest.mark.parametrize("export", EXPORTS, ids=lambda export: export.layout)
def test_an_export_is_recognised_without_a_word(export: Export) -> None:
    candidates = guessing.rank(export.names, looked_at(export), {})
    chosen = guessing.choose(candidates)
    assert chosen is not None, candidates
    assert chosen.dataset == export.dataset
    assert export.layout in chosen.why


def test_every_layout_has_an_example_and_names_real_columns() -> None:
    as_orders = {"Shopify: orders, as orders"}
    assert {layout.title for layout in layouts.ALL} == {export.layout for export in EXPORTS} | as_orders
    assert max(Counter(layout.title for layout in layouts.ALL).values()) == 1
    for layout in layouts.ALL:
        columns = {column.name for column in schemas.DATASETS[layout.dataset].columns}
        assert set(layout.columns) <= columns, layout.title
        words = {word for headers_ in layout.columns.values() for word in headers_} | layout.telltales | layout.carried
        assert words == {headers.normalise(word) for word in words}, layout.title


def test_a_stable_id_goes_before_a_name_and_an_email_comes_last() -> None:
    for dataset, usual in aliases.ALIASES.items():
        words = usual.get("customer_id", "").split()
        emails = [place for place, word in enumerate(words) if "email" in word]
        assert emails == list(range(len(words) - len(emails), len(words))), dataset
        if "accountname" in words:
            assert words.index("accountid") < words.index("accountname"), dataset


def test_lines_of_a_shopify_order_know_its_customer_and_its_time(importer: Importer) -> None:
    done = importer(
        SHOPIFY + "#1001,ada@example.com,paid,USD,47.00,56.29,2026-09-03 10:14:00 -0400,2,Print,16.00,FERN-1\n"
        "#1001,,,,,,,1,Bag,20.00,TOTE-1\n"
        "#1002,bo@example.com,paid,USD,25.00,25.00,2026-09-10 09:00:00 -0400,1,Mug,25.00,MUG-1\n",
        dataset="order_lines",
    )
    assert done.counts == (3, 3, 0, 0, 0)
    rows = done.select(
        "order_id, line_no, customer_id, currency, amount::VARCHAR AS amount, financial_status, total::VARCHAR AS total"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("#1001", 1, "ada@example.com", "USD", "32.00000000", "paid", "56.2900"),
        ("#1001", 2, "ada@example.com", "USD", "20.00000000", "paid", None),
        ("#1002", 1, "bo@example.com", "USD", "25.00000000", "paid", "25.0000"),
    ]
    assert len({row["ordered_at"] for row in done.select("ordered_at, order_id") if row["order_id"] == "#1001"}) == 1
    assert "order-fields-carried" in {warning.code for warning in done.change.warnings}
    assert "customers-by-email" in {warning.code for warning in done.change.warnings}


def test_a_shopify_export_read_as_orders_has_each_order_once(importer: Importer) -> None:
    done = importer(
        SHOPIFY + "#1001,ada@example.com,paid,USD,47.00,56.29,2026-09-03 10:14:00 -0400,2,Print,16.00,FERN-1\n"
        "#1001,,,,,,,1,Bag,20.00,TOTE-1\n",
        dataset="orders",
    )
    rows = done.select("order_id, customer_id, amount::VARCHAR AS amount")
    assert [tuple(row.values()) for row in rows] == [("#1001", "ada@example.com", "56.2900")]
    assert done.counts[-1] == 0


def test_nothing_is_carried_in_a_file_of_no_known_layout(importer: Importer) -> None:
    done = importer("Name,Created at,Email,Total\n#1,2026-01-02,a@example.com,5\n#1,,,\n", dataset="orders")
    assert done.rejects[0]["code"] == "missing-value"
    assert not done.change.warnings or "order-fields-carried" not in {warning.code for warning in done.change.warnings}


def test_rows_without_an_order_get_nothing_from_one_another(importer: Importer) -> None:
    done = importer(
        SHOPIFY + ",ada@example.com,paid,USD,1,1,2026-09-03,2,Print,16.00,F\n,,,,,,,1,Bag,20.00,T\n"
        "#1,b@example.com,,,,,2026-09-03,1,,1,\n#1,,,,,,,1,,2,\n",
        dataset="order_lines",
    )
    assert [reject["line"] for reject in done.rejects] == [2, 3]
    assert [row["customer_id"] for row in done.select("customer_id")] == ["b@example.com"] * 2


def test_the_one_close_date_of_a_crm_is_expected_while_a_deal_is_open(importer: Importer) -> None:
    done = importer(
        "Id,StageName,CloseDate\nA,Closed Won,2024-05-06\nB,Negotiation,2030-05-06\nC,Closed Lost,2024-06-07\n",
        dataset="deals",
    )
    rows = done.select(
        "deal_id, status, strftime(closed_at, '%Y-%m-%d') AS closed, expected_close_on::VARCHAR AS expected"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("A", "won", "2024-05-06", None),
        ("B", "open", None, "2030-05-06"),
        ("C", "lost", "2024-06-07", None),
    ]


def test_a_file_with_both_close_dates_keeps_them(importer: Importer) -> None:
    done = importer("deal_id,stage,closed_at,expected_close_on\nA,Negotiation,2024-05-06,2030-01-01\n", dataset="deals")
    assert done.select("expected_close_on::VARCHAR AS e, closed_at IS NULL AS n") == [{"e": "2030-01-01", "n": False}]


@pytest.mark.parametrize(
    "names",
    [
        ["order_id", "Date", "Date", "amount", "customer_id"],
        ["order_id", "Order Date", "order_date", "amount", "customer_id"],
    ],
)
def test_two_headers_that_are_equally_good_are_a_question(names: list[str]) -> None:
    with pytest.raises(errors.Refusal) as refused:
        headers.map_headers(names, schemas.DATASETS["orders"], {})
    assert refused.value.code == "ambiguous-header"
    assert refused.value.data == {"column": "ordered_at", "equals": names[1:3], "headers": names}


def test_a_column_may_be_named_by_its_place() -> None:
    names = ["order_id", "Date", "Date", "amount", "customer_id"]
    found = headers.map_headers(names, schemas.DATASETS["orders"], {"ordered_at": "#3"})
    assert found.names == ("order_id", "date", "ordered_at", "amount", "customer_id")
    with pytest.raises(errors.Refusal) as refused:
        headers.map_headers(names, schemas.DATASETS["orders"], {"ordered_at": "#6"})
    assert refused.value.code == "unknown-header"
    by_name = headers.map_headers(["#2", "x", "date", "customer"], schemas.DATASETS["orders"], {"amount": "#2"})
    assert by_name.names[0] == "amount"


def test_a_header_that_says_utc_is_not_passed_over(importer: Importer) -> None:
    text = "id,Amount,Amount Refunded,Currency,Status,Created (UTC),Customer ID\nch_1,1,0,usd,Paid,2024-07-01 10:00,c\n"
    warned = importer(text, dataset="orders", timezone="Europe/Berlin")
    assert "zone-in-header" in {warning.code for warning in warned.change.warnings}
    quiet = importer(text, dataset="orders", timezone="UTC")
    assert "zone-in-header" not in {warning.code for warning in quiet.change.warnings}


def test_the_demo_asks_the_same_question(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order_id,customer_id,ordered_at,amount\n1,a,2024-01-02,3\n2,b,2024-01-03,4\n")
    assert guessing.guess_dataset(path, among=("order_lines", "orders")) == "orders"
    path.write_text("name,colour\na,red\n")
    assert guessing.guess_dataset(path, among=("order_lines", "orders")) is None


@pytest.mark.parametrize(
    ("title", "dataset", "named"),
    [
        (
            "Shopify: orders, as lines",
            "order_lines",
            ("financial_status", "cancelled_at", "voided", "refunded", "Refunded Amount"),
        ),
        (
            "Shopify: orders, as lines",
            "orders",
            ("financial_status", "cancelled_at", "voided", "refunded", "Refunded Amount"),
        ),
        ("WooCommerce: orders, one row per item", "order_lines", ("status", "cancelled", "failed", "refunded")),
        ("WooCommerce: orders", "orders", ("status", "cancelled", "failed", "refunded")),
        ("Stripe: payments", "orders", ("status", "Failed", "Refunded", "Amount Refunded")),
        ("Stripe: invoices", "orders", ("status", "void", "uncollectible")),
    ],
)
def test_sales_that_came_to_nothing_are_spoken_of(
    importer: Importer, title: str, dataset: str, named: tuple[str, ...]
) -> None:
    export = next(one for one in shop_exports.EXPORTS if one.layout == title)
    out = io.StringIO()
    csv.writer(out).writerows([export.names, [export.values.get(name, "") for name in export.names]])
    found = importer(out.getvalue(), dataset=dataset, max_rejects=0)
    advice = [warning.detail for warning in found.change.warnings if warning.code == "layout-advice"]
    assert len(advice) == 1
    assert [word for word in named if word not in advice[0]] == []
    # What the advice filters by is there to be filtered by.
    filtered = {word for word in named if f"`{word}`" in advice[0]}
    assert filtered
    assert filtered <= set(found.change.schema.names)
