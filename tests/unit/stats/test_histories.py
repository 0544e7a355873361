"""Coding histories loses nothing, whether times are whole days or not."""

from collections import Counter

import hypothesis
import numpy as np
import pytest
from hypothesis import strategies as st

from analytics.stats.histories import Histories

ROWS = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 9), st.integers(0, 9)).map(
        lambda row: (row[0], min(row[1:]), max(row[1:]))
    ),
    max_size=60,
)


@hypothesis.settings(max_examples=50, deadline=None, derandomize=True)
@hypothesis.given(rows=ROWS, divisor=st.sampled_from([1, 7]))
def test_distinct_histories_are_those_given(rows: list[tuple[int, int, int]], divisor: int) -> None:
    scaled = [(x, recency / divisor, age / divisor) for x, recency, age in rows]
    table = np.array(scaled, dtype=np.float64).reshape(-1, 3)
    found = Histories.of(*table.T)
    assert list(zip(found.x, found.recency, found.age, strict=True)) == scaled
    once = found.distinct()
    counted = Counter(scaled)
    assert list(zip(once.x, once.recency, once.age, strict=True)) == sorted(counted)
    assert list(once.count) == [counted[row] for row in sorted(counted)]
    assert once.customers == len(rows)


@hypothesis.settings(max_examples=50, deadline=None, derandomize=True)
@hypothesis.given(rows=ROWS)
def test_pairs_are_those_of_the_rows(rows: list[tuple[int, int, int]]) -> None:
    found = Histories.of(*np.array(rows, dtype=np.float64).reshape(-1, 3).T)
    pairs = found.by_age()
    assert [(pairs.x[at], pairs.time[at]) for at in pairs.at] == [(x, age) for x, _, age in rows]
    both, age_at = found.by_recency_and_age()
    assert [(both.x[at], both.time[at]) for at in both.at] == [(x, recency) for x, recency, _ in rows]
    assert [(both.x[at], both.time[at]) for at in age_at] == [(x, age) for x, _, age in rows]
    assert len(set(zip(both.x, both.time, strict=True))) == both.x.size


def test_times_beyond_any_table_are_coded_too() -> None:
    found = Histories.of([1, 2], [1e9, 2.0], [3e9, 3e9])
    assert list(found.recency) == [1e9, 2.0]
    assert list(found.age) == [3e9, 3e9]


@pytest.mark.parametrize("row", [(-1, 0, 1), (0.5, 0, 1), (1, -1, 1), (1, 2, 1)])
def test_what_is_no_history_is_refused(row: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="a history has"):
        Histories.of(*([value] for value in row))
