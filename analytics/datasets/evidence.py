"""What the values of a file's columns look like, before anybody has said what the columns mean."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from analytics.datasets import batches, reading, schemas, wording

# Shapes are judged by the first lines and columns of a file; emptiness by all of them.
JUDGED_LINES = 10_000
JUDGED_COLUMNS = 320
SAMPLES = 3
COLUMNS_AT_ONCE = 16
LONGEST_SAMPLE = 60

EMAIL = r"[^\s@]+@[^\s@]+\.[^\s@]+"
# What a number looks like once currency signs, brackets and spaces are gone.
NUMBER = r"-?[0-9]+([.,][0-9]+)*"
INTEGER = r"-?[0-9]{1,18}(\.0*)?"
DATE = (
    r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}([T ].*)?|[0-9]{1,2}[-/. ][0-9]{1,2}[-/. ]([0-9]{4}|[0-9]{2})([T ,].*)?"
    r"|[0-9]{1,2}[-/. ]\p{L}{3,9}\.?[-/. ,]+([0-9]{4}|[0-9]{2})([T ,].*)?|\p{L}{3,9}\.? [0-9]{1,2},? [0-9]{4}([ ,].*)?"
    r"|(19|20)[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])|1[0-9]{9}|1[0-9]{12}|\p{L}{3,9},? [0-9]{1,2} \p{L}{3,9} [0-9]{4}.*"
)
CURRENCY = r"[A-Za-z]{3}"
PHONE = r"[+(]?[0-9][0-9 ().\-/]{5,18}[0-9]"
STAGE = (
    r"(?i).*\b(won|lost|open|closed|qualif\w*|proposal|negotiat\w*|prospect\w*|discovery|demo|contract|appointment).*"
)

# The share of distinct values, the share of each shape, and samples.
_Judgement = tuple[float, Mapping[str, float], tuple[str, ...]]
_SHAPES: Mapping[str, str] = {
    "email": EMAIL,
    "integer": INTEGER,
    "date": DATE,
    "currency": CURRENCY,
    "phone": PHONE,
    "stage": STAGE,
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One column of a file.

    Attributes:
        empty: share of all rows that have no value here.
        distinct: different values, as a share of the values judged.
        shapes: share of the values judged that have a shape: email, number, integer, date, currency, phone, stage.
        samples: a few different values, those of the first lines.
    """

    empty: float
    distinct: float
    shapes: Mapping[str, float]
    samples: tuple[str, ...]

    @property
    def is_blank(self) -> bool:
        return self.empty >= 1

    def fits(self, column: schemas.DatasetColumn) -> float:
        """Return the share of the values that could be the column's; half where there is no value to tell."""
        if self.is_blank or not self.shapes:
            return 0.5
        kinds = schemas.ColumnKind
        if column.name in ("email", "currency"):
            return self.shapes[column.name]
        match column.kind:
            case kinds.DECIMAL:
                return self.shapes["number"]
            case kinds.INT:
                return self.shapes["integer"]
            case kinds.DATE | kinds.TIMESTAMP:
                return self.shapes["date"]
            case _:
                return 1.0


def look(connection: duckdb.DuckDBPyConnection, relation: str, columns: int) -> tuple[Evidence, ...]:
    """Look at the columns `c0`, `c1` … of a relation of text with `_line`."""
    names = [batches.text_column(position) for position in range(columns)]
    empty = list(_empty(connection, relation, names))
    judged: dict[str, _Judgement] = {}
    # Some at a time, because what DuckDB keeps for each column is large.
    for at in range(0, min(columns, JUDGED_COLUMNS), COLUMNS_AT_ONCE):
        judged |= _judge(connection, relation, names[at : at + COLUMNS_AT_ONCE])
    return tuple(Evidence(share, *judged.get(name, (0.0, {}, ()))) for name, share in zip(names, empty, strict=True))


def _empty(connection: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str]) -> Iterator[float]:
    for at in range(0, len(names), COLUMNS_AT_ONCE):
        counts = ", ".join(f"count({_value(name)})" for name in names[at : at + COLUMNS_AT_ONCE])
        row = connection.execute(f"SELECT count(*), {counts} FROM {relation}").fetchone() or (0,)  # noqa: S608 - names of ours
        total = int(row[0])
        yield from (1 - count / total if total else 1.0 for count in row[1:])


def _judge(connection: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str]) -> dict[str, _Judgement]:
    """By column: what share of the values is distinct, what share has each shape, and samples."""
    values = ", ".join(f"{_value(name)} AS {name}" for name in names)
    first = (
        f"SELECT {batches.LINE} AS line, {values} FROM {relation} "  # noqa: S608 - names of ours
        f"WHERE {batches.LINE} <= {JUDGED_LINES} + (SELECT min({batches.LINE}) FROM {relation})"
    )
    cells = f"(UNPIVOT ({first}) ON {', '.join(names)} INTO NAME name VALUE v)"
    # Currency signs, brackets and spaces are no part of a number's shape.
    bare = r"regexp_replace(v, '[\s\x{00a0}\x{202f}()+''\x{2019}\p{Sc}%]|\b[A-Z]{3}\b', '', 'g')"
    shares = ", ".join(
        f"sum(n) FILTER (WHERE regexp_full_match(v, {wording.quote_text(shape)}))" for shape in _SHAPES.values()
    )
    rows = connection.execute(
        f"SELECT name, arg_min(v, line, {SAMPLES}), sum(n), count(*), "  # noqa: S608 - names of ours
        f"sum(n) FILTER (WHERE regexp_full_match({bare}, '{NUMBER}')), {shares} "
        # A value that repeats is looked at once.
        f"FROM (SELECT name, v, count(*) AS n, min(line) AS line FROM {cells} GROUP BY name, v) GROUP BY name"
    ).fetchall()
    judged: dict[str, _Judgement] = {}
    for name, samples, total, distinct, *counts in rows:
        shapes = {
            shape: float(count or 0) / float(total) for shape, count in zip(("number", *_SHAPES), counts, strict=True)
        }
        judged[str(name)] = distinct / float(total), shapes, tuple(shorten(str(value)) for value in samples)
    return judged


def _value(name: str) -> str:
    words = (*reading.NULL_WORDS, wording.NOT_APPLICABLE)
    return wording.value_sql(name, padded=True, null_words=words, keeps_na=False)


def shorten(text: str, longest: int = LONGEST_SAMPLE) -> str:
    """Cut a value that is too long to be shown whole, and take out what no database keeps as text."""
    plain = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    return plain if len(plain) <= longest else f"{plain[: longest - 1]}…"
