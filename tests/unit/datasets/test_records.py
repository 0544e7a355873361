"""Where records end, against Python's csv module, on text with quotes wherever they may stand."""

import csv
import io

import hypothesis
import pytest
from hypothesis import strategies as st

from analytics.datasets import delimited, records, source
from tests.unit.datasets.conftest import Importer


def ends(text: str) -> list[int]:
    """Return every place after a line end at which a further line is a record of its own."""
    after = [place + 1 for place, sign in enumerate(text) if sign == "\n"]
    return [end for end in after if list(csv.reader(io.StringIO(text[:end] + "z\n", newline="")))[-1] == ["z"]]


@hypothesis.settings(max_examples=2_000, deadline=None, derandomize=True)
@hypothesis.given(text=st.text(alphabet='a",\n', min_size=1, max_size=25))
def test_records_end_where_python_ends_them(text: str) -> None:
    assert records.last_end(text.encode(), ",") == max(ends(text), default=0)
    assert records.is_open((text + "\n").encode(), ",") == (len(text) + 1 not in ends(text + "\n"))


@pytest.mark.parametrize("name", ['27" monitor', '27"', "27''", 'a "small" one', 'b"c"'])
@pytest.mark.parametrize("size", [1_000, 1_000_000])
def test_quotes_that_are_text_cut_no_value_of_many_lines(
    importer: Importer, monkeypatch: pytest.MonkeyPatch, name: str, size: int
) -> None:
    monkeypatch.setattr(source, "BLOCK_BYTES", size)
    monkeypatch.setattr(delimited, "SMALL_TAIL", 64)
    rows = [f'{number},{name if number == 10 else "x"},"Street {number}\nTown, {"y" * 60}"\n' for number in range(400)]
    found = importer("customer_id,name,city\n" + "".join(rows), dataset="customers")
    assert (len(found.rows), found.rejects) == (400, [])
    assert {row["name"] for row in found.rows} == {"x", name}
    assert {row["city"] for row in found.rows} == {f"Street {number}\nTown, {'y' * 60}" for number in range(400)}
