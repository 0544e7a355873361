"""Further columns that a later file does not fit: they grow wider, and no row and no earlier value is lost."""

import datetime as dt
from decimal import Decimal
from typing import Any

import pytest

from tests.unit.datasets.conftest import Imported, Importer

UTC = dt.UTC


def visits(importer: Importer, *values: str, start: int = 0, into: Imported | None = None, **said: Any) -> Imported:
    lines = "".join(f'{number};"{value}"\n' for number, value in enumerate(values, start=start))
    return importer("customer_id;visits\n" + lines, dataset="customers", into=into, **said)


def seen(found: Imported) -> list[Any]:
    return [row["visits"] for row in found.select("CAST(customer_id AS INT) AS id, visits")]


def widened(found: Imported) -> list[str]:
    return [warning.detail for warning in found.change.warnings if warning.code == "column-widened"]


@pytest.mark.parametrize(
    ("before", "later", "kind", "after"),
    [
        (["3", "-4"], "5", "int", [3, -4, 5]),
        (["3", "-4"], "5.0", "int", [3, -4, 5]),
        (["3", "-4"], "1,000", "int", [3, -4, 1000]),
        (["3", "-4"], "2.5", "decimal", [Decimal(3), Decimal(-4), Decimal("2.5")]),
        (["123456789012345678"], "2.5", "decimal", [Decimal(123456789012345678), Decimal("2.5")]),
        (["3", "-4"], "many", "text", ["3", "-4", "many"]),
        (["1234"], "0123", "text", ["1234", "0123"]),
        (["1.50", "20"], "n.a.", "text", ["1.5", "20", "n.a."]),
        (["1.50", "20"], "1.23456", "text", ["1.5", "20", "1.23456"]),
        (["2020-01-31"], "2020-02-01", "date", [dt.date(2020, 1, 31), dt.date(2020, 2, 1)]),
        (
            ["2020-07-31"],
            "2020-07-31T10:00:00Z",
            "timestamp",
            [dt.datetime(2020, 7, 30, 23, tzinfo=UTC), dt.datetime(2020, 7, 31, 10, tzinfo=UTC)],
        ),
        (["2020-01-31"], "31/01/2020", "text", ["2020-01-31", "31/01/2020"]),
        (["2020-01-31T10:00:00Z"], "soon", "text", ["2020-01-31T10:00:00Z", "soon"]),
        (["2020-01-31T10:00:00.5Z"], "soon", "text", ["2020-01-31T10:00:00.500000Z", "soon"]),
        (["2020-01-31T10:00:00Z"], "2020-02-01", "timestamp", None),
        (["true", "FALSE"], "perhaps", "text", ["true", "false", "perhaps"]),
        (["A1"], "7", "text", ["A1", "7"]),
    ],
)
def test_a_column_takes_what_a_later_file_has(
    importer: Importer, before: list[str], later: str, kind: str, after: list[Any] | None
) -> None:
    first = visits(importer, *before, timezone="Europe/London")
    was = first.change.types["visits"].kind.value
    found = visits(importer, later, start=len(before), into=first, timezone="Europe/London")
    assert found.change.types["visits"].kind.value == kind
    assert found.counts == (1, 1, 0, 0, 0)
    if after is not None:
        assert seen(found) == after
    assert bool(widened(found)) == (kind != was)


def test_the_warning_says_what_did_not_fit(importer: Importer) -> None:
    first = visits(importer, "3")
    found = visits(importer, "4", "many", "few", "few", start=1, into=first)
    (detail,) = widened(found)
    assert detail == (
        "The column visits was int and is text from now on: 3 values of the file, such as 'few', did not fit. "
        "Its values so far were kept."
    )


