"""Imports against a model of a few lines that knows no SQL: the same table, the same counts, the same rejects, in every mode."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.datasets.conftest import Imported, Importer

# What may be written, and what it means; a string that begins with "!" is the code of what is wrong with it.
AMOUNTS: dict[str, Any] = {
    "1.50": Decimal("1.5"),
    "-2": Decimal(-2),
    "0": Decimal(0),
    "": None,
    "much": "!bad-number",
    "1.23456": "!too-many-decimals",
    "123456789012345": "!out-of-range",
}
MOMENTS: dict[str, Any] = {
    "2020-01-01": dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
    "2020-01-02 10:00": dt.datetime(2020, 1, 2, 10, tzinfo=dt.UTC),
    "": None,
    "2020-02-30": "!bad-timestamp",
    "soon": "!bad-timestamp",
}
TEXTS: dict[str, Any] = {"a": "a", " b ": "b", "": None, "N/A": None}
KEYS: dict[str, Any] = {"1": "1", "2": "2", "3": "3", "": None}
MEANINGS = {
    "order_id": KEYS,
    "amount": AMOUNTS,
    "ordered_at": MOMENTS,
    "customer_id": TEXTS,
    "note": TEXTS,
    "visits": TEXTS,
}
REQUIRED = ("order_id", "ordered_at", "amount")
ALWAYS = ("order_id", "customer_id", "ordered_at", "amount")

Row = dict[str, Any]


@dataclass
class Model:
    """A table as a dictionary, and what became of the rows that were applied to it one after another."""

    table: dict[str, Row] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    rejects: list[tuple[int, str, str]] = field(default_factory=list)

    def apply(self, columns: Sequence[str], rows: Sequence[Sequence[str]], mode: str) -> None:
        self.counts = dict.fromkeys(("read", "inserted", "updated", "unchanged", "rejected"), 0)
        self.rejects = []
        if mode == "replace":
            self.table = {}
        for line, cells in enumerate(rows, start=2):
            self.counts["read"] += 1
            self.counts[self._apply(line, dict(zip(columns, cells, strict=True)), mode)] += 1

    def _apply(self, line: int, written: dict[str, str], mode: str) -> str:
        row = {name: MEANINGS[name][cell] for name, cell in written.items()}
        faults = [(name, str(value)[1:]) for name, value in row.items() if str(value).startswith("!")]
        faults += [(name, "missing-value") for name in REQUIRED if row[name] is None]
        if not faults and mode == "append" and row["order_id"] in self.table:
            faults = [("order_id", "duplicate-key")]
        if faults:
            self.rejects.append((line, *faults[0]))
            return "rejected"
        row |= {"kind": "refund" if row["amount"] < 0 else "sale", "currency": "EUR"}
        before = self.table.get(row["order_id"])
        after = (before or {}) | row
        self.table[row["order_id"]] = after
        return "inserted" if before is None else "unchanged" if after == before else "updated"


@st.composite
def files(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    further = draw(st.lists(st.sampled_from(["note", "visits"]), unique=True))
    columns = draw(st.permutations([*ALWAYS, *further]))
    # Mostly good values, or nothing would ever be updated.
    cells = [
        st.one_of(st.sampled_from(list(MEANINGS[name])[:3]), st.sampled_from(list(MEANINGS[name]))) for name in columns
    ]
    return list(columns), [list(row) for row in draw(st.lists(st.tuples(*cells), min_size=1, max_size=8))]


def check(found: Imported, model: Model) -> None:
    assert found.change.counts.as_dict() == model.counts
    assert [(row["line"], row["column"], row["code"]) for row in found.rejects] == model.rejects
    expected = [{name: row.get(name) for name in found.change.schema.names} for row in model.table.values()]
    assert found.rows == sorted(expected, key=lambda row: str(row["order_id"]))


@settings(
    max_examples=settings().max_examples // 10,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(imports=st.lists(st.tuples(files(), st.sampled_from(["upsert", "append", "replace"])), min_size=1, max_size=3))
def test_imports_do_what_a_dictionary_would(
    importer: Importer, imports: list[tuple[tuple[list[str], list[list[str]]], str]]
) -> None:
    model, found = Model(), None
    for (columns, rows), mode in imports:
        content = "\n".join([",".join(columns), *(",".join(row) for row in rows)]) + "\n"
        found = importer(content, into=found, dataset="orders", mode=mode, decimal=".")
        model.apply(columns, rows, mode)
        check(found, model)
