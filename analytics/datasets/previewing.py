"""Makes a preview: reads a file and plans its import as an import would, and commits nothing.

Where only the sender can know something, the question is kept, the likeliest answer is assumed, and the rest goes on.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from analytics import errors, result
from analytics.datasets import (
    batches,
    cleaning,
    database,
    evidence,
    guessing,
    headers,
    importing,
    options,
    profiling,
    questions,
    remarks,
    schemas,
    source,
    wording,
)
from analytics.datasets.preview import (
    ColumnPreview,
    ColumnWithoutHeader,
    DatasetCandidate,
    DatasetChoice,
    Preview,
    PreviewNotice,
    Question,
    RejectSample,
    RejectsOfCode,
    RowCounts,
    StoredColumn,
)
from analytics.render import cells

SHOWN_ROWS = 10
SHOWN_COLUMNS = 200
LONGEST_CELL = 200
SAMPLES_OF_REJECTS = 3
# How certain a header is, beside what its values say.
CERTAINTY = {headers.How.USUAL_NAME: 0.9, headers.How.ASSUMED: 0.5}
# Each question is put once; a file has no more than this to be asked about.
MOST_ROUNDS = 12


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a preview needs beside the file.

    Attributes:
        folder: for all that is written; the caller deletes it.
        table: the current table of a dataset, where there is one.
        known: what warnings about the values of a dataset are judged by.
        memory, threads: what the planning may use.
    """

    folder: Path
    table: Callable[[str], importing.CurrentTable | None]
    known: Callable[[str], remarks.Known]
    progress: Callable[[str, int, int | None], None]
    memory: str
    threads: int
    limits: source.Limits | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Previewed:
    """A preview without the request that follows it, and the options of that request, as far as there can be one."""

    preview: Preview
    options: options.ImportOptions | None


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """What an import would do."""

    staged: importing.Staged
    change: importing.Change
    columns: list[StoredColumn]
    rows: list[list[Any]]
    rejects: list[RejectsOfCode]


def make(path: Path, asked: options.PreviewOptions, around: Surroundings) -> Previewed:
    """Preview the import of a file.

    Raises:
        errors.Refusal: it cannot be read as a table, or an option is wrong, whatever its sender might answer.
    """
    asked, open_questions, text = _read(path, asked, around)
    with database.connect(around.folder, memory=database.MOST_MEMORY, threads=importing.STAGE_THREADS) as connection:
        columns = evidence.look(connection, text.text.relation, len(text.headers))
    file = questions.File(text.headers, columns)
    choice, more = _choose(asked, file)
    open_questions += more
    if choice.chosen is None:
        return Previewed(_unknown(text, file, choice, open_questions), None)
    staged, decided, more = _understand(text, file, asked.of(choice.chosen), around.folder / "staged")
    open_questions += more
    if staged is None:
        return Previewed(_stuck(text, file, choice, open_questions, asked.of(choice.chosen)), None)
    plan = _plan(staged, around)
    if plan.change.counts.rejected > decided.max_rejects * plan.change.counts.read:
        question = questions.of_rejects(plan.change.counts.rejected, plan.change.counts.read, decided.max_rejects)
        open_questions.append(question)
        decided = decided.model_copy(update={"max_rejects": question.assumed})
    assumed = frozenset(decided.mapping) - frozenset(asked.mapping)
    # Which sheet it was is said, so that a sheet that is put before it changes nothing.
    decided = decided.model_copy(update={"sheet": decided.sheet or text.facts.get("sheet")})
    return Previewed(_whole(plan, file, choice, open_questions, assumed), decided)


def _read(
    path: Path, asked: options.PreviewOptions, around: Surroundings
) -> tuple[options.PreviewOptions, list[Question], importing.FileText]:
    """Read the file; a sheet that it does not have is asked for, and the first one that has a table is taken instead."""

    def read(said: options.PreviewOptions) -> importing.FileText:
        return importing.read(
            path,
            options=said,
            folder=around.folder / "staged",
            progress=lambda done, total: around.progress("read", done, total),
            limits=around.limits,
        )

    try:
        return asked, [], read(asked)
    except errors.Refusal as refusal:
        if refusal.code != "unknown-sheet" or asked.sheet is None:
            raise
        text = read(asked.model_copy(update={"sheet": None}))
        found = text.facts.get("sheet")
        return asked.model_copy(update={"sheet": found}), [questions.of_sheet(refusal, assumed=found)], text


