"""The figures that alerts watch, read from a result in one pass over its chunks."""

import hashlib
import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, localcontext
from typing import Any

import numpy as np
import pyarrow as pa

from analytics.alerts import judging
from analytics.alerts.judging import Clock, MisjudgedError
from analytics.catalogue import alert_checks, thresholds
from analytics.catalogue.alerts import MOST_KEYS, Alert, Kind, OfColumn, OfCount, OfEach, OfSummary, Take
from analytics.catalogue.columns import ColumnType
from analytics.render import cells, chunks, row_masks

DIGEST_BYTES = 16
# Of what is not about each row.
WHOLE = bytes(DIGEST_BYTES)
# Enough for the sum of any number of exact cells.
_DIGITS = 76
_MEAN_PLACES = Decimal("1e-10")
_LONGEST_LIST = 20
_PACKED = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class ProblemError(Exception):
    """Why an alert cannot be evaluated: a stable code, a sentence that names no cell."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Figure:
    """One value: as it is shown, as it is compared (a `Decimal` for every number), and of which row it is."""

    shown: Any
    value: Any
    key: dict[str, Any] | None = None


@dataclass(slots=True)
class Figures:
    """What an alert watches in one result.

    Attributes:
        of: the figures by the digests of their rows' keys; of thresholds only those that hold, and those asked for.
        pieces: with `with_rows`, the same rows with all their cells, in the same order.
    """

    of: dict[bytes, Figure] = field(default_factory=dict)
    pieces: list[pa.Table] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Wanted:
    """An alert, and which of its rows are to be read whatever they say."""

    alert: Alert
    known: Collection[bytes] = frozenset()
    with_rows: bool = False


def read(
    wanted: Sequence[Wanted], header: Mapping[str, Any], stored: Iterable[bytes], clock: Clock
) -> list[Figures | ProblemError]:
    """Return of each alert its figures, or why there are none. Chunks are read once, one by one, and only if need be."""
    readers: list[_Reader | ProblemError] = []
    for one in wanted:
        try:
            readers.append(_reader(one, header, clock))
        except ProblemError as problem:
            readers.append(problem)
    if any(isinstance(reader, _Reader) and reader.reads_rows for reader in readers):
        for data in stored:
            table = chunks.decode(data)
            for place, reader in enumerate(readers):
                if isinstance(reader, _Reader) and reader.reads_rows:
                    readers[place] = _taken(reader, table)
    return [_ended(reader) for reader in readers]


def kinds_of(header: Mapping[str, Any]) -> dict[str, ColumnType]:
    """Return the type of each column of a result."""
    return {column["name"]: ColumnType(column["type"]) for column in header["columns"]}


def zone_of(header: Mapping[str, Any]) -> str:
    """Return the time zone whose days a result is about."""
    return str((header.get("params") or {}).get("timezone") or "UTC")


def digest(key: Sequence[Any]) -> bytes:
    """Return what a row is known by from one run to the next."""
    return hashlib.blake2b(_PACKED(key).encode(), digest_size=DIGEST_BYTES).digest()


def as_value(shown: Any) -> Any:
    """Return what was shown as it is compared: numbers, exact ones among texts too, as `Decimal`."""
    number = thresholds.as_number(shown)
    return shown if number is None else number


class _Reader:
    """Takes the rows of a result, and then has the figures."""

    reads_rows = True

    def take(self, table: pa.Table) -> None:
        """Look at some more rows."""

    def figures(self) -> Figures:
        raise NotImplementedError


def _reader(wanted: Wanted, header: Mapping[str, Any], clock: Clock) -> _Reader:
    alert, kinds = wanted.alert, kinds_of(header)
    for misfit in alert_checks.misfits(alert, kinds, zone=zone_of(header)):
        raise ProblemError(misfit.code, misfit.detail)
    match alert.of:
        case OfSummary():
            return _Summary(alert.of, header.get("summary") or {})
        case OfCount():
            return _Count(alert.of, header)
        case OfColumn():
            return _Column(alert.of, header, kinds[alert.of.column])
        case OfEach():
            return _Each(wanted, alert.of, header, clock)


def _taken(reader: _Reader, table: pa.Table) -> _Reader | ProblemError:
    try:
        reader.take(table)
    except ProblemError as problem:
        return problem
    return reader


def _ended(reader: _Reader | ProblemError) -> Figures | ProblemError:
    if isinstance(reader, ProblemError):
        return reader
    try:
        return reader.figures()
    except ProblemError as problem:
        return problem


class _Summary(_Reader):
    reads_rows = False

    def __init__(self, of: OfSummary, summary: Mapping[str, Any]) -> None:
        self._found = self._look_up(summary, of.summary, of.summary)

    def figures(self) -> Figures:
        return Figures({WHOLE: Figure(self._found, as_value(self._found))})

    def _look_up(self, within: Mapping[str, Any], name: str, whole: str) -> Any:
        if name in within:
            found = within[name]
            if isinstance(found, Mapping | list):
                raise ProblemError("not-a-figure", f"{whole!r} of the summary is not one figure.")
            return None if isinstance(found, float) and not math.isfinite(found) else found
        first, _, rest = name.partition(".")
        inner = within.get(first)
        if rest and isinstance(inner, Mapping):
            return self._look_up(inner, rest, whole)
        if rest and first in within and inner is None:
            return None
        listed = ", ".join(list(within)[:_LONGEST_LIST])
        raise ProblemError("unknown-figure", f"The summary has no {whole!r}; there it has: {listed or 'nothing'}.")


class _Rows(_Reader):
    """Rows that `where` lets through."""

    def __init__(self, of: OfCount | OfColumn | OfEach, header: Mapping[str, Any]) -> None:
        self._where = of.where
        self._kinds, self._zone = kinds_of(header), zone_of(header)

    def _counted(self, table: pa.Table) -> pa.Table:
        if self._where is None:
            return table
        return table.filter(pa.array(row_masks.Rows(table, self._kinds, self._zone).mask(self._where)))


class _Count(_Rows):
    def __init__(self, of: OfCount, header: Mapping[str, Any]) -> None:
        super().__init__(of, header)
        self._count = 0

    def take(self, table: pa.Table) -> None:
        self._count += self._counted(table).num_rows

    def figures(self) -> Figures:
        return Figures({WHOLE: Figure(self._count, Decimal(self._count))})


class _Column(_Rows):
    """Sums as it goes; of other figures it keeps the one cell that counts so far."""

    def __init__(self, of: OfColumn, header: Mapping[str, Any], kind: ColumnType) -> None:
        super().__init__(of, header)
        self._of, self._kind = of, kind
        self._sum, self._floats, self._count = Decimal(0), [0.0], 0
        self._best: Figure | None = None

    def take(self, table: pa.Table) -> None:
        column = self._counted(table)[self._of.column]
        match self._of.take:
            case Take.SUM | Take.MEAN:
                self._add(column)
            case Take.FIRST | Take.LAST:
                self._keep_end(column)
            case Take.MIN | Take.MAX:
                self._keep_best(column)

    def figures(self) -> Figures:
        match self._of.take:
            case Take.SUM:
                found = self._total()
            case Take.MEAN:
                found = self._mean()
            case _:
                found = self._best or Figure(None, None)
        return Figures({WHOLE: found})

    def _add(self, column: pa.ChunkedArray) -> None:
        values = [value for value in column.to_pylist() if value is not None and value - value == 0]
        self._count += len(values)
        if self._kind is ColumnType.NUMBER:
            self._floats = [math.fsum([*self._floats, *values])]
        else:
            with localcontext(prec=_DIGITS):
                self._sum += sum(map(Decimal, values), Decimal(0))

    def _total(self) -> Figure:
        if self._kind is ColumnType.NUMBER:
            return _of_float(self._floats[0])
        return Figure(int(self._sum) if self._kind is ColumnType.INTEGER else _exact(self._sum), self._sum)

    def _mean(self) -> Figure:
        if self._count == 0:
            return Figure(None, None)
        if self._kind is ColumnType.NUMBER:
            return _of_float(self._floats[0] / self._count)
        with localcontext(prec=_DIGITS):
            mean = (self._sum / self._count).quantize(_MEAN_PLACES).normalize()
        return Figure(_exact(mean), mean)

    def _keep_end(self, column: pa.ChunkedArray) -> None:
        if len(column) and (self._of.take is Take.LAST or self._best is None):
            at = -1 if self._of.take is Take.LAST else 0
            cell = column.slice(len(column) - 1 if at else 0, 1)
            self._best = Figure(cells.values(cell)[0], _native(cell.to_pylist()[0]))

    def _keep_best(self, column: pa.ChunkedArray) -> None:
        wanted = min if self._of.take is Take.MIN else max
        values = [_native(value) for value in column.to_pylist()]
        there = [place for place, value in enumerate(values) if value is not None]
        if not there:
            return
        place = wanted(there, key=values.__getitem__)
        found = Figure(cells.values(column.slice(place, 1))[0], values[place])
        rivals = [found] if self._best is None else [self._best, found]
        self._best = wanted(rivals, key=lambda one: one.value)


class _Each(_Rows):
    """Keeps of all rows those that the alert must know."""

    def __init__(self, wanted: Wanted, of: OfEach, header: Mapping[str, Any], clock: Clock) -> None:
        super().__init__(of, header)
        self._wanted, self._of = wanted, of
        self._holds = judging.first_look(wanted.alert, clock)
        self._keeps_all = wanted.alert.when.kind in {Kind.CHANGE, Kind.MISSING}
        self._found = Figures()
        self._digests = bytearray()

    def take(self, table: pa.Table) -> None:
        table = self._counted(table)
        keys = list(zip(*(cells.values(table[name]) for name in self._of.each), strict=True))
        digests = [digest(key) for key in keys]
        self._digests += b"".join(digests)
        column = table[self._of.column]
        values = [_native(value) for value in column.to_pylist()]
        kept = self._wanted_of(digests, values)
        for place, shown in zip(kept, cells.values(column.take(pa.array(kept, pa.int64()))), strict=True):
            key = dict(zip(self._of.each, keys[place], strict=True))
            self._found.of[digests[place]] = Figure(shown, values[place], key)
        if len(self._found.of) > MOST_KEYS:
            self._refuse_many()
        if self._wanted.with_rows and kept:
            self._found.pieces.append(table.take(pa.array(kept)))

    def figures(self) -> Figures:
        count = len(self._digests) // DIGEST_BYTES
        if len(np.unique(np.frombuffer(bytes(self._digests), dtype=f"S{DIGEST_BYTES}"))) < count:
            detail = f"Several rows have the same {', '.join(self._of.each)}; `each` must name the columns that tell rows apart."
            raise ProblemError("ambiguous-key", detail)
        return self._found

    def _wanted_of(self, digests: Sequence[bytes], values: Sequence[Any]) -> list[int]:
        if self._keeps_all:
            return list(range(len(digests)))
        known = self._wanted.known
        try:
            return [
                place
                for place, (known_as, value) in enumerate(zip(digests, values, strict=True))
                if self._holds(value) or known_as in known
            ]
        except MisjudgedError as error:
            raise ProblemError("alert-type", str(error)) from error

    def _refuse_many(self) -> None:
        how = "are compared" if self._keeps_all else "hold"
        raise ProblemError(
            "too-many-keys", f"More than {MOST_KEYS:,} rows {how}; `where` or another key can have fewer."
        )


def _native(value: Any) -> Any:
    """Return a cell as it is compared."""
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, float):
        return Decimal(str(value)) if math.isfinite(value) else None
    return Decimal(value) if isinstance(value, int) else value


def _of_float(found: float) -> Figure:
    return Figure(found, Decimal(str(found))) if math.isfinite(found) else Figure(None, None)


def _exact(number: Decimal) -> str:
    """Print an exact number as cells are: with every digit that says something, and two places at least."""
    text = format(number, "f")
    whole, _, places = text.partition(".")
    return f"{whole}.{places.rstrip('0'):0<2}"
