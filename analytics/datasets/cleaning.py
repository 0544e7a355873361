"""The SQL that makes typed rows of staged text: values, derived columns, and for each bad row what is wrong with it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from analytics.datasets import batches, currencies, dates, headers, numbers, options, profiling, schemas, wording

BAD = "_bad"
# The one close date that a file of deals has, before it is known what it is for a deal.
CLOSES = "_closes"


@dataclass(frozen=True, slots=True)
class Reading:
    """All that was found out about a staged file and decides how its text is read."""

    schema: schemas.DatasetSchema
    options: options.ImportOptions
    mapping: headers.HeaderMapping
    profiles: tuple[profiling.ColumnProfile, ...]
    sign: str
    dates: Mapping[str, dates.DatePlan]
    units: Mapping[str, currencies.Units] = field(default_factory=dict)

    @property
    def names_currency(self) -> bool:
        """Whether rows say their currency, in a column of its own or in their amounts."""
        return "currency" in self.mapping.names or bool(self.units)

    def values_sql(self, column: str, relation: str) -> str:
        """The cleaned texts of a column of text, as `value`, and in how many rows of `relation` each stands, as `n`."""
        position = self.mapping.names.index(column)
        profile = self.profiles[position]
        value = wording.text_sql(profile.value, column=column, wide=profile.wide)
        cell = batches.text_column(position)
        # Each spelling of a cell is cleaned once, however often it occurs.
        cells = f"SELECT {cell}, count(*) AS n FROM {relation} GROUP BY ALL"  # noqa: S608 - names of ours
        return f"SELECT {value} AS value, sum(n) AS n FROM ({cells}) WHERE {value} IS NOT NULL GROUP BY value"  # noqa: S608 - texts are quoted


@dataclass(frozen=True, slots=True)
class Fault:
    """What can be wrong with a row: in which column, the SQL of the code and that of the value, over staged text."""

    column: str
    code: str
    value: str


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The query for clean rows (`_line`, `_bad`, then the columns) and the faults that `_bad` counts from 1.

    Attributes:
        present: columns that the file has or that were derived; `derived`: the latter, some of which the file has too.
    """

    query: str
    columns: tuple[str, ...]
    present: frozenset[str]
    derived: frozenset[str]
    faults: tuple[Fault, ...]


def sql_type(column: profiling.ColumnType) -> str:
    kinds = schemas.ColumnKind
    return {
        kinds.TEXT: "VARCHAR",
        kinds.INT: "BIGINT",
        kinds.DECIMAL: f"DECIMAL({column.precision}, {column.scale})",
        kinds.TIMESTAMP: "TIMESTAMPTZ",
        kinds.DATE: "DATE",
        kinds.BOOL: "BOOLEAN",
    }[column.kind]


def build(reading: Reading, types: Mapping[str, profiling.ColumnType], relation: str) -> Cleaning:
    """Compose the query over the staged rows in `relation`; `types` are the columns of the table, in its order."""
    return _completed(reading, types, *_typed_rows(reading, types, relation))


def build_typed(
    reading: Reading, types: Mapping[str, profiling.ColumnType], relation: str, *, local: Collection[str]
) -> str:
    """The same query over rows that were typed as they were read; `local` are the columns of times without a zone.

    Rows without a required value are not among them, so none is bad.
    """
    cells = [batches.LINE]
    for name in reading.mapping.names:
        quoted = wording.quote_name(name)
        cells.append(f"{dates.in_zone(quoted, _zone(reading))} AS {quoted}" if name in local else quoted)
    if reading.names_currency and "currency" not in reading.mapping.names:
        cells.append("NULL::VARCHAR AS currency")
    query = f"SELECT {', '.join(cells)}, NULL AS {BAD} FROM {relation}"  # noqa: S608 - names are quoted
    return _completed(reading, types, query, []).query


def is_complete(reading: Reading, counts: Mapping[str, int], rows: int) -> bool:
    """Whether nothing is to be derived for rows of which so many have a value, by column."""
    return all(counts.get(name) == rows for step in _derived(reading) for name in step)


