"""The operations on alerts of schedules, for the OpenAPI document."""

from models.api_key import Scope
from web import alert_schemas as shapes
from web import problem_types, schemas
from web.operation import JSON_BODY, Operation, Reply

TAG = "Schedules"
PATH = "/v1/schedules/{schedule_id}/alerts"
SCOPES = (Scope.SCHEDULES,)
NOT_THERE = (problem_types.NOT_FOUND, problem_types.SCHEDULE_DELETED)

ALERTS = (
    Operation(
        "get",
        PATH,
        "list_alerts",
        TAG,
        "See how a schedule's alerts stand; as it shows figures of its results, the key needs `reports:read` as well",
        {200: Reply("All alerts", shapes.AlertList)},
        scopes=SCOPES,
        problems=NOT_THERE,
    ),
    Operation(
        "get",
        f"{PATH}/changes",
        "list_alert_changes",
        TAG,
        "List what began to fire and recovered, newest first; the key needs `reports:read` as well",
        {200: Reply("A page", schemas.Page[shapes.AlertChangeObject])},
        scopes=SCOPES,
        query=shapes.ChangeListQuery,
        problems=(problem_types.NOT_FOUND,),
    ),
    Operation(
        "post",
        f"{PATH}/preview",
        "preview_alerts",
        TAG,
        "See what alerts would say of the newest result; nothing is kept or told. The key needs `reports:read` as well",
        {200: Reply("What each would say", shapes.AlertPreview)},
        scopes=SCOPES,
        body=shapes.AlertPreviewRequest,
        body_required=False,
        problems=(
            *JSON_BODY,
            *NOT_THERE,
            problem_types.NO_RUN,
            problem_types.RESULT_EXPIRED,
            problem_types.STORAGE_FULL,
        ),
    ),
)
