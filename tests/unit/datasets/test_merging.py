"""Modes, keys and counts: what an import does to the table that is there."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from analytics import errors
from tests.unit.datasets.conftest import Imported, Importer

HEADER = "order_id,customer_id,ordered_at,amount\n"


def orders(importer: Importer, content: str, **said: Any) -> Imported:
    return importer(HEADER + content, dataset="orders", **said)


def amounts(found: Imported) -> dict[str, Decimal]:
    return {row["order_id"]: row["amount"] for row in found.rows}


def test_upsert_inserts_updates_and_leaves_alone(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n2,a,2020-01-02,20\n")
    second = orders(importer, "1,a,2020-01-01,10\n2,a,2020-01-02,21\n3,a,2020-01-03,30\n", into=first)
    assert first.counts == (2, 2, 0, 0, 0)
    assert second.counts == (3, 1, 1, 1, 0)
    assert amounts(second) == {"1": 10, "2": 21, "3": 30}


def test_importing_the_same_again_writes_nothing(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n2,a,2020-01-02,20\n")
    again = orders(importer, "1,a,2020-01-01,10\n2,a,2020-01-02,20\n", into=first)
    assert again.counts == (2, 0, 0, 2, 0)
    assert (again.change.added, again.change.removed) == ((), ())


def test_only_touched_files_are_rewritten(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n")
    second = orders(importer, "2,a,2020-01-02,20\n", into=first)
    third = orders(importer, "2,a,2020-01-02,22\n3,a,2020-01-03,30\n", into=second)
    assert second.change.removed == ()
    assert third.change.removed == tuple(str(path) for path in second.change.added)
    assert amounts(third) == {"1": 10, "2": 22, "3": 30}


def test_a_key_that_repeats_counts_as_if_applied_in_turn(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n")
    found = orders(
        importer,
        "1,a,2020-01-01,10\n1,a,2020-01-01,11\n1,a,2020-01-01,11\n2,a,2020-01-01,1\n2,a,2020-01-01,2\n2,a,2020-01-01,1\n",
        into=first,
    )
    assert found.counts == (6, 1, 3, 2, 0)
    assert amounts(found) == {"1": 11, "2": 1}


def test_a_value_that_changes_and_changes_back_rewrites_nothing(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n")
    found = orders(importer, "1,a,2020-01-01,11\n1,a,2020-01-01,10\n", into=first)
    assert found.counts == (2, 0, 2, 0, 0)
    assert found.change.added == ()
    assert amounts(found) == {"1": 10}


def test_append_rejects_keys_that_exist(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n")
    found = orders(importer, "1,a,2020-01-01,11\n2,a,2020-01-02,20\n2,a,2020-01-02,21\n", into=first, mode="append")
    assert found.counts == (3, 1, 0, 0, 2)
    assert [(row["line"], row["code"], row["column"]) for row in found.rejects] == [
        (2, "duplicate-key", "order_id"),
        (4, "duplicate-key", "order_id"),
    ]
    assert amounts(found) == {"1": 10, "2": 20}


def test_replace_makes_the_table_this_file(importer: Importer) -> None:
    first = orders(importer, "1,a,2020-01-01,10\n2,a,2020-01-02,20\n")
    found = orders(importer, "2,a,2020-01-02,21\n3,a,2020-01-03,30\n", into=first, mode="replace")
    assert found.counts == (2, 2, 0, 0, 0)
    assert amounts(found) == {"2": 21, "3": 30}


def test_columns_that_a_file_lacks_keep_their_values(importer: Importer) -> None:
    first = importer("customer_id,name,phone\n1,Ann,123\n2,Bob,456\n", dataset="customers")
    found = importer("customer_id,name\n1,Anna\n", dataset="customers", into=first)
    assert [(row["name"], row["phone"]) for row in found.rows] == [("Anna", "123"), ("Bob", "456")]


def test_further_columns_join_and_keep_the_type_they_have(importer: Importer) -> None:
    first = importer("customer_id,code,visits\n1,A1,3\n", dataset="customers")
    found = importer("customer_id,code,visits,shoe\n2,007,4,42\n", dataset="customers", into=first)
    kinds = {name: column.kind.value for name, column in found.change.types.items()}
    assert (kinds["code"], kinds["visits"], kinds["shoe"]) == ("text", "int", "int")
    assert found.select("customer_id, code, visits, shoe") == [
        {"customer_id": "1", "code": "A1", "visits": 3, "shoe": None},
        {"customer_id": "2", "code": "007", "visits": 4, "shoe": 42},
    ]


def test_rejects_carry_the_row_to_be_mended(importer: Importer) -> None:
    found = orders(importer, '1,"a, b",2020-01-01,x\n2,b,2020-01-01,0.5\n')
    assert found.rejects[0]["row"] == '1,"a, b",2020-01-01,x'


def test_a_table_of_many_small_files_is_gathered(importer: Importer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.datasets.merging.MANY_FILES", 3)
    table = None
    for number in range(5):
        table = orders(importer, f"{number},a,2020-01-01,{number}\n", into=table)
    assert table is not None
    assert len(table.current.files) <= 3
    assert amounts(table) == {str(number): number for number in range(5)}


def test_a_pattern_that_only_re2_refuses(importer: Importer) -> None:
    with pytest.raises(errors.Refusal) as refused:
        orders(importer, "1,a,2020-01-01,10\n", refund_pattern="(?x)a#")
    assert refused.value.code == "bad-refund-pattern"


ROWS = st.lists(st.tuples(st.integers(1, 6), st.integers(-3, 3)), min_size=1, max_size=20)


def lines(rows: list[tuple[int, int]]) -> str:
    return "".join(f"{key},c,2020-01-01,{amount}\n" for key, amount in rows)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=ROWS, cut=st.integers(0, 20))
def test_splitting_a_file_gives_the_same_table_and_counts(
    importer: Importer, rows: list[tuple[int, int]], cut: int
) -> None:
    whole = orders(importer, lines(rows))
    parts = [part for part in (rows[:cut], rows[cut:]) if part]
    table: Imported | None = None
    counts = []
    for part in parts:
        table = orders(importer, lines(part), into=table)
        counts.append(table.counts)
    assert table is not None
    assert table.rows == whole.rows
    assert tuple(map(sum, zip(*counts, strict=True))) == whole.counts
    assert amounts(table) == {str(key): amount for key, amount in rows}


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rows=st.dictionaries(st.integers(1, 9), st.integers(-3, 3), min_size=1))
def test_permuting_a_file_gives_the_same_table(importer: Importer, data: st.DataObject, rows: dict[int, int]) -> None:
    first = orders(importer, lines(list(rows.items())))
    shuffled = data.draw(st.permutations(list(rows.items())))
    again = orders(importer, lines(shuffled), into=first)
    assert again.counts == (len(rows), 0, 0, len(rows), 0)
    assert orders(importer, lines(shuffled)).rows == first.rows
