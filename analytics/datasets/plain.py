"""Plain rows: those whose values are written so simply that they are typed at once, block by block, as the file is read.

A row that is not plain is not wrong. It is set aside as text, and the SQL of `cleaning` decides about it once all values
are known; what counts as plain is chosen so that it would have become the same there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from analytics.datasets import batches, forms, headers, letters, options, profiling, reading, schemas, wording

# Above this share of rows that are not plain, among the first, too little is won by telling them apart.
MOST_ODD = 0.1
# Made of the rows' order in the whole file where a file lacks them, so its rows cannot be taken one by one.
NUMBERED = {"orders": ("order_id",), "order_lines": ("order_id", "line_no")}
HEAD = "head"


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """A column of the file and what is plain in it.

    Attributes:
        cell: its name in staged text.
        final: its type in the table; that of a further column is guessed from the first rows.
        profile: the counts by which values of its form are profiled, such as `simple` or `iso_date`.
        required: whether a row without a value is for `cleaning` to judge.
        repeats: whether its text is kept in dictionaries.
        settled: whether the first rows had any value to guess from.
    """

    cell: str
    name: str
    form: forms.Form
    final: profiling.ColumnType
    profile: tuple[str, ...]
    required: bool
    repeats: bool
    settled: bool

    @property
    def type(self) -> pa.DataType:
        return pa.dictionary(pa.int32(), pa.string()) if self.repeats else self.form.type

    def convert(self, text: pa.Array, engine: forms.Engine) -> tuple[pa.Array, pa.BooleanArray | None]:
        """The values of a block, and which cells are neither empty nor plain; None where there is none."""
        if not pa.types.is_dictionary(text.type):
            values, odd = self.form.convert(text, engine)
            return values.dictionary_encode() if self.repeats else values, odd
        # Of values that repeat each is looked at once.
        distinct, odd = self.form.convert(text.dictionary, engine)
        if self.repeats and distinct is text.dictionary:
            return text, None
        values = pc.take(distinct, text.indices)
        rows = None if odd is None else pc.fill_null(pc.take(odd, text.indices), fill_value=False)
        return values.dictionary_encode() if self.repeats else values, rows


@dataclass(frozen=True, slots=True)
class PlainBlock:
    """What one block of a file became.

    Attributes:
        rows: the plain rows under the names of the table, and `lines` where they stand; `odd`: the others, as text.
        counts: values by column; `pointed`: those with a point, of canonical numbers.
    """

    rows: pa.Table
    lines: pa.Table
    odd: pa.Table
    counts: Mapping[str, int]
    pointed: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PlainPlan:
    """How the plain rows of one file are recognised.

    Attributes:
        columns: in the order of the file.
        schema: of the typed rows: all columns of the dataset in its order, then the further ones.
        sought: the columns by whose least and greatest values parts of a table are passed over: the key, and times.
    """

    columns: tuple[PlainColumn, ...]
    schema: pa.Schema
    sought: tuple[str, ...]

    def take(self, text: pa.Table, engine: forms.Engine) -> PlainBlock:
        """Tell the plain rows of a block from the others."""
        values: dict[str, pa.Array] = {}
        odd: pa.BooleanArray | None = None
        for column in self.columns:
            cells, not_plain = column.convert(_one_array(text[column.cell]), engine)
            values[column.name] = cells
            odd = _either(odd, not_plain)
            if column.required and cells.null_count:
                odd = _either(odd, pc.is_null(cells))
        lacking = {field.name: pa.nulls(text.num_rows, field.type) for field in self.schema if field.name not in values}
        rows, aside = pa.table(values | lacking, schema=self.schema), text.slice(0, 0)
        if odd is not None:
            kept = pc.invert(odd)
            rows, aside, text = rows.filter(kept), text.filter(odd), text.filter(kept)
        counts = {column.name: rows.num_rows - rows[column.name].null_count for column in self.columns}
        pointed = {
            column.name: _count_points(text[column.cell]) for column in self.columns if "simple" in column.profile
        }
        return PlainBlock(rows, text.select([batches.LINE]), aside, counts, pointed)


def settle(
    connection: duckdb.DuckDBPyConnection,
    rows: pa.Table,
    *,
    mapping: headers.HeaderMapping,
    asked: options.ImportOptions,
) -> PlainPlan | None:
    """The plan that fits the first rows; None where most of what follows would not be plain, or cannot be known yet."""
    schema = schemas.DATASETS[asked.dataset]
    if not rows.num_rows or not _allows(asked, mapping):
        return None
    connection.register(HEAD, rows)
    head = profiling.FirstRows(HEAD, *map(frozenset, letters.look(rows)))
    profiles = profiling.profile_columns(
        connection, head, mapping=mapping, schema=schema, null_values=asked.null_values
    )
    columns = [
        _column(position, profile, schema=schema, asked=asked, cells=rows.schema)
        for position, profile in enumerate(profiles)
    ]
    typed = _schema(columns, schema)
    sought = [field.name for field in typed if field.name in schema.key or pa.types.is_temporal(field.type)]
    plan = PlainPlan(tuple(columns), typed, tuple(sought))
    with forms.Engine() as engine:
        odd = plan.take(rows, engine).odd.num_rows
    return plan if odd <= MOST_ODD * rows.num_rows else None


def _allows(asked: options.ImportOptions, mapping: headers.HeaderMapping) -> bool:
    """Whether the rows can be taken one by one, by what is known of the file before its values."""
    numbered = any(name not in mapping.names for name in NUMBERED.get(asked.dataset, ()))
    carried = mapping.layout is not None and mapping.layout.group is not None
    # A row that is rejected for its key is to be written down as it was, so it has to be kept as text.
    appended = asked.mode is options.ImportMode.APPEND
    bounded = any(column.positive for column in schemas.DATASETS[asked.dataset].columns)
    return not (numbered or carried or appended or bounded) and asked.decimal != ","


def _schema(columns: Sequence[PlainColumn], schema: schemas.DatasetSchema) -> pa.Schema:
    present = {column.name: column.type for column in columns}
    names = dict.fromkeys((*(column.name for column in schema.columns), *present))
    # Of a column that the file lacks the type is of no account.
    types = {column.name: profiling.arrow_type(profiling.type_of(column)) for column in schema.columns}
    return pa.schema([(name, present.get(name) or types[name]) for name in names])


def _column(
    position: int,
    profile: profiling.ColumnProfile,
    *,
    schema: schemas.DatasetSchema,
    asked: options.ImportOptions,
    cells: pa.Schema,
) -> PlainColumn:
    cell = batches.text_column(position)
    column = schema.column(profile.name)
    keeps_na = "country" in profile.name
    value = wording.value_sql("v", padded=True, null_words=(*reading.NULL_WORDS, *asked.null_values), keeps_na=keeps_na)
    final = profiling.type_of(column) if column else profiling.guess_type(profile, ".")
    form, counts = _form(profile, value, final=final, column=column, zone=asked.timezone or "UTC")
    return PlainColumn(
        cell=cell,
        name=profile.name,
        form=form,
        final=final,
        profile=counts,
        required=column is not None and (column.key or column.required),
        repeats=pa.types.is_dictionary(cells.field(cell).type) and pa.types.is_string(form.type),
        settled=column is not None or profile.count > 0,
    )


def _form(
    profile: profiling.ColumnProfile,
    value: str,
    *,
    final: profiling.ColumnType,
    column: schemas.DatasetColumn | None,
    zone: str,
) -> tuple[forms.Form, tuple[str, ...]]:
    """The form, and the counts of a profile that its plain values add to."""
    kinds = schemas.ColumnKind
    match final.kind:
        case kinds.TEXT:
            choices = column.choices if column else ()
            return forms.of_text(value, profile.name, choices, na="country" in profile.name), ()
        case kinds.INT | kinds.DECIMAL:
            counts = ("simple",) if column else ("ints",) if final.kind is kinds.INT else ("decimals",)
            return forms.of_number(value, final, further=column is None), counts
        case kinds.TIMESTAMP:
            zoned = profile.iso_zoned > profile.iso_naive + profile.iso_date
            return forms.of_time(value, zoned=zoned, zone=zone), ("iso_zoned", "iso_plain") if zoned else ("iso_naive",)
        case kinds.DATE:
            return forms.of_date(value), ("iso_date",)
        case kinds.BOOL:
            return forms.of_bool(value), ("bools",)


def _either(one: pa.BooleanArray | None, other: pa.BooleanArray | None) -> pa.BooleanArray | None:
    return one if other is None else other if one is None else pc.or_(one, other)


def _count_points(text: pa.ChunkedArray) -> int:
    cells = _one_array(text)
    if not pa.types.is_dictionary(cells.type):
        return letters.of(cells).points()
    has_point = pc.match_substring(cells.dictionary, ".")
    return int(pc.sum(pc.take(has_point, cells.indices)).as_py() or 0)


def _one_array(column: pa.ChunkedArray) -> pa.Array:
    """A block's column in one piece, which it nearly always is."""
    if column.num_chunks == 1:
        return column.chunk(0)
    return column.unify_dictionaries().combine_chunks()
