"""Finding one customer's rows in files, and writing the files again without them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from analytics.datasets import erasing, persons, schemas

WHO = "C-17"


@pytest.fixture
def finder(tmp_path: Path) -> Iterator[erasing.Finder]:
    with erasing.open_finder(WHO, spill=tmp_path / "spill", memory="200MB", threads=1) as found:
        yield found


def file(folder: Path, name: str, **columns: Sequence[Any]) -> str:
    path = folder / f"{name}.parquet"
    pq.write_table(pa.table({column: list(values) for column, values in columns.items()}), path)
    return str(path)


def test_every_dataset_is_known_to_be_about_people_or_not() -> None:
    assert set(persons.TRACES) | persons.NOBODYS == set(schemas.DATASETS)
    assert not set(persons.TRACES) & persons.NOBODYS


def test_every_column_that_names_a_customer_is_one_by_which_they_are_found() -> None:
    for name, schema in schemas.DATASETS.items():
        naming = {column.name for column in schema.columns} & {"customer_id", "person_id"}
        trace = persons.TRACES.get(name)
        assert naming == ({trace.column} if trace is not None and trace.column is not None else set()), name
        for link in trace.links if trace is not None else ():
            assert schema.column(link.column) is not None
            parent = schemas.DATASETS[link.parent].column(link.key)
            assert parent is not None
            assert parent.key, f"{link.parent}.{link.key} identifies a record"


def test_rows_are_counted_by_file_and_by_what_tells(finder: erasing.Finder, tmp_path: Path) -> None:
    first = file(tmp_path, "a", order_id=["1", "2", "3"], customer_id=[WHO, "other", None])
    second = file(tmp_path, "b", order_id=["4", "5"], customer_id=["other", "c-17"])
    finder.know({"order_lines": ["3", "4"]})
    found = finder.find("orders", [first, second])
    assert set(found.by_file) == {first}, (
        "an id is not another one in lower case; an order that names somebody else is theirs"
    )
    assert found.by_column() == {"customer_id": 1, "order_id of order_lines": 1}
    assert found.by_column({second}) == {}
    assert found.rows_read == 5


def test_files_without_the_column_have_nobody(finder: erasing.Finder, tmp_path: Path) -> None:
    assert finder.find("orders", [file(tmp_path, "a", order_id=["1"])]).by_column() == {}
    assert finder.find("orders", []).rows_read == 0


def test_what_belongs_to_a_record_is_found_by_it(finder: erasing.Finder, tmp_path: Path) -> None:
    finder.know({"deals": ["D1"], "leads": ["L1"]})
    stages = file(tmp_path, "stages", deal_id=["D1", "D2", "D1"], stage=["a", "a", "b"])
    touches = file(tmp_path, "touches", touch_id=["1", "2", "3"], person_id=[WHO, "L1", "L2"])
    calls = file(tmp_path, "calls", activity_id=["1", "2", "3"], customer_id=[None, "other", WHO], deal_id=["D1"] * 3)
    assert finder.find("deal_stages", [stages]).by_column() == {"deal_id of deals": 2}
    assert finder.find("touches", [touches]).by_column() == {"person_id": 1, "person_id of leads": 1}
    assert finder.find("activities", [calls]).by_column() == {"customer_id": 1, "deal_id of deals": 1}


def test_a_record_that_is_somebody_elses_now_is_not_theirs(finder: erasing.Finder, tmp_path: Path) -> None:
    old = file(tmp_path, "old", deal_id=["D1", "D2", "D3"], customer_id=[WHO, WHO, "other"])
    new = file(tmp_path, "new", deal_id=["D1", "D2"], customer_id=["other", WHO])
    assert finder.own_records("deals", files=[old, new], newest=[new]) == {"D2"}
    assert finder.own_records("deals", files=[old], newest=[]) == {"D1", "D2"}
    assert finder.own_records("deals", files=[], newest=[new], known=["D1", "D9"]) == {"D9"}


def test_files_are_written_again_without_them_and_otherwise_as_they_were(
    finder: erasing.Finder, tmp_path: Path
) -> None:
    money = pa.array([None, "1.5000", "2.2500"]).cast(pa.decimal128(18, 4))
    when = pa.array([1, 2, None], pa.timestamp("us", "UTC"))
    whole = pa.table({"order_id": ["1", "2", "3"], "customer_id": [WHO, "o'ther", None], "amount": money, "at": when})
    pq.write_table(whole, tmp_path / "a.parquet")
    wider = file(tmp_path, "b", order_id=["4"], customer_id=["x"], **{'a "shop"': ["Bath"]})
    (written,) = finder.rewrite("orders", [str(tmp_path / "a.parquet"), wider], tmp_path / "out")
    rows = pq.read_table(written).sort_by("order_id")
    assert rows.column_names == ["order_id", "customer_id", "amount", "at", 'a "shop"']
    assert rows.slice(0, 2).select(whole.column_names).to_pylist() == whole.slice(1, 2).to_pylist()
    assert [rows.schema.field(name).type for name in ("amount", "at")] == [money.type, when.type]
    assert rows['a "shop"'].to_pylist() == [None, None, "Bath"]


def test_a_file_of_which_nothing_is_left_is_not_written(finder: erasing.Finder, tmp_path: Path) -> None:
    only = file(tmp_path, "a", customer_id=[WHO, WHO])
    assert finder.rewrite("customers", [only], tmp_path / "out") == ()


@pytest.mark.parametrize("who", ["O'Brien", '"; DROP TABLE x; --', "a/b c", "Zoë", "$who", "1"])
def test_an_id_may_be_any_text(tmp_path: Path, who: str) -> None:
    rows = file(tmp_path, "a", customer_id=[who, f"{who} ", "other"])
    with erasing.open_finder(who, spill=tmp_path / "spill", memory="200MB", threads=1) as finder:
        assert finder.find("customers", [rows]).by_column() == {"customer_id": 1}


def test_an_id_is_looked_for_as_an_import_writes_it() -> None:
    assert persons.canonical("  Zoe\u0308 ") == "Zoë"


def test_a_file_that_was_cut_short_is_recognised(tmp_path: Path) -> None:
    whole = file(tmp_path, "a", customer_id=[WHO])
    cut = tmp_path / "cut.parquet"
    cut.write_bytes(Path(whole).read_bytes()[:-9])
    assert erasing.is_readable(whole)
    assert not erasing.is_readable(str(cut))
