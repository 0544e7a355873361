"""Tells who would get how many rows of a result, and which rows nobody would; nothing is sent."""

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from models import rendering_scratch, session
from models.api_key import Scope
from models.base import Json
from models.delivery import Channel
from models.job import Job
from models.result import StoredResult
from models.schedule import ScheduleOccurrence
from web import (
    auth,
    errors,
    problem_types,
    problems,
    render_child,
    render_pool,
    result_files,
    results,
)
from web import delivery_preview_schemas as shapes
from web import receivers as checked_receivers
from web.delivery_schemas import Receivers
from workers.deliveries import receivers

MOST_VALUES = 20


@dataclass(frozen=True, slots=True)
class _Share:
    """Receivers of one entry who get the same."""

    entry: int
    kept: Json
    to: list[str]
    filter: Json | None
    problem: str | None

    @property
    def is_told(self) -> bool:
        return "succeeded" in self.kept["on"]

    @property
    def has_rows(self) -> bool:
        return Channel(self.kept["channel"]) is not Channel.WEBHOOK

    @property
    def formats(self) -> list[str]:
        return [self.kept["format"]] if "format" in self.kept else list(self.kept.get("formats") or ())


@dataclass(frozen=True, slots=True)
class _Counts:
    of_filter: Mapping[str, tuple[int | None, str | None]]
    unshared: shapes.Unshared | None


def whole_header(job: Job, stored: StoredResult) -> dict[str, Any]:
    """Return the header of a result as filters over its rows are judged by it."""
    params = {**job.params, **(stored.header.get("params") or {})}
    return {**stored.header, "row_count": stored.row_count, "params": params}


def of_request(job: Job, wanted: Sequence[Any], *, slot: ScheduleOccurrence | None = None) -> shapes.DeliveryPreview:
    """Say what receivers would get who are named in a request.

    Raises:
        problems.Problem: it would refuse such receivers, or the job has no result.
    """
    auth.demand(Scope.WEBHOOKS)
    caller = auth.caller()
    question = checked_receivers.Question(job.type, job.params, caller.timezone)
    with session.transaction() as db:
        kept = checked_receivers.check(db, caller.organisation_id, wanted, question)
        whys = [checked_receivers.obstacle(db, caller.organisation_id, one) for one in wanted]
    return _preview(job, _all_shares(kept, whys), slot)


def of_kept(job: Job, kept: Sequence[Json], *, slot: ScheduleOccurrence | None = None) -> shapes.DeliveryPreview:
    """Say what receivers would get who are kept with a schedule; what does not reach them any more is said with each.

    Raises:
        problems.Problem: the job has no result.
    """
    caller = auth.caller()
    with session.transaction() as db:
        whys = [
            checked_receivers.obstacle(db, caller.organisation_id, one)
            for one in pydantic.TypeAdapter(Receivers).validate_python(list(kept))
        ]
    return _preview(job, _all_shares(kept, whys), slot)


def _all_shares(kept: Sequence[Json], whys: Sequence[str | None]) -> list[_Share]:
    return [
        share
        for entry, (one, why) in enumerate(zip(kept, whys, strict=True))
        for share in _shares(entry, one, problem=why)
    ]


def _shares(entry: int, kept: Json, *, problem: str | None) -> Iterator[_Share]:
    match Channel(kept["channel"]):
        case Channel.EMAIL:
            for addresses, filter_ in receivers.shares(kept):
                yield _Share(entry, kept, list(dict.fromkeys(addresses)), filter_, problem)
        case Channel.FILE:
            yield _Share(entry, kept, [kept["url"]], kept.get("filter"), problem)
        case Channel.WEBHOOK:
            yield _Share(entry, kept, [str(kept["webhook_id"])], None, problem)


def _preview(job: Job, shares: Sequence[_Share], slot: ScheduleOccurrence | None) -> shapes.DeliveryPreview:
    stored = results.stored_result(job)
    counts = _counted(job, stored, shares)
    return shapes.DeliveryPreview(
        job_id=job.id,
        schedule_id=slot.schedule_id if slot is not None else None,
        due_at=slot.due_at if slot is not None else None,
        finished_at=job.finished_at,
        row_count=stored.row_count,
        receivers=[_receiver(share, stored, counts) for share in shares],
        unshared=counts.unshared,
    )


def _receiver(share: _Share, stored: StoredResult, counts: _Counts) -> shapes.ReceiverPreview:
    rows, problem = (stored.row_count, None) if share.filter is None else counts.of_filter[_key(share.filter)]
    problem = share.problem or problem
    is_skipped = share.filter is not None and rows == 0 and share.kept.get("if_empty", "skip") == "skip"
    outcome: Any = "sent"
    if not share.is_told:
        outcome = "not-told"
    elif problem is not None:
        outcome = "refused"
    elif is_skipped:
        outcome = "skipped"
    return shapes.ReceiverPreview(
        entry=share.entry,
        channel=Channel(share.kept["channel"]),
        to=share.to,
        formats=share.formats if share.has_rows else [],
        filter=share.filter,
        rows=rows if share.has_rows and share.is_told else None,
        outcome=outcome,
        problem=problem if share.is_told else None,
    )


def _counted(job: Job, stored: StoredResult, shares: Sequence[_Share]) -> _Counts:
    """Count in a process beside this one, once for each filter."""
    filters = {_key(one.filter): one.filter for one in shares if one.filter is not None}
    # Whoever is not told of this end gets nothing of it.
    reached = {_key(one.filter) for one in shares if one.filter is not None and one.is_told and one.problem is None}
    if not filters:
        return _Counts({}, None)
    bursts = dict.fromkeys(one.kept["burst"]["column"] for one in shares if one.kept.get("burst"))
    ordered = [*reached, *(key for key in filters if key not in reached)]
    found = _in_a_process(job, stored, [filters[key] for key in ordered], len(reached), list(bursts))
    of_filter = {
        key: (rows, problem) for key, rows, problem in zip(ordered, found["rows"], found["problems"], strict=True)
    }
    values = [
        shapes.UnsharedValue(column=column, value=value, rows=rows)
        for column, counts in found["values"].items()
        for value, rows in counts.items()
    ]
    values.sort(key=lambda one: (-one.rows, one.column, one.value or ""))
    return _Counts(of_filter, shapes.Unshared(rows=found["unseen"], values=values[:MOST_VALUES]))


def _in_a_process(
    job: Job, stored: StoredResult, filters: list[Json], reached: int, columns: list[str]
) -> dict[str, Any]:
    try:
        with rendering_scratch.folder() as folder:
            pieces = [str(piece) for piece in result_files.write_chunks(stored, folder)]
            found: dict[str, Any] = render_pool.file_pool().run(
                render_child.count_shares, whole_header(job, stored), pieces, filters, reached, columns
            )
            return found
    except OSError as error:
        if errors.is_storage_full(error):
            raise problems.Problem(problem_types.STORAGE_FULL, "The disk is full.") from error
        raise


def _key(filter_: Json) -> str:
    return json.dumps(filter_, sort_keys=True)


def no_slot(schedule_id: uuid.UUID) -> problems.Problem:
    return problems.Problem(
        problem_types.NO_RUN,
        "No slot of the schedule has a result that is kept. Wait for one, or ask about one of its reports.",
        facts={"schedule_id": str(schedule_id)},
    )
