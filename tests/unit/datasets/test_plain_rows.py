"""Rows that are typed as they are read become what they would have become as text, whatever stands beside them."""

import itertools
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from analytics import errors
from analytics.datasets import importing, options

Outcome = tuple[importing.CurrentTable | None, Any]

# What fails is read as it is: making it smaller takes minutes.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)
FOLDERS = itertools.count()
# Small blocks, so that a small file has many and its first rows say little of the others.
BLOCK_BYTES = 700
PLAIN_ROWS = 40

TEXTS = st.sampled_from(
    ["Ann", "Bo", "x y", "  padded ", "NA", "n/a", "", "É", "É", "a,b", "two\nlines", "\u00a0wide\u00a0"]
)
NUMBERS = st.sampled_from(["1", "-2.50", "27.6000", "0", "12.5"])
ODD_NUMBERS = st.sampled_from(
    [
        "1.234",
        "1,234.50",
        "abc",
        " 7 ",
        "1e3",
        "+5",
        ".5",
        "5.",
        "1.23456",
        "0x10",
        "£12",
        "",
        "-",
        "7,5",
        "99999999999999999",
    ]
)
TIMES = st.sampled_from(["2024-01-31 06:55:44Z", "2024-03-31 01:30:00+01:00", "2024-02-29T10:00:00.123Z"])
NAIVE_TIMES = st.sampled_from(["2024-01-31 06:55:44", "2024-03-31 01:30:00", "2024-10-27T01:30", "2024-02-29"])
ODD_TIMES = st.sampled_from(
    [
        "2024-02-30 00:00:00Z",
        "soon",
        "2024-01-31 06",
        "2024-01-31 06:55:44 UTC",
        " 2024-01-31",
        "31/12/2023",
        "",
        "2024-1-5",
    ]
)
KINDS = st.sampled_from(["sale", "refund"])
ODD_KINDS = st.sampled_from(["Sales", "credit note", "maybe", ""])
FURTHER = {
    "ints": (st.sampled_from(["1", "-20", "0"]), st.sampled_from(["007", "1.5", "word", "-0", ""])),
    "decimals": (st.sampled_from(["1.5", "20", "0.1250"]), st.sampled_from(["01.5", "1.", "word", "1,5", ""])),
    "days": (st.sampled_from(["2024-01-31", "1999-12-31"]), st.sampled_from(["2024-02-30", "31.12.2023", "word", ""])),
    "bools": (st.sampled_from(["true", "FALSE"]), st.sampled_from(["yes", "t", ""])),
    "words": (st.sampled_from(["a", "b ", "É", "NA"]), st.sampled_from(["1", ""])),
    "empty": (st.just(""), st.sampled_from(["5", "word"])),
}


@st.composite
def files(draw: st.DrawFn) -> str:
    """A file of which most values are plain, and some, mostly further down, are not."""
    times = draw(st.sampled_from([TIMES, NAIVE_TIMES]))
    columns = {
        "order_id": (st.integers(1, 10**6).map(str), st.sampled_from(["", "7", " 7", "NA"])),
        "customer_id": (TEXTS, TEXTS),
        "ordered_at": (times, ODD_TIMES),
        "amount": (NUMBERS, ODD_NUMBERS),
        "currency": (st.sampled_from(["EUR", "GBP"]), st.sampled_from(["eur", ""])),
        "kind": (KINDS, ODD_KINDS),
        **{name: FURTHER[name] for name in draw(st.sets(st.sampled_from(sorted(FURTHER)), max_size=3))},
    }
    left_out = draw(st.sets(st.sampled_from(["currency", "kind"])))
    columns = {name: values for name, values in columns.items() if name not in left_out}
    rows = [",".join(columns)]
    plain = st.tuples(*(values for values, _ in columns.values()))
    rows += [_record(row) for row in draw(st.lists(plain, min_size=PLAIN_ROWS, max_size=PLAIN_ROWS))]
    odd = draw(st.lists(st.tuples(st.integers(1, PLAIN_ROWS), st.sampled_from(sorted(columns))), max_size=6))
    for place, name in odd:
        record = list(draw(plain))
        record[list(columns).index(name)] = draw(columns[name][1])
        rows.insert(place, _record(tuple(record)))
    for place in draw(st.lists(st.integers(1, PLAIN_ROWS), max_size=2)):
        rows.insert(place, draw(st.sampled_from(["", "too,few", rows[place]])))
    return "\n".join(rows)


def _record(values: tuple[str, ...]) -> str:
    return ",".join(f'"{value}"' if set(value) & {",", "\n"} else value for value in values)


def outcome(
    path: Path, asked: options.ImportOptions, *, plain: bool, current: importing.CurrentTable | None
) -> Outcome:
    """The table after the import, and its rows, the rejects, the counts and the types; or the refusal."""
    folder = path.parent / ("plain" if plain else "text")
    try:
        if plain:
            staged = importing.stage(path, options=asked, folder=folder / "staged", progress=lambda *_: None)
        else:
            file = importing.read(path, options=asked, folder=folder / "staged", progress=lambda *_: None)
            staged = importing.understand(file, options=asked, folder=folder / "staged")
        change = importing.plan_change(staged, current=current, folder=folder / "plan", memory="300MB", threads=2)
    except errors.Refusal as refusal:
        return None, refusal.code
    kept = [file for file in (current.files if current else ()) if file not in change.removed]
    after = importing.CurrentTable((*kept, *map(str, change.added)), change.schema)
    return after, (
        _rows(after),
        pq.read_table(change.rejects).to_pylist(),
        change.counts,
        change.types,
        staged.facts,
    )