def _completed(
    reading: Reading, types: Mapping[str, profiling.ColumnType], query: str, faults: list[Fault]
) -> Cleaning:
    """The typed rows with the columns that are derived from others, and with all columns of the table."""
    derived = _derived(reading)
    for step in derived:
        columns = ", ".join(f"{sql} AS {wording.quote_name(name)}" for name, sql in step.items())
        replaced = ", ".join(wording.quote_name(name) for name in step)
        query = f"SELECT * EXCLUDE ({replaced}), {columns} FROM ({_with_nulls(query, step, reading)})"  # noqa: S608 - as above
    made = frozenset[str]().union(*derived)
    present = made.union(reading.mapping.names)
    query = _finished(reading, query, types, present, faults)
    return Cleaning(query, tuple(types), present - {CLOSES}, made - {CLOSES}, tuple(faults))


def _typed_rows(reading: Reading, types: Mapping[str, profiling.ColumnType], relation: str) -> tuple[str, list[Fault]]:
    """The file's own columns with their types, and `_bad`. A typed value is computed once and then looked at twice."""
    faults: list[Fault] = []
    cells = [f"{batches.LINE}"]
    bad = []
    for profile in reading.profiles:
        name = wording.quote_name(profile.name)
        typed, code = _typed(reading, profile, types[profile.name])
        cells.append(f"{typed} AS {name}")
        if code is not None:
            faults.append(Fault(profile.name, code, profile.value))
            written = f"{BAD}{len(faults)}"
            cells.append(f"{profile.value} AS {written}")
            bad.append((written, f"WHEN {name} IS NULL AND {written} IS NOT NULL THEN {len(faults)}"))
            if types[profile.name].kind in (schemas.ColumnKind.DATE, schemas.ColumnKind.TIMESTAMP):
                faults.append(Fault(profile.name, "'out-of-range'", profile.value))
                bad.append((written, f"WHEN {dates.far_sql(name)} THEN {len(faults)}"))
    values = {profile.name: profile.value for profile in reading.profiles}
    cells += [
        f"{units.sql(values[name])} AS _units{number}" for number, (name, units) in enumerate(reading.units.items())
    ]
    query = f"SELECT {', '.join(cells)} FROM {relation}"  # noqa: S608 - names and texts are quoted
    if not bad:
        return f"SELECT *, NULL AS {BAD} FROM ({query})", faults  # noqa: S608 - as above
    arms = " ".join(arm for _, arm in bad)
    dropped = ", ".join(dict.fromkeys(written for written, _ in bad))
    query = f"SELECT * EXCLUDE ({dropped}), CASE {arms} END AS {BAD} FROM ({query})"  # noqa: S608 - as above
    return _with_currency(reading, query, faults), faults


def _with_currency(reading: Reading, query: str, faults: list[Fault]) -> str:
    """The rows with the currency that their amounts name; those that name another one than the row does are bad."""
    said = "currency" if "currency" in reading.mapping.names else "NULL"
    for number, (name, units) in enumerate(reading.units.items()):
        cell, written = f"_units{number}", next(profile.value for profile in reading.profiles if profile.name == name)
        code = units.code_sql(cell, said, reading.options.currency)
        bad = []
        for fault in (currencies.UNKNOWN, currencies.CONTRADICTORY):
            faults.append(Fault(name, wording.quote_text(fault), written))
            bad.append(f"WHEN _code = {wording.quote_text(fault)} THEN {len(faults)}")
        replaced = f"{cell}, _code, {BAD}" + (", currency" if said == "currency" else "")
        query = (
            f"SELECT * EXCLUDE ({replaced}), coalesce({said}, _code) AS currency, "  # noqa: S608 - names and texts are quoted
            f"coalesce({BAD}, CASE {' '.join(bad)} END) AS {BAD} FROM (SELECT *, {code} AS _code FROM ({query}))"
        )
        said = "currency"
    return query


