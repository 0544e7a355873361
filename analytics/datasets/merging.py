"""How clean rows and a table's current rows become new files: deduplicated, compared, and only touched files rewritten."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow.parquet as pq

from analytics.datasets import batches, cleaning, options, profiling, staging, steps, wording

FILE_BYTES = staging.FILE_BYTES
# Above this many files each import gathers the small ones into one.
MANY_FILES = 64
SMALL_FILE_BYTES = 16 * 1024**2
# Relation of the lines of bad rows, the number of what is wrong with each, and its key as far as there is one.
FAULTY = "faulty"
PARQUET = "FORMAT parquet, COMPRESSION snappy, ROW_GROUP_SIZE 122880"


@dataclass(frozen=True, slots=True)
class Merge:
    """What became of the good rows: the files written, those they replace, and how many rows did what."""

    added: tuple[Path, ...]
    removed: tuple[str, ...]
    inserted: int
    updated: int
    unchanged: int


@dataclass(frozen=True, slots=True)
class CleanRows:
    """The clean rows of a file as queries of their line, their fault and the columns of the table.

    Attributes:
        text: the rows that were kept as text.
        plain: those that were typed as they were read, of which none is bad, without their lines; `numbered`: with them.
        ready: files that hold the latter as they are to be written; none where the query makes something else of them.
    """

    text: str
    plain: str | None = None
    numbered: str | None = None
    ready: tuple[Path, ...] = ()

    @property
    def query(self) -> str:
        """All rows; the plain ones without their lines, which are dearer."""
        return f"{self.text} UNION ALL {self.plain}" if self.plain else self.text

    @property
    def with_lines(self) -> str:
        return f"{self.text} UNION ALL {self.numbered}" if self.numbered else self.text


@dataclass(frozen=True, slots=True)
class Merger:
    """Works on the relation `clean` of `connection`: the rows of the file, as a query until they have to be kept.

    Attributes:
        present: columns that the file has or that were derived; an update leaves the others as they are.
        updates: of columns that the file lacks, what becomes of them where a row exists, over the new row and the stored one.
        files: the table's current files.
        enter: is told what begins.
    """

    connection: duckdb.DuckDBPyConnection
    folder: Path
    rows: CleanRows
    key: tuple[str, ...]
    types: Mapping[str, profiling.ColumnType]
    present: frozenset[str]
    updates: Mapping[str, str]
    files: tuple[str, ...]
    enter: Callable[[steps.Phase], None] = lambda _: None

    def prepare(self, mode: options.ImportMode, *, duplicate: int) -> bool:
        """Make `clean` and `faulty`; `duplicate` is the fault of a key that is there already, in mode append.

        The answer is whether nothing of the table has to be compared. Then the rows are never kept together: each
        question is put to the staged text, of which it reads only the columns it needs.
        """
        self.enter(steps.Phase.CLEAN)
        plain = mode is options.ImportMode.REPLACE or (mode is options.ImportMode.UPSERT and not self.files)
        bad = f"SELECT {batches.LINE}, {cleaning.BAD}, {self._key()} FROM clean WHERE {cleaning.BAD} IS NOT NULL"  # noqa: S608 - names are quoted
        if plain:
            self.connection.execute(f"CREATE TEMP VIEW kept_as_text AS {self.rows.text}")
            self.connection.execute(f"CREATE TEMP VIEW clean AS {self.rows.with_lines}")
            self.connection.execute(f"CREATE TEMP VIEW unnumbered AS {self.rows.query}")
            self.connection.execute(f"CREATE TEMP TABLE {FAULTY} AS {bad.replace('clean', 'kept_as_text')}")
            return True
        self.connection.execute(f"CREATE TEMP TABLE clean AS {self.rows.with_lines}")
        if mode is options.ImportMode.APPEND:
            self._reject_keys(duplicate)
        self.connection.execute(f"CREATE TEMP VIEW {FAULTY} AS {bad}")
        return False

    def write_all(self, mode: options.ImportMode) -> Merge:
        """Write the last good row of each key as it comes, after `prepare` has said that nothing is to be compared."""
        self.enter(steps.Phase.MERGE)
        removed = self.files if mode is options.ImportMode.REPLACE else ()
        faulty = f"SELECT {batches.LINE} FROM {FAULTY}"  # noqa: S608 - names of ours
        if self._may_repeat():
            self._keep_repeated()
            later = self._later_rows()
            earlier = f"SELECT {batches.LINE} FROM ranked WHERE NOT _last"  # noqa: S608 - as above
            added = self._write("winners", self._without("clean", f"{faulty} UNION ALL {earlier}"))
            return Merge(added, removed, sum(map(_rows_in, added)), *later)
        added = self._write("winners", self._without("kept_as_text", faulty))
        if self.rows.plain is not None:
            query = f"SELECT {self._names()} FROM ({self.rows.plain})"  # noqa: S608 - as above
            added += self.rows.ready or self._write("plain", query)
        return Merge(added, removed, sum(map(_rows_in, added)), 0, 0)

    def _without(self, rows: str, omitted: str) -> str:
        """SQL of the rows whose line is not among the omitted ones."""
        query = f"SELECT {self._names()} FROM {rows}"  # noqa: S608 - names are quoted
        if self._one(f"SELECT count(*) FROM ({omitted})"):  # noqa: S608 - as above
            query += f" WHERE {batches.LINE} NOT IN ({omitted})"
        return query

    def merge(self, mode: options.ImportMode) -> Merge:
        """Compare with the rows of the same key, in the file and in the table, and write the files of the new version."""
        self.enter(steps.Phase.MERGE)
        repeated = self._has_repeats()
        self._rank("clean", repeated=repeated)
        against = mode is options.ImportMode.UPSERT and bool(self.files)
        later_updated, later_same = self._later_rows() if repeated else (0, 0)
        firsts = self._one("SELECT count(*) FROM ranked WHERE _nth = 1")
        if not against:
            winners = f"SELECT {self._names()} FROM ranked WHERE _last"  # noqa: S608 - names are quoted
            return Merge(self._write("winners", winners), (), firsts, later_updated, later_same)
        self._open_current()
        matched, differing = self._match("_nth = 1")
        if repeated:
            self._match("_last")
        removed = self._touched()
        kept = self._write("kept", self._untouched_rows(removed)) if removed else ()
        added = (*kept, *self._write("fresh", self._fresh_rows()))
        return Merge(added, removed, firsts - matched, differing + later_updated, matched - differing + later_same)

    def _reject_keys(self, fault: int) -> None:
        """Mark the rows whose key the table has, or a row before them in the file, with the fault."""
        key = self._key()
        self.connection.execute(
            f"UPDATE clean SET {cleaning.BAD} = {fault} FROM (SELECT {batches.LINE} AS line, "  # noqa: S608 - names are quoted
            f"row_number() OVER (PARTITION BY {key} ORDER BY {batches.LINE}) AS nth FROM clean WHERE {cleaning.BAD} IS NULL"
            f") AS seen WHERE seen.line = clean.{batches.LINE} AND seen.nth > 1"
        )
        if self.files:
            self._open_current()
            self.connection.execute(
                f"UPDATE clean SET {cleaning.BAD} = {fault} WHERE {cleaning.BAD} IS NULL AND "  # noqa: S608 - as above
                f"EXISTS (SELECT 1 FROM current AS t WHERE {self._same_key('clean', 't')})"
            )

    def _may_repeat(self) -> bool:
        """Whether a key may stand in more than one row. Two keys may share a hash, but no key has two."""
        query = f"SELECT count(*) <> count(DISTINCT hash({self._key()})) FROM unnumbered WHERE {self._has_key()}"  # noqa: S608 - names are quoted
        return bool(self._one(query))

    def _keep_repeated(self) -> None:
        """`ranked` of the rows whose key may stand in others too."""
        hashed = f"hash({self._key()})"
        often = f"SELECT {hashed} FROM unnumbered WHERE {self._has_key()} GROUP BY ALL HAVING count(*) > 1"  # noqa: S608 - names are quoted
        self._rank(f"(SELECT * FROM clean WHERE {hashed} IN ({often}))", repeated=True)  # noqa: S608 - as above

    def _has_key(self) -> str:
        return " AND ".join(f"{wording.quote_name(name)} IS NOT NULL" for name in self.key)

    def _has_repeats(self) -> bool:
        query = f"SELECT count(*) <> count(DISTINCT hash({self._key()})) FROM clean WHERE {cleaning.BAD} IS NULL"  # noqa: S608 - as above
        return bool(self._one(query))

    def _rank(self, rows: str, *, repeated: bool) -> None:
        """`ranked`: the good ones of the rows, numbered within their key as if applied one after another."""
        if not repeated:
            select = f"SELECT *, 1 AS _nth, true AS _last FROM {rows} WHERE {cleaning.BAD} IS NULL"  # noqa: S608 - names of ours
            self.connection.execute(f"CREATE OR REPLACE TEMP VIEW ranked AS {select}")
            return
        key = self._key()
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE ranked AS SELECT *, row_number() OVER w AS _nth, "  # noqa: S608 - names are quoted
            f"lead({batches.LINE}) OVER w IS NULL AS _last FROM {rows} WHERE {cleaning.BAD} IS NULL "
            f"WINDOW w AS (PARTITION BY {key} ORDER BY {batches.LINE})"
        )

    def _later_rows(self) -> tuple[int, int]:
        """Of the rows whose key came before in the file: those that differ from the one before, and those that do not."""
        values = f"row({', '.join(wording.quote_name(name) for name in self.types)})"
        row = self.connection.execute(
            "SELECT count(*) FILTER (WHERE changed), count(*) FILTER (WHERE NOT changed) FROM ("  # noqa: S608 - names are quoted
            f"SELECT _nth, {values} IS DISTINCT FROM lag({values}) OVER (PARTITION BY {self._key()} ORDER BY {batches.LINE}) "
            f"AS changed FROM ranked WHERE ({self._key()}) IN (SELECT ({self._key()}) FROM ranked WHERE _nth = 2)"
            ") WHERE _nth > 1"
        ).fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def _open_current(self) -> None:
        files = ", ".join(wording.quote_text(file) for file in self.files)
        source = f"read_parquet([{files}], union_by_name = true, filename = '_file')"
        described = self.connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()  # noqa: S608 - addresses are quoted
        stored = {row[0] for row in described}
        cells = ", ".join(
            f"CAST({wording.quote_name(name) if name in stored else 'NULL'} AS {cleaning.sql_type(column)})"
            f" AS {wording.quote_name(name)}"
            for name, column in self.types.items()
        )
        self.connection.execute(f"CREATE OR REPLACE TEMP VIEW current AS SELECT {cells}, _file FROM {source}")  # noqa: S608 - as above

    def _match(self, which: str) -> tuple[int, int]:
        """`matched`: rows of the file whose key the table has. How many there are, and how many differ."""
        differs = " OR ".join(
            f"{self._updated(name)} IS DISTINCT FROM t.{wording.quote_name(name)}"
            for name in self.types
            if name in self.present and name not in self.key
        )
        self.connection.execute(
            f"CREATE OR REPLACE TEMP TABLE matched AS SELECT r.{batches.LINE}, t._file, ({differs or 'false'}) AS differs "  # noqa: S608 - as above
            f"FROM ranked AS r JOIN current AS t ON {self._same_key('r', 't')} WHERE r.{which}"
        )
        self.connection.execute(
            "CREATE OR REPLACE TEMP VIEW changed AS SELECT * FROM ranked "  # noqa: S608 - names of ours
            f"WHERE _last AND {batches.LINE} IN (SELECT {batches.LINE} FROM matched WHERE differs)"
        )
        row = self.connection.execute("SELECT count(*), count(*) FILTER (WHERE differs) FROM matched").fetchone()
        return (int(row[0]), int(row[1])) if row else (0, 0)

    def _touched(self) -> tuple[str, ...]:
        rows = self.connection.execute("SELECT DISTINCT _file FROM matched WHERE differs ORDER BY _file").fetchall()
        touched = {row[0] for row in rows}
        if len(self.files) >= MANY_FILES:
            touched |= {file for file in self.files if _is_small(file)}
        return tuple(file for file in self.files if file in touched)

    def _untouched_rows(self, touched: Sequence[str]) -> str:
        """The rows of these files that stay as they are. What changes is written beside them, which is cheaper than between."""
        files = ", ".join(wording.quote_text(file) for file in touched)
        return (
            f"SELECT {self._names()} FROM current AS t ANTI JOIN changed AS r ON {self._same_key('r', 't')} "  # noqa: S608 - names are quoted
            f"WHERE t._file IN ({files})"
        )

    def _fresh_rows(self) -> str:
        """The rows that are new, and those that take the place of others."""
        known = f"SELECT {batches.LINE} FROM matched"  # noqa: S608 - names of ours
        inserts = f"SELECT {self._names()} FROM ranked WHERE _last AND {batches.LINE} NOT IN ({known})"  # noqa: S608 - as above
        if self.present >= set(self.types) and not self.updates:
            return f"{inserts} UNION ALL SELECT {self._names()} FROM changed"  # noqa: S608 - as above
        # What the file does not say stays as the table has it.
        cells = ", ".join(self._updated(name) for name in self.types)
        updates = f"SELECT {cells} FROM changed AS r JOIN current AS t ON {self._same_key('r', 't')}"  # noqa: S608 - as above
        return f"{inserts} UNION ALL {updates}"

    def _updated(self, name: str) -> str:
        """SQL of what a column of a stored row becomes."""
        quoted = wording.quote_name(name)
        if name in self.updates:
            return f"CAST({self.updates[name]} AS {cleaning.sql_type(self.types[name])})"
        return f"{'r' if name in self.present else 't'}.{quoted}"

    def _write(self, name: str, query: str) -> tuple[Path, ...]:
        """The rows of a query as Parquet files of bounded size; no file where there are no rows."""
        self.enter(steps.Phase.WRITE)
        folder = self.folder / name
        folder.mkdir(parents=True)
        target = wording.quote_text(str(folder))
        self.connection.execute(f"COPY ({query}) TO {target} ({PARQUET}, FILE_SIZE_BYTES {FILE_BYTES})")
        return tuple(sorted(path for path in folder.glob("*.parquet") if _rows_in(path)))

    def _one(self, query: str) -> int:
        row = self.connection.execute(query).fetchone()
        return int(row[0]) if row else 0

    def _names(self) -> str:
        return ", ".join(wording.quote_name(name) for name in self.types)

    def _key(self) -> str:
        return ", ".join(wording.quote_name(name) for name in self.key)

    def _same_key(self, left: str, right: str) -> str:
        return " AND ".join(
            f"{left}.{wording.quote_name(name)} = {right}.{wording.quote_name(name)}" for name in self.key
        )


def _rows_in(path: Path) -> int:
    return int(pq.read_metadata(path).num_rows)


def _is_small(file: str) -> bool:
    path = Path(file)
    return path.is_file() and path.stat().st_size < SMALL_FILE_BYTES