def _rows(table: importing.CurrentTable) -> list[dict[str, Any]]:
    """Rows of the table, ordered by all their columns; a column that no file has is one without values."""
    if not table.files:
        return []
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        source = f"read_parquet({list(table.files)}, union_by_name = true)"
        stored = {row[0] for row in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()}
        names = [name for name in table.schema.names if name in stored]
        select = ", ".join(f'"{name}"' for name in names)
        rows = connection.execute(f"SELECT {select} FROM {source} ORDER BY ALL").fetchall()
    return [dict(zip(names, row, strict=True)) for row in rows]


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analytics.datasets.source.BLOCK_BYTES", BLOCK_BYTES)
    monkeypatch.setattr("analytics.datasets.packing.PIECE_BYTES", BLOCK_BYTES // 3)


@given(
    first=files(),
    second=files(),
    zone=st.sampled_from(["UTC", "Europe/Berlin"]),
    mode=st.sampled_from(list(options.ImportMode)),
    date_format=st.sampled_from([None, "DMY", "%d/%m/%Y"]),
)
@settings(max_examples=12, deadline=None, phases=UNSHRUNK, suppress_health_check=[HealthCheck.function_scoped_fixture])
@pytest.mark.usefixtures("small_blocks")
def test_both_ways_lead_to_the_same_table(  # noqa: PLR0917 - what is drawn
    tmp_path: Path, first: str, second: str, zone: str, mode: options.ImportMode, date_format: str | None
) -> None:
    """Two imports after each other, so that the second is merged with files that the first wrote either way."""
    base = tmp_path / str(next(FOLDERS))
    current: importing.CurrentTable | None = None
    for number, content in enumerate((first, second)):
        folder = base / str(number)
        folder.mkdir(parents=True)
        path = folder / "file.csv"
        path.write_text(content)
        asked = options.ImportOptions(
            dataset="orders", mode=mode, max_rejects=1.0, date_format=date_format, timezone=zone, currency="EUR"
        )
        _, expected = outcome(path, asked, plain=False, current=current)
        current, found = outcome(path, asked, plain=True, current=current)
        assert found == expected


def test_rows_that_are_not_plain_are_set_aside_alone(tmp_path: Path, small_blocks: None) -> None:
    path = tmp_path / "file.csv"
    lines = [f"o{number},c1,2024-01-31 06:55:44Z,{number}.5" for number in range(1000)]
    lines[900] = 'o900,c1,2024-01-31 06:55:44Z,"£1,234.50"'
    lines[950] = "o950,c1,soon,7"
    path.write_text("\n".join(["order_id,customer_id,ordered_at,amount", *lines]))
    asked = options.ImportOptions(dataset="orders", timezone="UTC", currency="EUR")
    staged = importing.stage(path, options=asked, folder=tmp_path / "staged", progress=lambda *_: None)
    assert staged.text.plain is not None
    assert staged.text.plain.count == 998
    change = importing.plan_change(staged, current=None, folder=tmp_path / "plan", memory="300MB", threads=1)
    assert change.counts == importing.Counts(1000, 999, 0, 0, 1)
    assert pq.read_table(change.rejects).select(["line", "code", "value"]).to_pylist() == [
        {"line": 952, "code": "bad-timestamp", "value": "soon"}
    ]


@pytest.mark.parametrize(
    ("name", "plain", "late", "types"),
    [
        ("further", "1", "word", "text"),
        ("further", "1", "1.5", "decimal"),
        ("further", "", "5", "int"),
        ("further", "2024-01-31", "2024-02-30", "text"),
        ("ordered_at", "2024-01-31", "1/2/2024", "timestamp"),
    ],
)
def test_what_only_the_last_row_says_counts_for_all(  # noqa: PLR0917 - a case
    tmp_path: Path, small_blocks: None, name: str, plain: str, late: str, types: str
) -> None:
    path = tmp_path / "file.csv"
    values = {
        "order_id": "o",
        "customer_id": "c",
        "ordered_at": "2024-01-31",
        "amount": "1",
        "further": "1",
        name: plain,
    }
    lines = [",".join({**values, "order_id": f"o{number}"}.values()) for number in range(1000)]
    lines.append(",".join({**values, name: late}.values()))
    path.write_text("\n".join([",".join(values), *lines]))
    asked = options.ImportOptions(dataset="orders", timezone="UTC", currency="EUR")
    staged = importing.stage(path, options=asked, folder=tmp_path / "staged", progress=lambda *_: None)
    assert staged.types[name].kind == types
    assert outcome(path, asked, plain=True, current=None)[1] == outcome(path, asked, plain=False, current=None)[1]
