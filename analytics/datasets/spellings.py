"""Values that may be one thing spelt in several ways: what an import says about them, and never changes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import duckdb

from analytics import result
from analytics.datasets import batches, cleaning, profiling, schemas, wording

# Columns that name things of which there are few, so that a spelling of its own becomes a group of its own in a report.
NAMING = frozenset(
    {
        *("campaign", "channel", "city", "company", "country", "kind", "lost_reason", "owner", "pipeline"),
        *("plan", "product", "region", "segment", "source", "stage", "team"),
    }
)
# Of a further column nobody knows what it holds: few values, often repeated, are names of something.
MOST_VALUES_OF_FURTHER = 1_000
FEW_VALUES = 100
ROWS_PER_VALUE = 10
# Of a column with more values each is told apart by nobody, and comparing them would cost too much.
MOST_VALUES = 50_000
SAMPLE_ROWS = 10_000
SHORTEST_RUN_TOGETHER = 4
SHORT_CODE = 3
MOST_SPELLINGS = 8
LONGEST_SHOWN = 80

VALUES = "spelling_values"
GROUPS = "spelling_groups"
PARTED = "spelling_parts"
# What separates words.
BLANKS = r"[\s\p{Z}_/-]+"
# White space, and punctuation that nobody's names differ in alone; not # + & % *, by which C# and A+ do.
SEPARATORS = (
    r"""[\s\p{Z}\p{C}_.,;:'"`()\[\]{}/\\|!?\-"""
    r"\x{a1}\x{b4}\x{b7}\x{bf}\x{2010}-\x{2015}\x{2018}\x{2019}\x{201c}\x{201d}\x{2022}]"
)


@dataclass(frozen=True, slots=True)
class Spelling:
    """One value of a column: its rows in the file and in the table before."""

    value: str
    here: int
    there: int

    def __str__(self) -> str:
        return f"{shown(self.value)} ({_rows(self.here) if self.here else 'in the table before'})"


@dataclass(frozen=True, slots=True)
class Stored:
    """The table before: the SQL of its rows, and which of its columns are text."""

    relation: str
    texts: frozenset[str]


def find(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    *,
    relation: str,
    types: Mapping[str, profiling.ColumnType],
    stored: Stored | None,
) -> Iterator[result.ResultWarning]:
    """Warn of similar values, and of such as seem to lack a space; `relation` is the staged text.

    Only what occurs in the file is spoken of.
    """
    columns = _columns_that_name(connection, reading, relation, types)
    if not columns:
        return
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {VALUES} (name VARCHAR, value VARCHAR, here BIGINT, there BIGINT)"
    )
    for profile in columns:
        _collect(connection, reading, profile, relation=relation, stored=stored)
    _group(connection)
    yield from _similar(connection)
    yield from _run_together(connection)


def normal_sql(value: str) -> str:
    """SQL of what is left without case, blanks and punctuation; between digits and after a short code (`A-`) these count."""
    digits = value
    for _ in range(2):
        # Twice, because one separator may end where the next begins.
        digits = f"regexp_replace({digits}, '([0-9])[.,:/ -]([0-9])', '\\1~\\2', 'g')"
    code = f"CASE WHEN length({value}) <= {SHORT_CODE} THEN regexp_replace({digits}, '-$', '~') ELSE {digits} END"
    return f"regexp_replace(lower({code}), {wording.quote_text(SEPARATORS)}, '', 'g')"


def _columns_that_name(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    relation: str,
    types: Mapping[str, profiling.ColumnType],
) -> list[profiling.ColumnProfile]:
    """Columns whose values name things."""
    found = [
        (profile, batches.text_column(position))
        for position, profile in enumerate(reading.profiles)
        if profile.count and types[profile.name].kind is schemas.ColumnKind.TEXT and _may_name(reading, profile.name)
    ]
    if not found:
        return []
    counts = ", ".join(f"approx_count_distinct({cell})" for _, cell in found)
    sample = f"SELECT * FROM {relation} LIMIT {SAMPLE_ROWS}"  # noqa: S608 - a name of ours
    distinct = connection.execute(f"SELECT {counts} FROM ({sample})").fetchone() or ()  # noqa: S608 - as above
    return [
        profile for (profile, _), seen in zip(found, distinct, strict=True) if _repeats(reading, profile, int(seen))
    ]


def _may_name(reading: cleaning.Reading, name: str) -> bool:
    column = reading.schema.column(name)
    return (name in NAMING and not column.choices) if column is not None else True


def _repeats(reading: cleaning.Reading, profile: profiling.ColumnProfile, seen: int) -> bool:
    """Whether the first rows leave it possible that the values are few."""
    if reading.schema.column(profile.name) is not None:
        return profile.count <= MOST_VALUES or seen <= SAMPLE_ROWS // 2
    return seen <= _most_values_of_further(profile.count)


