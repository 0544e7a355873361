"""The streams of events, as the OpenAPI document has them."""

import json
from typing import Annotated

from pydantic import Field

from models.api_key import Scope
from web import event_schemas, problem_types
from web.operation import NO_SUCH_JOB, Operation, Reply

_STATE = {
    "job": "0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21",
    "at": "2026-03-02T09:00:02.114Z",
    "status": "succeeded",
    "previous": "running",
    "reason": "finished",
    "attempt": 1,
    "error": None,
    "by": None,
    "note": None,
}
_PROGRESS = {
    "job": "0198c2f0-7a1e-7c55-9d2b-3f6c1d0a4e21",
    "attempt": 1,
    "progress": {"phase": "compute", "done": 1, "total": 3, "rows": None, "seconds_left": None},
}
EXAMPLE = (
    "retry: 1000\n\n"
    f"event: progress\nid: 4711-1f0c5b7e9a22\ndata: {json.dumps(_PROGRESS)}\n\n"
    f"event: state\nid: 4712\ndata: {json.dumps(_STATE)}\n\n"
)
STREAM = Annotated[
    str,
    Field(
        description="Server-sent events, each with an `id` to go on after. The data of `event: state` are a `StateEvent`, those "
        "of `event: progress` a `ProgressEvent`. A comment comes every 15 seconds in which nothing else did. The stream ends "
        "after the event whose `status` is final; before that, come again with the last id",
        examples=[EXAMPLE],
    ),
]


def _operation(path: str, name: str, tag: str, *scopes: Scope) -> Operation:
    return Operation(
        "get",
        f"{path}/{{job_id}}/events",
        f"get_{name}_events",
        tag,
        f"Follow what happens to one {name}, as server-sent events. Fetching the {name} now and then does as well",
        {
            200: Reply("What has happened, and then what happens", STREAM, media_types=("text/event-stream",)),
            204: Reply("It has ended, and the client has all its events: do not come again", media_types=()),
        },
        scopes=scopes,
        query=event_schemas.EventsQuery,
        problems=(*NO_SUCH_JOB, problem_types.NOT_ACCEPTABLE, problem_types.TOO_MANY_WATCHERS),
    )


EVENTS = (
    _operation("/v1/reports", "report", "Reports", Scope.REPORTS_READ),
    _operation("/v1/imports", "import", "Imports", Scope.DATASETS_READ),
    _operation("/v1/jobs", "job", "Jobs", Scope.REPORTS_READ, Scope.DATASETS_READ),
)