def _choose(asked: options.PreviewOptions, file: questions.File) -> tuple[DatasetChoice, list[Question]]:
    candidates = guessing.rank(file.headers, file.columns, asked.mapping)
    shown = [
        DatasetCandidate(dataset=one.dataset, confidence=one.confidence, why=one.why, missing=list(one.missing))
        for one in candidates
    ]
    if asked.dataset is not None:
        return DatasetChoice(chosen=asked.dataset, how="caller", candidates=shown), []
    if (sure := guessing.choose(candidates)) is not None:
        return DatasetChoice(chosen=sure.dataset, how="guessed", candidates=shown), []
    assumed = candidates[0].dataset if candidates else None
    choice = DatasetChoice(chosen=assumed, how="assumed" if assumed else None, candidates=shown)
    return choice, [questions.of_dataset(candidates)]


def _understand(
    text: importing.FileText, file: questions.File, asked: options.ImportOptions, folder: Path
) -> tuple[importing.Staged | None, options.ImportOptions, list[Question]]:
    """Ask and assume until the file is understood, or nobody but its sender can go on."""
    found: list[Question] = []
    for _ in range(MOST_ROUNDS):
        try:
            return importing.understand(text, options=asked, folder=folder), asked, found
        except errors.Refusal as refusal:
            answer = questions.of_refusal(refusal, file, asked)
            if answer is None:
                raise
            found += answer.questions
            if answer.options is None:
                break
            asked = answer.options
    return None, asked, found


def _plan(staged: importing.Staged, around: Surroundings) -> _Plan:
    around.progress("merge", 0, staged.rows_read)
    dataset = staged.options.dataset
    # However many rows are bad, the preview shows which.
    lenient = dataclasses.replace(staged.reading, options=staged.options.model_copy(update={"max_rejects": 1.0}))
    staged = dataclasses.replace(staged, reading=lenient)
    current = around.table(dataset)
    change = importing.plan_change(
        staged,
        current=current,
        folder=around.folder / "change",
        memory=around.memory,
        threads=around.threads,
        known=around.known(dataset),
    )
    with database.connect(around.folder, memory=around.memory, threads=around.threads) as connection:
        names, rows = _first_rows(connection, staged, change.types)
        rejects = _rejects(connection, change)
    columns = [StoredColumn(name=name, type=str(change.types[name].kind)) for name in names]
    return _Plan(staged, change, columns, rows, rejects)


def _first_rows(
    connection: duckdb.DuckDBPyConnection, staged: importing.Staged, types: Mapping[str, profiling.ColumnType]
) -> tuple[list[str], list[list[Any]]]:
    clean = cleaning.build(staged.reading, types, staged.text.relation)
    shown = [name for name in clean.columns if name in clean.present][:SHOWN_COLUMNS]
    names = ", ".join(map(wording.quote_name, shown))
    table: pa.Table = connection.sql(
        f"SELECT {names} FROM ({clean.query}) WHERE {cleaning.BAD} IS NULL ORDER BY {batches.LINE} LIMIT {SHOWN_ROWS}"  # noqa: S608 - names are quoted
    ).to_arrow_table()
    columns = [_as_json(table[name]) for name in shown]
    return shown, [list(row) for row in zip(*columns, strict=True)]


def _as_json(values: pa.ChunkedArray) -> list[Any]:
    if pa.types.is_integer(values.type) or pa.types.is_boolean(values.type):
        return list(values.to_pylist())
    return [None if text is None else evidence.shorten(text, LONGEST_CELL) for text in cells.plain(values).to_pylist()]


def _rejects(connection: duckdb.DuckDBPyConnection, change: importing.Change) -> list[RejectsOfCode]:
    if not change.counts.rejected:
        return []
    found = connection.execute(
        'SELECT code, line, "column", value FROM (SELECT *, row_number() OVER (PARTITION BY code ORDER BY line) AS nth '  # noqa: S608 - the path is quoted
        f"FROM read_parquet({wording.quote_text(str(change.rejects))})) WHERE nth <= {SAMPLES_OF_REJECTS} ORDER BY line"
    ).fetchall()
    samples: dict[str, list[RejectSample]] = {}
    for code, line, column, value in found:
        cell = None if value is None else evidence.shorten(value, LONGEST_CELL)
        samples.setdefault(code, []).append(RejectSample(line=line, column=column, value=cell))
    return [
        RejectsOfCode(code=code, count=count, samples=samples[code]) for code, count in change.rejects_by_code.items()
    ]