def _most_values_of_further(rows: int) -> int:
    return max(FEW_VALUES, min(MOST_VALUES_OF_FURTHER, rows // ROWS_PER_VALUE))


def _collect(
    connection: duckdb.DuckDBPyConnection,
    reading: cleaning.Reading,
    profile: profiling.ColumnProfile,
    *,
    relation: str,
    stored: Stored | None,
) -> None:
    """Add the values of a column to `VALUES`, unless they are too many."""
    sides = [f"SELECT value, n AS here, 0 AS there FROM ({reading.values_sql(profile.name, relation)})"]  # noqa: S608 - quoted
    if stored is not None and profile.name in stored.texts:
        name = wording.quote_name(profile.name)
        sides.append(f"SELECT {name}, 0, count(*) FROM {stored.relation} GROUP BY ALL")  # noqa: S608 - as above
    most = _most_values_of_further(profile.count) if profile.name not in NAMING else MOST_VALUES
    connection.execute(
        f"INSERT INTO {VALUES} WITH counted AS (SELECT value, sum(here) AS here, sum(there) AS there "  # noqa: S608 - as above
        f"FROM ({' UNION ALL '.join(sides)}) WHERE value IS NOT NULL GROUP BY value) "
        f"SELECT $name, * FROM counted WHERE (SELECT count(*) FROM counted) <= {most}",
        {"name": profile.name},
    )


def _group(connection: duckdb.DuckDBPyConnection) -> None:
    """`GROUPS`: the values of a column that are the same but for case, blanks and punctuation."""
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {GROUPS} AS SELECT name, normal, sum(here) AS here, "  # noqa: S608 - names of ours
        "list({'value': value, 'here': here, 'there': there} ORDER BY here DESC, there DESC, value) AS spellings "
        f"FROM (SELECT *, {normal_sql('value')} AS normal FROM {VALUES}) WHERE normal <> '' "
        "GROUP BY name, normal HAVING count(*) > 1 AND sum(here) > 0"
    )


def _similar(connection: duckdb.DuckDBPyConnection) -> Iterator[result.ResultWarning]:
    query = f"SELECT name, spellings FROM {GROUPS} ORDER BY here DESC, name, normal"  # noqa: S608 - a name of ours
    for name, spellings in connection.execute(query).fetchall():
        listed = [str(Spelling(**spelling)) for spelling in spellings[:MOST_SPELLINGS]]
        listed += [f"{len(spellings) - MOST_SPELLINGS} more"] if len(spellings) > MOST_SPELLINGS else []
        yield result.ResultWarning(
            "similar-values",
            f"In the column {name}, {_listed(listed)} may be the same thing. They were left as they are.",
        )


def _run_together(connection: duckdb.DuckDBPyConnection) -> Iterator[result.ResultWarning]:
    """`GTXPro`, where other values have the words `GTX` and `Pro`."""
    spaced = "value"
    for boundary in (r"(\p{Ll})(\p{Lu})", r"(\p{Lu})(\p{Lu}\p{Ll})", r"(\p{L})(\p{N})", r"(\p{N})(\p{L})"):
        spaced = rf"regexp_replace({spaced}, '{boundary}', '\1 \2', 'g')"
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE {PARTED} AS SELECT name, value, here, parts FROM ("  # noqa: S608 - names of ours
        f"SELECT *, string_split(lower({spaced}), ' ') AS parts FROM {VALUES} "
        f"WHERE here > 0 AND length(value) >= {SHORTEST_RUN_TOGETHER} AND NOT regexp_matches(value, '{BLANKS}')) AS v "
        "WHERE len(parts) > 1 AND list_min(list_transform(parts, lambda part: length(part))) > 1 AND NOT EXISTS "
        f"(SELECT 1 FROM {GROUPS} AS g WHERE g.name = v.name AND g.normal = {normal_sql('v.value')})"
    )
    for name, value, here, examples in _words_elsewhere(connection):
        yield result.ResultWarning(
            "run-together",
            f"In the column {name}, {Spelling(value, here, 0)} is one word, while other values, such as "
            f"{_listed([shown(example) for example in examples])}, have its parts as separate words. "
            "It was left as it is.",
        )


def _words_elsewhere(connection: duckdb.DuckDBPyConnection) -> list[tuple[str, str, int, list[str]]]:
    """Of `PARTED`: those of which every part is a word of another value; with the shortest such values."""
    row = connection.execute(f"SELECT count(*) FROM {PARTED}").fetchone()  # noqa: S608 - a name of ours
    if not row or not row[0]:
        return []
    return connection.execute(
        f"""
        WITH words AS (
            SELECT name, value, unnest(string_split_regex(lower(value), '{BLANKS}')) AS word
            FROM {VALUES} WHERE regexp_matches(trim(value), '{BLANKS}')
        ), known AS (SELECT name, word, min_by(value, (length(value), value)) AS example FROM words GROUP BY name, word)
        SELECT p.name, p.value, p.here, list_sort(list_distinct(list(k.example)))
        FROM {PARTED} AS p JOIN known AS k ON k.name = p.name AND list_contains(p.parts, k.word)
        GROUP BY p.name, p.value, p.here, p.parts HAVING count(*) = len(list_distinct(p.parts))
        ORDER BY p.here DESC, p.name, p.value
        """  # noqa: S608 - as above
    ).fetchall()


def shown(value: str) -> str:
    """A value as a sentence quotes it."""
    return repr(value if len(value) <= LONGEST_SHOWN else value[: LONGEST_SHOWN - 1] + "…")


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count:,} rows"


def _listed(texts: Sequence[str]) -> str:
    return " and ".join((", ".join(texts[:-1]), texts[-1])) if len(texts) > 1 else texts[0]