@pytest.mark.parametrize("mode", ["upsert", "append"])
def test_widening_and_merging_are_one_change(importer: Importer, mode: str) -> None:
    first = visits(importer, "3", "4")
    second = visits(importer, "5", start=2, into=first)
    start = 1 if mode == "upsert" else 3
    found = visits(importer, "7x", start=start, into=second, mode=mode)
    assert set(found.change.removed) == set(second.current.files)
    assert seen(found) == (["3", "7x", "5"] if mode == "upsert" else ["3", "4", "5", "7x"])
    assert found.counts == ((1, 0, 1, 0, 0) if mode == "upsert" else (1, 1, 0, 0, 0))
    again = visits(importer, "3", "7x", "5", into=found) if mode == "upsert" else found
    assert again.counts[2:] == ((0, 3, 0) if mode == "upsert" else (0, 0, 0))


def test_other_columns_stay_what_they_are(importer: Importer) -> None:
    header = "customer_id,visits,score,born,seen,member\n"
    first = importer(header + "1,3,1.50,1990-01-31,2020-01-01T10:00:00Z,true\n", dataset="customers")
    found = importer("customer_id,visits\n1,x\n", dataset="customers", into=first)
    assert found.counts == (1, 0, 1, 0, 0)
    (row,) = found.rows
    assert row["visits"] == "x"
    kept = ("score", "born", "seen", "member")
    assert [row[name] for name in kept] == [first.rows[0][name] for name in kept]


def test_a_canonical_column_never_widens(importer: Importer) -> None:
    header = "order_id,customer_id,ordered_at,amount\n"
    first = importer(header + "1,a,2020-01-01,1\n", dataset="orders")
    found = importer(header + "2,a,2020-01-01,much\n", dataset="orders", into=first)
    assert found.counts == (1, 0, 0, 0, 1)
    assert found.change.schema == first.change.schema
    assert (found.change.added, found.change.removed) == ((), ())


def test_a_new_column_without_a_written_row_does_not_join(importer: Importer) -> None:
    header = "order_id,customer_id,ordered_at,amount"
    first = importer(header + "\n1,a,2020-01-01,1\n", dataset="orders")
    rejected = importer(header + ",note\n2,a,2020-01-01,much,hello\n", dataset="orders", into=first)
    assert "note" not in rejected.change.schema.names
    same = importer(header + ",note\n1,a,2020-01-01,1,\n", dataset="orders", into=first)
    assert same.counts == (1, 0, 0, 1, 0)
    assert "note" not in same.change.schema.names


def test_replacing_a_table_replaces_its_columns(importer: Importer) -> None:
    first = importer("customer_id,visits,score\n1,3,1.5\n", dataset="customers")
    found = importer("customer_id,visits,shoe\n2,many,42\n", dataset="customers", into=first, mode="replace")
    names = found.change.schema.names
    assert ("score" in names, found.change.types["visits"].kind.value, "shoe" in names) == (False, "text", True)
    assert widened(found) == []
    assert set(found.change.removed) == set(first.current.files)


def test_further_columns_of_a_file_with_decimal_commas_are_numbers(importer: Importer) -> None:
    header = "order_id;customer_id;ordered_at;amount;weight;size;code\n"
    first = importer(header + "1;a;2020-01-01;1,50;2,5;3;1.234\n2;a;2020-01-01;2,50;-10;4;1.5\n", dataset="orders")
    kinds = {name: column.kind.value for name, column in first.change.types.items()}
    assert (kinds["weight"], kinds["size"], kinds["code"]) == ("decimal", "int", "text")
    assert [row["weight"] for row in first.rows] == [Decimal("2.5"), Decimal(-10)]
    found = importer(header + "3;a;2020-01-01;1,50;0,25;5,5;x\n", dataset="orders", into=first)
    kinds = {name: column.kind.value for name, column in found.change.types.items()}
    assert (kinds["weight"], kinds["size"]) == ("decimal", "decimal")
    assert [row["weight"] for row in found.rows] == [Decimal("2.5"), Decimal(-10), Decimal("0.25")]
    assert [row["size"] for row in found.rows] == [3, 4, Decimal("5.5")]
