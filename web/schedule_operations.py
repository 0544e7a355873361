"""The operations on schedules, for the OpenAPI document."""

from models.api_key import Scope
from web import delivery_preview_schemas, problem_types, schemas
from web import schedule_schemas as shapes
from web.operation import ACCEPTED, FINISHED, JSON_BODY, NO_RESULT, Operation, Reply

TAG = "Schedules"
PATH = "/v1/schedules"
ONE = f"{PATH}/{{schedule_id}}"
SCOPES = (Scope.SCHEDULES,)

# What may be wrong with the report that is to be asked for.
PLANNING = (problem_types.UNKNOWN_REPORT_TYPE, problem_types.DATASET_MISSING)
NOT_THERE = (problem_types.NOT_FOUND, problem_types.SCHEDULE_DELETED)
SHOWN = Reply("The schedule", shapes.ScheduleObject, headers=("ETag",))

SCHEDULES = (
    Operation(
        "post",
        PATH,
        "create_schedule",
        TAG,
        "Have a report asked for again and again",
        {
            200: Reply("With `dry_run`: when it would fire, and what it would ask for", shapes.SchedulePreview),
            201: Reply("It is made", shapes.ScheduleObject, headers=("Location", "ETag", "Idempotent-Replayed")),
        },
        scopes=SCOPES,
        query=shapes.CreateQuery,
        body=shapes.ScheduleRequest,
        keyed=True,
        # A retry may come after it was deleted.
        problems=(*JSON_BODY, *PLANNING, problem_types.TOO_MANY_SCHEDULES, *NOT_THERE),
    ),
    Operation(
        "post",
        f"{PATH}/preview",
        "preview_new_schedule",
        TAG,
        "See when a schedule would fire and what it would ask for, without making it",
        {200: Reply("The slots to come", shapes.SchedulePreview)},
        scopes=SCOPES,
        query=shapes.PreviewQuery,
        body=shapes.ScheduleRequest,
        problems=(*JSON_BODY, *PLANNING),
    ),
    Operation(
        "get",
        PATH,
        "list_schedules",
        TAG,
        "List schedules, newest first",
        {200: Reply("A page", schemas.Page[shapes.ScheduleObject])},
        scopes=SCOPES,
        query=shapes.ScheduleListQuery,
    ),
    Operation("get", ONE, "get_schedule", TAG, "Fetch one schedule", {200: SHOWN}, scopes=SCOPES, problems=NOT_THERE),
    Operation(
        "patch",
        ONE,
        "change_schedule",
        TAG,
        "Change a schedule by a JSON merge patch (RFC 7396)",
        {200: SHOWN},
        scopes=SCOPES,
        body=shapes.SchedulePatch,
        problems=(*JSON_BODY, *PLANNING, *NOT_THERE, problem_types.PRECONDITION_FAILED),
    ),
    Operation(
        "delete",
        ONE,
        "delete_schedule",
        TAG,
        "Delete a schedule; what became of its slots can still be read",
        {200: Reply("It is gone", shapes.DeletedSchedule)},
        scopes=SCOPES,
        problems=(*NOT_THERE, problem_types.PRECONDITION_FAILED),
    ),
    Operation(
        "post",
        f"{ONE}/pause",
        "pause_schedule",
        TAG,
        "Let nothing fire until it is resumed",
        {200: SHOWN},
        scopes=SCOPES,
        body=shapes.PauseRequest,
        body_required=False,
        problems=(*JSON_BODY, *NOT_THERE),
    ),
    Operation(
        "post",
        f"{ONE}/resume",
        "resume_schedule",
        TAG,
        "Let it go on; what it missed is made up for as `catch_up` says",
        {200: SHOWN},
        scopes=SCOPES,
        problems=NOT_THERE,
    ),
    Operation(
        "get",
        f"{ONE}/preview",
        "preview_schedule",
        TAG,
        "See the next slots, in UTC and by the clock of the zone, with the parameters of their reports",
        {200: Reply("The slots to come", shapes.SchedulePreview)},
        scopes=SCOPES,
        query=shapes.PreviewQuery,
        problems=NOT_THERE,
    ),
    Operation(
        "post",
        f"{ONE}/run",
        "run_schedule",
        TAG,
        "Ask for its report now, or for the one of a slot that was missed or is to be run again",
        {
            200: Reply("It finished within the time waited for", schemas.ReportJob, headers=FINISHED),
            202: Reply("Accepted and kept", schemas.ReportJob, headers=ACCEPTED),
        },
        scopes=SCOPES,
        query=schemas.WaitQuery,
        body=shapes.RunRequest,
        body_required=False,
        prefer=True,
        keyed=True,
        problems=(*JSON_BODY, *PLANNING, *NOT_THERE),
    ),
    Operation(
        "post",
        f"{ONE}/preview-deliveries",
        "preview_schedule_deliveries",
        TAG,
        "See who would get how many rows of the newest result of its slots, and which rows nobody would; nothing is sent",
        {200: Reply("Who would get what", delivery_preview_schemas.DeliveryPreview)},
        scopes=SCOPES,
        body=delivery_preview_schemas.ScheduleDeliveriesRequest,
        body_required=False,
        problems=(
            *JSON_BODY,
            *NOT_THERE,
            *NO_RESULT,
            problem_types.NO_RUN,
            problem_types.GONE,
            problem_types.STORAGE_FULL,
        ),
    ),
    Operation(
        "get",
        f"{ONE}/occurrences",
        "list_occurrences",
        TAG,
        "List what became of its slots, the latest first",
        {200: Reply("A page", schemas.Page[shapes.OccurrenceObject])},
        scopes=SCOPES,
        query=shapes.OccurrenceListQuery,
        problems=(problem_types.NOT_FOUND,),
    ),
)