def _with_nulls(query: str, step: Mapping[str, str], reading: Reading) -> str:
    """The query with a null column for each that the file lacks, so that replacing and lacking are one case."""
    there = {*reading.mapping.names, *(("currency",) if reading.names_currency else ())}
    lacking = [name for name in step if name not in there]
    nulls = "".join(f", NULL::VARCHAR AS {wording.quote_name(name)}" for name in lacking)
    return f"SELECT *{nulls} FROM ({query})"  # noqa: S608 - names are quoted


def _finished(
    reading: Reading,
    query: str,
    types: Mapping[str, profiling.ColumnType],
    present: frozenset[str],
    faults: list[Fault],
) -> str:
    """All columns of the table in its order and with its types; rows without a required value are bad."""
    bad = []
    for column in reading.schema.columns:
        if column.key or (column.required and column.name in present and column.name not in reading.mapping.waived):
            faults.append(Fault(column.name, "'missing-value'", "NULL"))
            bad.append(f"WHEN {wording.quote_name(column.name)} IS NULL THEN {len(faults)}")
        if column.positive and column.name in present:
            value = next(profile.value for profile in reading.profiles if profile.name == column.name)
            faults.append(Fault(column.name, "'not-positive'", value))
            bad.append(f"WHEN {wording.quote_name(column.name)} <= 0 THEN {len(faults)}")
    fault = f"CAST(coalesce({BAD}, CASE {' '.join(bad)} END) AS SMALLINT)"
    cells = [batches.LINE, f"{fault} AS {BAD}"]
    for name, column_type in types.items():
        value = wording.quote_name(name) if name in present else "NULL"
        cells.append(f"CAST({value} AS {sql_type(column_type)}) AS {wording.quote_name(name)}")
    if CLOSES in present:
        cells.append(CLOSES)
    return f"SELECT {', '.join(cells)} FROM ({query})"  # noqa: S608 - names are quoted


def _typed(
    reading: Reading, profile: profiling.ColumnProfile, column_type: profiling.ColumnType
) -> tuple[str, str | None]:
    """SQL of the typed value, and of the code where a value can be bad."""
    kinds = schemas.ColumnKind
    value = profile.value
    match column_type.kind:
        case kinds.TEXT:
            return _text(reading, profile)
        case kinds.INT | kinds.DECIMAL:
            return _number(reading, profile, column_type)
        case kinds.TIMESTAMP:
            plan = reading.dates.get(profile.name, profile.iso_plan)
            return dates.timestamp_sql(value, plan, _zone(reading)), "'bad-timestamp'"
        case kinds.DATE:
            plan = reading.dates.get(profile.name, profile.iso_plan)
            return dates.date_sql(value, plan, _zone(reading)), "'bad-date'"
        case kinds.BOOL:
            return f"CASE lower({value}) WHEN 'true' THEN true WHEN 'false' THEN false END", "'bad-bool'"


def _zone(reading: Reading) -> str:
    return reading.options.timezone or "UTC"


def _text(reading: Reading, profile: profiling.ColumnProfile) -> tuple[str, str | None]:
    column = reading.schema.column(profile.name)
    if column is not None and column.choices:
        return wording.choice_sql(profile.value, column.name, column.choices), "'bad-choice'"
    if profile.name == "phone":
        return wording.phone_sql(profile.value), None
    return wording.text_sql(profile.value, column=profile.name, wide=profile.wide), None


def _number(
    reading: Reading, profile: profiling.ColumnProfile, column_type: profiling.ColumnType
) -> tuple[str, str | None]:
    fitting = profile.ints if reading.schema.column(profile.name) is None else profile.simple
    if column_type.kind is schemas.ColumnKind.DECIMAL and reading.schema.column(profile.name) is None:
        fitting = profile.decimals
    sign = "." if profile.exact else reading.sign
    # What is known to fit is cast as it is, which is several times faster than looking at each value again.
    if fitting == profile.count and (sign == "." or not profile.pointed):
        return f"CAST({profile.value} AS {sql_type(column_type)})", None
    if column_type.kind is schemas.ColumnKind.INT:
        return numbers.int_sql(profile.value, sign)
    return numbers.decimal_sql(profile.value, sign, precision=column_type.precision, scale=column_type.scale)