def _whole(
    plan: _Plan, file: questions.File, choice: DatasetChoice, asked: Sequence[Question], assumed: frozenset[str]
) -> Preview:
    mapping = plan.staged.reading.mapping
    columns = []
    for position, name in enumerate(mapping.names):
        how = headers.How.ASSUMED if name in assumed else mapping.how(name)
        columns.append(_column(file, position, name, how, str(plan.change.types[name].kind)))
    layout = {"layout": mapping.layout.title} if mapping.layout else {}
    return Preview(
        ready=not asked,
        dataset=choice,
        mapping=columns,
        unmapped=_unmapped(plan.staged.reading.schema, mapping.canonical),
        columns=plan.columns,
        rows=plan.rows,
        counts=RowCounts(**plan.change.counts.as_dict()),
        rejects=plan.rejects,
        questions=list(asked),
        facts={**plan.staged.facts, **layout},
        warnings=_notices(plan.change.warnings),
        next=None,
    )


def _stuck(
    text: importing.FileText,
    file: questions.File,
    choice: DatasetChoice,
    asked: Sequence[Question],
    given: options.ImportOptions,
) -> Preview:
    """What can be shown of a file whose rows cannot be read before a question is answered."""
    schema = schemas.DATASETS[given.dataset]
    known = {name: header for name, header in given.mapping.items() if header is None or header in file.headers}
    placed = headers.place(file.headers, schema, known)
    taken = {position: name for name, position in placed.places.items()}
    columns = []
    for position, header in enumerate(file.headers):
        name = taken.get(position, header)
        column = schema.column(name) if position in taken else None
        how = headers.how_of(name, header if column else None, said=placed.said)
        columns.append(_column(file, position, name, how, str(column.kind) if column else "text"))
    return _bare(text, choice, asked, columns, _unmapped(schema, placed.places))


def _unknown(
    text: importing.FileText, file: questions.File, choice: DatasetChoice, asked: Sequence[Question]
) -> Preview:
    columns = [
        _column(file, position, header, headers.How.EXTRA, "text") for position, header in enumerate(file.headers)
    ]
    return _bare(text, choice, asked, columns, [])


def _bare(
    text: importing.FileText,
    choice: DatasetChoice,
    asked: Sequence[Question],
    columns: list[ColumnPreview],
    unmapped: list[ColumnWithoutHeader],
) -> Preview:
    return Preview(
        ready=False,
        dataset=choice,
        mapping=columns,
        unmapped=unmapped,
        columns=[],
        rows=[],
        counts=None,
        rejects=[],
        questions=list(asked),
        facts=dict(text.facts),
        warnings=_notices(text.warnings),
        next=None,
    )


def _column(file: questions.File, position: int, name: str, how: headers.How, kind: str) -> ColumnPreview:
    seen = file.columns[position]
    canonical = next((found for schema in schemas.DATASETS.values() if (found := schema.column(name))), None)
    fits = 1.0 if how is headers.How.EXTRA or canonical is None or seen.is_blank else seen.fits(canonical)
    return ColumnPreview(
        header=evidence.shorten(file.headers[position], LONGEST_CELL),
        column=name,
        how=how,
        type=kind,
        confidence=round(fits * CERTAINTY.get(how, 1.0), 2),
        samples=list(seen.samples),
        empty=round(seen.empty, 4),
    )


def _unmapped(schema: schemas.DatasetSchema, mapped: Any) -> list[ColumnWithoutHeader]:
    return [
        ColumnWithoutHeader(column=column.name, required=column.required, description=column.description)
        for column in schema.columns
        if column.name not in mapped
    ]


def _notices(warnings: Sequence[result.ResultWarning]) -> list[PreviewNotice]:
    return [PreviewNotice(code=warning.code, detail=warning.detail) for warning in warnings]
