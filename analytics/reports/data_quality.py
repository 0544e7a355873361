"""Computes `data_quality`: every check of a dataset is an aggregate, and one scan answers all that are about cells."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa
from ibis.expr import types as ir

from analytics import errors, result
from analytics.catalogue import data_quality
from analytics.datasets import schemas
from analytics.reports import (
    calendar,
    cells,
    charts,
    data_quality_checks,
    data_quality_repeats,
    data_quality_rows,
    data_quality_volume,
)
from analytics.reports.data_quality_checks import Finding, Severity

_WEIGHTS = {Severity.WARNING: 1, Severity.ERROR: 3}
_PLOTTED = 25


def compute(tables: Mapping[str, ir.Table], params: data_quality.DataQualityParams) -> result.Result:
    """Return what each check found, by dataset, column and check.

    Raises:
        errors.Refusal: there is no dataset to look at, or the filter names a column that one of them has not.
    """
    names = [name for name in schemas.DATASETS if name in (params.datasets or tables) and name in tables]
    if not names:
        raise errors.Refusal("missing-dataset", "There is no dataset to look at; import one.", {"datasets": []})
    found: list[Finding] = []
    totals: dict[str, int] = {}
    dropped: dict[str, int] = {}
    read: dict[str, int] = {}
    for name in names:
        rows = data_quality_rows.build(tables[name], name, params)
        totals[name], read[name] = rows.count, rows.total
        dropped.update({f"{name}_{reason}": count for reason, count in rows.dropped.items()})
        found += _look(rows, tables, params)
    return _result(found, totals, params, dropped, read)


def _look(
    rows: data_quality_rows.Rows, tables: Mapping[str, ir.Table], params: data_quality.DataQualityParams
) -> Iterator[Finding]:
    blurred = list(data_quality_repeats.of_values(rows))
    distinct = {one.column: one.of for one in blurred if one.column is not None}
    yield from data_quality_checks.of_cells(rows, params, distinct)
    yield from data_quality_checks.of_references(rows, tables)
    yield from data_quality_repeats.of_rows(rows)
    yield from blurred
    yield from data_quality_volume.of_time(rows, calendar.Calendar(params.timezone))


def _result(
    found: Sequence[Finding],
    totals: Mapping[str, int],
    params: data_quality.DataQualityParams,
    dropped: Mapping[str, int],
    read: Mapping[str, int],
) -> result.Result:
    scores = {name: _score([one for one in found if one.dataset == name]) for name in totals}
    rows = pd.DataFrame(
        {
            "dataset": cells.arrow([one.dataset for one in found], pa.string()),
            "column": cells.arrow([one.column for one in found], pa.string()),
            "check": cells.arrow([one.check for one in found], pa.string()),
            "severity": cells.arrow([str(one.severity) for one in found], pa.string()),
            "count": cells.arrow([one.count for one in found], pa.int64()),
            "share": cells.arrow([cells.share(one.count, one.of) for one in found], pa.float64()),
            "sample": cells.arrow([one.sample for one in found], pa.string()),
        }
    )
    described = data_quality.TYPE.columns
    summary = {
        "score": _weighted(scores, totals),
        "rows": sum(totals.values()),
        "checks": len(found),
        "errors": sum(one.count > 0 for one in found if one.severity is Severity.ERROR),
        "warnings": sum(one.count > 0 for one in found if one.severity is Severity.WARNING),
        "datasets": [
            {"dataset": name, "rows": count, "score": scores[name]} | _counted(found, name)
            for name, count in totals.items()
        ],
    }
    return result.Result(
        columns=described,
        rows=cells.table(described, rows),
        summary=summary,
        charts=_charts(found),
        warnings=_warnings(params),
        dropped=dropped,
        invariants=_invariants(found, totals),
        rows_read=read,
    )


def _counted(found: Sequence[Finding], dataset: str) -> dict[str, int]:
    own = [one for one in found if one.dataset == dataset and one.count]
    return {
        "errors": sum(one.severity is Severity.ERROR for one in own),
        "warnings": sum(one.severity is Severity.WARNING for one in own),
    }


def _score(found: Sequence[Finding]) -> float | None:
    """Return 100 times the mean share that is right, errors counting three times; None where nothing could be judged."""
    judged = [(_WEIGHTS[one.severity], one.count / one.of) for one in found if one.severity in _WEIGHTS and one.of]
    weight = sum(each for each, _ in judged)
    if not weight:
        return None
    return round(100 * (1 - sum(each * min(1.0, share) for each, share in judged) / weight), 2)


def _weighted(scores: Mapping[str, float | None], totals: Mapping[str, int]) -> float | None:
    known = [(score, totals[name]) for name, score in scores.items() if score is not None]
    rows = sum(count for _, count in known)
    return round(sum(score * count for score, count in known) / rows, 2) if rows else None


def _charts(found: Sequence[Finding]) -> tuple[result.Chart, ...]:
    bad = [one for one in found if one.severity in _WEIGHTS and one.count]
    worst = sorted(bad, key=lambda one: (-one.count / max(one.of, 1), one.dataset, one.column or "", one.check))[
        :_PLOTTED
    ]
    if not worst:
        return ()
    points: list[dict[str, Any]] = [
        {"check": f"{one.dataset}.{one.column or '*'}: {one.check}", "share": one.count / max(one.of, 1)}
        for one in worst
    ]
    order = [point["check"] for point in points]
    return (charts.bars("Share of rows that fail", points, label="check", value="share", order=order),)


def _warnings(params: data_quality.DataQualityParams) -> tuple[result.ResultWarning, ...]:
    if params.as_of is not None:
        return ()
    return (
        result.ResultWarning("future-not-checked", "Dates in the future are looked for only where `as_of` is given."),
    )


def _invariants(found: Sequence[Finding], totals: Mapping[str, int]) -> tuple[result.Invariant, ...]:
    over = [one for one in found if one.count > one.of or (one.unit_is_rows and one.of > totals[one.dataset])]
    return (
        result.Invariant(
            "no_check_finds_more_than_there_is",
            not over,
            f"{len(found)} checks of {sum(totals.values())} rows"
            if not over
            else f"{over[0].check} of {over[0].column}",
        ),
    )