def _derived(reading: Reading) -> Sequence[Mapping[str, str]]:
    """Columns made of others, in steps of which each may use the ones before."""
    if reading.schema.name in ("orders", "order_lines"):
        return _derived_of_orders(reading)
    present = set(reading.mapping.names)
    step: dict[str, str] = {}
    if reading.schema.name == "deals" and "status" not in present and "stage" in present:
        step["status"] = wording.status_of_stage_sql("stage")
    dates_of_deals = _close_dates(reading, present | set(step))
    if reading.schema.name != "fx_rates" and reading.schema.column("currency") is not None:
        step |= _currency(reading)
    return [one for one in (step, dates_of_deals) if one]


def _close_dates(reading: Reading, known: set[str]) -> dict[str, str]:
    """CRMs have one close date: of an open deal it is the day it is expected to close, not the time it was closed."""
    if reading.schema.name != "deals" or "expected_close_on" in known or not {"closed_at", "status"} <= known:
        return {}
    return {
        "expected_close_on": f"CASE WHEN status = 'open' THEN {day_sql(reading, 'closed_at')} END",
        "closed_at": "CASE WHEN status IS DISTINCT FROM 'open' THEN closed_at END",
        CLOSES: "closed_at",
    }


def day_sql(reading: Reading, moment: str) -> str:
    """The day of a moment in the zone of the file."""
    return f"CAST(timezone({wording.quote_text(_zone(reading))}, {moment}) AS DATE)"


def _currency(reading: Reading) -> dict[str, str]:
    if reading.options.currency is None:
        return {"currency": "currency"} if reading.units else {}
    ours = wording.quote_text(reading.options.currency)
    return {"currency": f"coalesce(currency, {ours})" if reading.names_currency else ours}


def _derived_of_orders(reading: Reading) -> Sequence[Mapping[str, str]]:
    present = set(reading.mapping.names)
    first = _currency(reading)
    if reading.schema.name == "order_lines" and {"quantity", "unit_price"} <= present:
        product = product_sql("quantity", "unit_price")
        first["amount"] = f"coalesce(amount, {product})" if "amount" in present else product
    if "order_id" not in present:
        moment = "strftime(timezone('UTC', ordered_at), '%Y-%m-%dT%H:%M:%S.%fZ')"
        place = f"'/' || row_number() OVER (PARTITION BY customer_id, ordered_at ORDER BY {batches.LINE})"
        order = f"customer_id || '/' || {moment}"
        first["order_id"] = order if reading.schema.name == "order_lines" else f"{order} || {place}"
    second = {"kind": _kind(reading)}
    if reading.schema.name == "order_lines" and "line_no" not in present:
        second["line_no"] = f"row_number() OVER (PARTITION BY order_id ORDER BY {batches.LINE})"
    return [step for step in (first, second) if step]


def product_sql(quantity: str, unit_price: str) -> str:
    """The exact amount of a line."""
    # One more digit each than the columns have makes the product wide enough for the largest factors.
    return f"CAST({quantity} AS DECIMAL(19, 4)) * CAST({unit_price} AS DECIMAL(19, 4))"


def kind_of_amount_sql(amount: str) -> str:
    return f"CASE WHEN {amount} < 0 THEN 'refund' ELSE 'sale' END"


def refund_sql(order: str, pattern: str) -> str:
    """Whether an order's id says that it is a refund."""
    return f"regexp_matches({order}, {wording.quote_text(pattern)})"


def _kind(reading: Reading) -> str:
    pattern = reading.options.refund_pattern
    present = set(reading.mapping.names)
    signs = ["amount < 0"] if {"amount"} & present or {"quantity", "unit_price"} <= present else []
    if pattern is not None:
        signs.append(refund_sql("order_id", pattern))
    found = f"CASE WHEN {' OR '.join(signs)} THEN 'refund' ELSE 'sale' END" if signs else "'sale'"
    return f"coalesce(kind, {found})" if "kind" in present else found
