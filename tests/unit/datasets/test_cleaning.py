"""Values: numbers, dates, text, choices, derived columns, and the rows that are rejected for them."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from analytics import errors
from analytics.datasets import profiling, schemas
from tests.unit.datasets.conftest import Imported, Importer

UTC = dt.UTC


def orders(importer: Importer, *amounts: str, **said: Any) -> Imported:
    lines = "".join(f'{number};c;2020-01-31;"{amount}"\n' for number, amount in enumerate(amounts))
    return importer("order_id;customer_id;ordered_at;amount\n" + lines, dataset="orders", **said)


def dated(importer: Importer, *moments: str, **said: Any) -> Imported:
    lines = "".join(f'{number};c;"{moment}";1\n' for number, moment in enumerate(moments))
    return importer("order_id;customer_id;ordered_at;amount\n" + lines, dataset="orders", **said)


def values(found: Imported, column: str) -> list[Any]:
    return [row[column] for row in found.rows]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("12", "12"),
        ("-12.5", "-12.5"),
        ("1,234.50", "1234.50"),
        ("1,234,567.89", "1234567.89"),
        ("(45.00)", "-45"),
        ("£12", "12"),
        ("£ 1,234.50", "1234.50"),
        ("-£12.10", "-12.1"),
        ("(£1,000.25)", "-1000.25"),
        ("12.50 EUR", "12.5"),
        ("USD 12.50", "12.5"),
        ("12.50-", "-12.5"),
        ("+7", "7"),
        ("1 234.50", "1234.5"),
        ("1\u00a0234\u00a0567.5", "1234567.5"),
        ("1'234.50", "1234.5"),
        (".5", "0.5"),
        ("12.34000000", "12.34"),
        ("99999999999999.9999", "99999999999999.9999"),
    ],
)
def test_numbers_under_a_point(importer: Importer, written: str, meant: str) -> None:
    found = orders(importer, written, "0.25")
    assert values(found, "amount") == [Decimal(meant), Decimal("0.25")]


@pytest.mark.parametrize(
    ("written", "meant"),
    [("1.234,50", "1234.5"), ("12,5", "12.5"), ("1 234,50 €", "1234.5"), ("(45,00)", "-45"), ("1.234.567", "1234567")],
)
def test_numbers_under_a_comma(importer: Importer, written: str, meant: str) -> None:
    found = orders(importer, written, "0,25")
    assert values(found, "amount") == [Decimal(meant), Decimal("0.25")]
    assert found.staged.facts["decimal"] == ","


@pytest.mark.parametrize(("sign", "meant"), [(".", "1.234"), (",", "1234")])
def test_a_sign_that_is_not_clear_is_asked_for(importer: Importer, sign: str, meant: str) -> None:
    with pytest.raises(errors.Refusal) as refused:
        orders(importer, "1.234", "5")
    assert refused.value.code == "ambiguous-decimal-sign"
    assert values(orders(importer, "1.234", "5", decimal=sign), "amount") == [Decimal(meant), Decimal(5)]


@pytest.mark.parametrize(
    ("written", "code"),
    [
        ("abc", "bad-number"),
        ("1.2.3", "bad-number"),
        ("12 34", "bad-number"),
        ("1,23", "bad-number"),
        ("0x10", "bad-number"),
        ("inf", "bad-number"),
        ("1e5", "bad-number"),
        ("1.23456", "too-many-decimals"),
        ("123456789012345", "out-of-range"),
        ("", "missing-value"),
    ],
)
def test_bad_numbers_reject_their_row(importer: Importer, written: str, code: str) -> None:
    found = orders(importer, "0.25", written, "1.75", decimal=".")
    assert values(found, "amount") == [Decimal("0.25"), Decimal("1.75")]
    assert [(row["line"], row["column"], row["code"]) for row in found.rejects] == [(3, "amount", code)]
    assert found.rejects[0]["value"] == (written or None)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2020-02-29", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("2020-02-29T12:30", dt.datetime(2020, 2, 29, 12, 30, tzinfo=UTC)),
        ("2020-02-29 12:30:15", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("2020-02-29T12:30:15.123456", dt.datetime(2020, 2, 29, 12, 30, 15, 123456, tzinfo=UTC)),
        ("2020-02-29T12:30:15Z", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("2020-02-29T12:30:15+02:00", dt.datetime(2020, 2, 29, 10, 30, 15, tzinfo=UTC)),
        ("2020-02-29 12:30:15 -0500", dt.datetime(2020, 2, 29, 17, 30, 15, tzinfo=UTC)),
        ("2020-02-29 12:30:15 UTC", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("29/02/2020", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("02/29/2020 1:05 PM", dt.datetime(2020, 2, 29, 13, 5, tzinfo=UTC)),
        ("29.02.2020 12:30", dt.datetime(2020, 2, 29, 12, 30, tzinfo=UTC)),
        ("29-Feb-20", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("February 29, 2020", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("29 Feb 2020 12:30:15", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("2020/2/29", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("20200229", dt.datetime(2020, 2, 29, tzinfo=UTC)),
        ("1582979415", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
        ("1582979415000", dt.datetime(2020, 2, 29, 12, 30, 15, tzinfo=UTC)),
    ],
)
def test_times(importer: Importer, written: str, meant: dt.datetime) -> None:
    assert values(dated(importer, written), "ordered_at") == [meant]


def test_times_without_a_zone_are_in_the_imports(importer: Importer) -> None:
    found = dated(importer, "2020-01-15 12:00", "2020-07-15 12:00", "2020-07-15T12:00Z", timezone="Europe/Berlin")
    assert [moment.hour for moment in values(found, "ordered_at")] == [11, 10, 12]


def test_one_value_far_down_decides_the_order_of_day_and_month(importer: Importer) -> None:
    found = dated(importer, *["05/04/2020"] * 3000, "13/04/2020")
    assert {moment.month for moment in values(found, "ordered_at")} == {4}
    found = dated(importer, *["05/04/2020"] * 3000, "04/13/2020")
    assert {moment.month for moment in values(found, "ordered_at")} == {5, 4}


def test_an_order_that_nothing_decides_is_asked_for(importer: Importer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        dated(importer, "05/04/2020", "06/04/2020")
    assert refused.value.code == "ambiguous-date-order"
    assert refused.value.data["header"] == "ordered_at"
    found = dated(importer, "05/04/2020", "06/04/2020", date_format="MDY")
    assert [moment.month for moment in values(found, "ordered_at")] == [5, 6]
    found = dated(importer, "05/04/2020", "06/04/2020", date_format="DD/MM/YYYY")
    assert [moment.month for moment in values(found, "ordered_at")] == [4, 4]


def test_dates_that_mean_the_same_either_way_are_not_ambiguous(importer: Importer) -> None:
    assert [moment.month for moment in values(dated(importer, "05/05/2020", "06/06/2020"), "ordered_at")] == [5, 6]


def test_evidence_both_ways_is_ambiguous(importer: Importer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        dated(importer, "05/04/2020", "13/04/2020", "04/13/2020")
    assert refused.value.code == "ambiguous-date-order"


@pytest.mark.parametrize(
    "written", ["2021-02-29", "2020-13-01", "31/12/2020", "yesterday", "10000-01-01", "2020-01-01 25:00"]
)
def test_bad_dates_reject_their_row(importer: Importer, written: str) -> None:
    found = dated(importer, "2020-01-01", written, "2020-01-02", "2020-01-03")
    assert len(found.rows) == 3
    assert [(row["line"], row["code"], row["value"]) for row in found.rejects] == [(3, "bad-timestamp", written)]


def test_text_is_trimmed_composed_and_nulled(importer: Importer) -> None:
    found = importer(
        "customer_id,name,email,phone,city,country\n"
        "1,  Zoe\u0308\u00a0, ANN@Example.COM ,+44 (0)20 7946 0018,NULL,NA\n"
        "2,n/a,None, 020 7946 0018 , NaN ,-\n"
        "3,nil,unknown,0044 20 7946 0018,NA,GB\n",
        dataset="customers",
        null_values=["unknown"],
    )
    names = ("name", "email", "phone", "city", "country")
    assert [tuple(row[name] for name in names) for row in found.rows] == [
        ("Zo\u00eb", "ann@example.com", "+442079460018", None, "NA"),
        (None, None, "020 7946 0018", None, None),
        (None, None, "+442079460018", None, "GB"),
    ]


def test_further_columns_are_typed_by_all_their_values(importer: Importer) -> None:
    header = "customer_id,visits,score,born,seen,member,zip,mixed,blank,late\n"
    rows = (
        "1,3,1.50,1990-01-31,2020-01-01 10:00,true,01234,1,,1\n"
        "2,-4,20,1991-01-31,2020-01-01T10:00:00Z,FALSE,56789,1.5x,,2020-02-30\n"
    )
    found = importer(header + rows, dataset="customers")
    kinds = {name: column.kind.value for name, column in found.change.types.items()}
    assert {name: kinds[name] for name in header.strip().split(",")[1:]} == {
        "visits": "int",
        "score": "decimal",
        "born": "date",
        "seen": "timestamp",
        "member": "bool",
        "zip": "text",
        "mixed": "text",
        "blank": "text",
        "late": "text",
    }
    first = found.rows[0]
    assert (first["visits"], first["score"], first["member"], first["zip"]) == (3, Decimal("1.5"), True, "01234")


def test_an_amount_of_a_line_is_exact(importer: Importer) -> None:
    found = importer(
        "order_id,ordered_at,quantity,unit_price\n1,2020-01-01,3.3333,1.2345\n1,2020-01-01,-2,0.001\n1,2020-01-01,,5\n",
        dataset="order_lines",
    )
    assert [row["amount"] for row in found.rows] == [Decimal("4.11495885"), Decimal("-0.002"), None]
    assert [row["kind"] for row in found.rows] == ["sale", "refund", "sale"]
    assert [row["line_no"] for row in found.rows] == [1, 2, 3]
    assert {row["currency"] for row in found.rows} == {"EUR"}


def test_refunds_are_told_by_sign_or_by_pattern(importer: Importer) -> None:
    found = importer(
        "order_id,customer_id,ordered_at,amount\nC1,a,2020-01-01,5\n2,a,2020-01-01,-5\n3,a,2020-01-01,0\n4C,a,2020-01-01,1\n",
        dataset="orders",
        refund_pattern="^C",
    )
    assert {row["order_id"]: row["kind"] for row in found.rows} == {
        "C1": "refund",
        "2": "refund",
        "3": "sale",
        "4C": "sale",
    }


def test_a_kind_is_understood_or_rejected(importer: Importer) -> None:
    found = importer(
        "order_id,customer_id,ordered_at,amount,kind\n1,a,2020-01-01,5,Returned\n2,a,2020-01-01,5,\n3,a,2020-01-01,5,gift\n",
        dataset="orders",
    )
    assert [row["kind"] for row in found.rows] == ["refund", "sale"]
    assert [(row["column"], row["code"], row["value"]) for row in found.rejects] == [("kind", "bad-choice", "gift")]


def test_a_rate_is_above_zero(importer: Importer) -> None:
    found = importer(
        "currency,on,rate\nEUR,2024-01-01,0.85\nEUR,2024-02-01,0\nUSD,2024-01-01,-0.8\n", dataset="fx_rates"
    )
    assert [row["currency"] for row in found.rows] == ["EUR"]
    assert [(row["line"], row["code"], row["value"]) for row in found.rejects] == [
        (3, "not-positive", "0"),
        (4, "not-positive", "-0.8"),
    ]


def test_orders_without_ids_get_stable_ones(importer: Importer) -> None:
    content = "customer_id,ordered_at,amount\na,2020-01-01,1\na,2020-01-01,1\nb,2020-01-01,2\n,2020-01-01,3\n"
    found = importer(content, dataset="orders")
    assert [row["order_id"] for row in found.rows] == [
        "a/2020-01-01T00:00:00.000000Z/1",
        "a/2020-01-01T00:00:00.000000Z/2",
        "b/2020-01-01T00:00:00.000000Z/1",
    ]
    assert [(row["column"], row["code"]) for row in found.rejects] == [("order_id", "missing-value")]
    again = importer(content, dataset="orders", into=found)
    assert again.counts == (4, 0, 0, 3, 1)


def test_lines_without_order_ids_are_gathered_by_customer_and_time(importer: Importer) -> None:
    found = importer(
        "customer_id,ordered_at,amount\na,2020-01-01 10:00,1\na,2020-01-01 10:00,2\na,2020-01-01 10:01,3\n",
        dataset="order_lines",
    )
    assert [(row["order_id"][-16:], row["line_no"]) for row in found.rows] == [
        ("10:00:00.000000Z", 1),
        ("10:00:00.000000Z", 2),
        ("10:01:00.000000Z", 1),
    ]


def test_a_status_is_read_from_the_stage(importer: Importer) -> None:
    found = importer("deal_id,stage\n1,Closed Won\n2,Lost\n3,Prospecting\n", dataset="deals")
    assert [row["status"] for row in found.rows] == ["won", "lost", "open"]


def test_rates_keep_their_decimals(importer: Importer) -> None:
    found = importer("currency,date,rate\nidr,2020-01-31,0.0000613\n", dataset="fx_rates")
    assert found.rows == [{"currency": "IDR", "on": dt.date(2020, 1, 31), "rate": Decimal("0.0000613")}]


def test_too_many_rejects_write_nothing(importer: Importer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        orders(importer, *["0.5"] * 8, "x", "y", max_rejects=0.1)
    assert refused.value.code == "too-many-rejects"
    assert refused.value.data["by_code"] == {"bad-number": 2}
    assert [sample["line"] for sample in refused.value.data["samples"]] == [10, 11]
    assert orders(importer, *["0.5"] * 9, "x", max_rejects=0.1).counts == (10, 9, 0, 0, 1)


@pytest.mark.parametrize("dataset", list(schemas.DATASETS))
def test_every_dataset_can_be_imported(importer: Importer, dataset: str) -> None:
    examples = {"text": "x", "int": "1", "decimal": "1.5", "timestamp": "2020-01-01 10:00", "date": "2020-01-01"}
    columns = schemas.DATASETS[dataset].columns
    cells = [column.choices[0] if column.choices else examples[column.kind.value] for column in columns]
    content = ",".join(column.name for column in columns) + "\n" + ",".join(cells) + "\n"
    found = importer(content, dataset=dataset)
    assert found.counts == (1, 1, 0, 0, 0)
    assert list(found.rows[0]) == [column.name for column in columns]
    assert None not in found.rows[0].values()


# More rows than are looked at before the questions about all of them are chosen.
MANY = profiling.SAMPLE_ROWS + 1000


@pytest.mark.parametrize(
    ("later", "meant"), [("£7", "7"), ("1,234.50", "1234.5"), ("7.125", "7.125"), (" 7 ", "7"), ("7e0", None)]
)
def test_numbers_that_change_after_the_first_rows(importer: Importer, later: str, meant: str | None) -> None:
    found = orders(importer, *["2.50"] * MANY, later)
    last = found.select("max_by(amount, CAST(order_id AS INT)) AS amount")[0]["amount"]
    assert last == Decimal(meant or "2.50")
    assert found.counts == (MANY + 1, MANY + bool(meant), 0, 0, not meant)
    assert [row["line"] for row in found.rejects] == ([] if meant else [MANY + 2])


def test_points_that_may_separate_thousands_after_the_first_rows_are_refused(importer: Importer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        orders(importer, *["2"] * MANY, "1.234")
    assert refused.value.code == "ambiguous-decimal-sign"


@pytest.mark.parametrize("first", ["2020-01-31T10:00:00Z", "2020-01-31 10:00", "2020-01-31"])
@pytest.mark.parametrize(
    ("later", "meant"),
    [
        ("2020-07-01 12:00:00.5Z", dt.datetime(2020, 7, 1, 12, 0, 0, 500_000, tzinfo=UTC)),
        ("2020-07-01T12:00:00 UTC", dt.datetime(2020, 7, 1, 12, tzinfo=UTC)),
        ("2020-07-01 12:00 +02:00", dt.datetime(2020, 7, 1, 10, tzinfo=UTC)),
        ("2020-07-01 12:00", dt.datetime(2020, 7, 1, 11, tzinfo=UTC)),
        ("2020-02-30T10:00:00Z", None),
        ("soon", None),
    ],
)
def test_times_that_change_after_the_first_rows(
    importer: Importer, first: str, later: str, meant: dt.datetime | None
) -> None:
    found = dated(importer, *[first] * MANY, later, timezone="Europe/London")
    assert found.counts == (MANY + 1, MANY + bool(meant), 0, 0, not meant)
    if meant:
        assert found.select("max(ordered_at) AS last")[0]["last"] == meant
    else:
        assert [(row["line"], row["code"]) for row in found.rejects] == [(MANY + 2, "bad-timestamp")]


@pytest.mark.parametrize("space", [" ", "\t", "\u00a0", "\u200b"])
def test_white_space_that_begins_after_the_first_rows_is_removed(importer: Importer, space: str) -> None:
    rows = "".join(f"{number},Ann\n" for number in range(MANY))
    found = importer(f"customer_id,name\n{rows}x,Bo{space}\ny,{space}-\nz{space},{space}é\n", dataset="customers")
    names = {row["customer_id"]: row["name"] for row in found.rows}
    assert (names["x"], names["y"], names["z"]) == ("Bo", None, "é")
