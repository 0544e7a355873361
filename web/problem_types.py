"""Every kind of problem the API can answer with, said once: the handlers, the OpenAPI document and `/docs/problems` read this."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ProblemType:
    """A kind of problem (RFC 9457): its stable slug, the HTTP status, a title, and what to do about it."""

    slug: str
    status: int
    title: str
    remedy: str

    @property
    def uri(self) -> str:
        return f"/docs/problems/{self.slug}"


MALFORMED = ProblemType(
    "malformed-request",
    400,
    "The request could not be read",
    "Send a well-formed request. A JSON body is one object in UTF-8, without repeated keys, NaN or NUL characters.",
)
REQUEST_LINE_TOO_LONG = ProblemType(
    "request-line-too-long",
    414,
    "The address is too long",
    "An address with its query may have 8,190 bytes. A long list belongs into a body.",
)
HEADERS_TOO_LARGE = ProblemType(
    "headers-too-large",
    431,
    "The headers are too large",
    "A request may have 64 headers of at most 8,190 bytes each.",
)
INCOMPLETE_BODY = ProblemType(
    "incomplete-body",
    400,
    "The body ended too early",
    "The connection closed before the whole body arrived. Nothing was kept; send the request again.",
)
UNAUTHENTICATED = ProblemType(
    "unauthenticated",
    401,
    "A valid API key is needed",
    "Send `Authorization: Bearer rk_...`. `reckoner keys create --org NAME --scopes ...` makes a key; it is shown once.",
)
INSUFFICIENT_SCOPE = ProblemType(
    "insufficient-scope",
    403,
    "The API key may not do this",
    "Use a key with the scope the detail names. `admin` may do everything, and a write scope includes its read scope.",
)
NOT_FOUND = ProblemType(
    "not-found",
    404,
    "There is no such thing",
    "Check the address, the id or the name; /docs lists the addresses. What belongs to another organisation is answered in "
    "the same way.",
)
METHOD_NOT_ALLOWED = ProblemType(
    "method-not-allowed",
    405,
    "This address does not know the method",
    "The `Allow` header lists the methods that this address knows.",
)
NOT_ACCEPTABLE = ProblemType(
    "not-acceptable",
    406,
    "The result is not available in this format",
    "Ask for one of the formats in `available`, by the `Accept` header or by `?format=`; or, where `available_codings` is "
    "there, take one of those by `Accept-Encoding`.",
)
RANGE_NOT_SATISFIABLE = ProblemType(
    "range-not-satisfiable",
    416,
    "The result has no such part",
    "`Range` asks for bytes behind the end. `Content-Range` says how many there are.",
)
NOT_COMPARABLE = ProblemType(
    "not-comparable",
    422,
    "The two runs cannot be compared",
    "Compare two runs of the same report type whose rows have a key: the columns marked `key` in the result.",
)
REQUEST_TIMEOUT = ProblemType(
    "request-timeout",
    408,
    "The body came too slowly",
    "Nothing was kept. Send the request again over a connection that does not stall.",
)
NOT_READY = ProblemType(
    "not-ready",
    409,
    "The job has not finished",
    "Ask again after `Retry-After` seconds, or fetch the job with `?wait=30` first.",
)
NO_RESULT = ProblemType(
    "no-result",
    409,
    "The job ended without a result",
    "`job_status` and `job_error` say why. Mend the cause and submit the job again.",
)
NO_RUN = ProblemType(
    "no-run",
    409,
    "The schedule has no result yet",
    "None of its slots has a result that is kept. Wait for the next one; to try alerts, POST /v1/schedules/{id}/run with "
    "`deliver: false` will do as well.",
)
JOB_FINISHED = ProblemType(
    "job-finished",
    409,
    "The job has already finished",
    "A finished job cannot be cancelled; its state never changes again.",
)
UPLOAD_GONE = ProblemType(
    "upload-gone",
    409,
    "The file of the import is not kept any more",
    "Send the file again with POST /v1/imports. The files of failed and cancelled imports are kept for 7 days, those of "
    "previews for a day.",
)
NOT_REPEATABLE = ProblemType(
    "not-repeatable",
    409,
    "The job cannot be run again as it was",
    "This release does not know its type, or does not take its parameters. Submit it anew; /v1/report-types says how.",
)
NOT_STOPPABLE = ProblemType(
    "not-stoppable",
    409,
    "The job cannot be stopped any more",
    "An erasure that has begun is finished: half of it would help nobody. Fetch the job to see how it ends.",
)
LAST_ADMIN_KEY = ProblemType(
    "last-admin-key",
    409,
    "It is the last key that may make others",
    "Make another key with the scope `admin` first. Whoever runs the server can revoke this one with `reckoner keys revoke`.",
)
KEY_NOT_ACTIVE = ProblemType(
    "key-not-active",
    409,
    "The key is revoked or expired",
    "Such a key gets no new secret. Make another with POST /v1/api-keys.",
)
TOO_MANY_KEYS = ProblemType(
    "too-many-keys",
    409,
    "There are too many active keys",
    "Revoke those that nobody uses any more; /v1/api-keys lists them, and `last_used_at` tells when each was last used.",
)
IDEMPOTENCY_KEY_IN_USE = ProblemType(
    "idempotency-key-in-use",
    409,
    "Another request with this idempotency key is being decided",
    "Send the same request again after `Retry-After` seconds; the answer will be that of the first.",
)
VERSION_IS_CURRENT = ProblemType(
    "version-is-current",
    409,
    "The version is the current one",
    "There is nothing to restore: the dataset already has the rows of this version.",
)
GONE = ProblemType(
    "gone",
    410,
    "It has been deleted",
    "`deleted_at` says when. Submit the report again to compute it anew; an idempotency key that stands for it stays used up.",
)
RESULT_EXPIRED = ProblemType(
    "result-expired",
    410,
    "The result is no longer kept",
    "Results are kept for a limited time. Submit the same report again to compute it anew.",
)
DOWNLOAD_GONE = ProblemType(
    "download-gone",
    410,
    "The link leads nowhere any more",
    "Links in e-mails are good for some days, and as long as the report is kept and sent to you. With an API key the report may "
    "still be read.",
)
DATASET_VERSION_GONE = ProblemType(
    "dataset-version-gone",
    410,
    "The version of the dataset is no longer kept",
    "Its files were removed, because a newer version had come long enough ago. /v1/datasets/{name}/versions says which "
    "versions can still be read (`gone_at` is null).",
)
RESULT_ERASED = ProblemType(
    "result-erased",
    410,
    "The result was removed with a person who was erased",
    "It listed a customer, or was asked about one, whose data have been erased for good. Run the job again: the new result is "
    "made of what is left.",
)
TOO_LARGE = ProblemType(
    "too-large",
    413,
    "The body is too large",
    "Send less at once: split the file, or compress it with gzip. Nothing of the request was kept.",
)
UNSUPPORTED_MEDIA_TYPE = ProblemType(
    "unsupported-media-type",
    415,
    "The body has a type that is not understood here",
    "The detail names the media types that this address takes.",
)
INVALID_REQUEST = ProblemType(
    "invalid-request",
    422,
    "The request is not valid",
    "Each entry of `errors` points at one field (`#/params/bins` in the body, `#/query/limit` in the query) and says why.",
)
IDEMPOTENCY_KEY_REUSED = ProblemType(
    "idempotency-key-reused",
    422,
    "This idempotency key belongs to another request",
    "Use a new key for a new request. A key stands for one method, path, query and body (for an import also the bytes of its "
    "file) for 24 hours; `wait` may differ.",
)
UNKNOWN_REPORT_TYPE = ProblemType(
    "unknown-report-type",
    422,
    "There is no such report type",
    "Use one of the names in `known`. /v1/report-types describes them all.",
)
DATASET_MISSING = ProblemType(
    "dataset-missing",
    422,
    "The report needs a dataset that has not been imported",
    "Import one of the datasets the detail names with POST /v1/imports, then submit the report again.",
)
UNKNOWN_DATASET_VERSION = ProblemType(
    "unknown-dataset-version",
    422,
    "There is no such version of the dataset",
    "/v1/datasets/{name}/versions lists the versions; leave `dataset_versions` out to use the newest.",
)
EMPTY_FILE = ProblemType(
    "empty-file",
    422,
    "The file is empty",
    "Send the file as the body (`curl --data-binary @orders.csv`) or as the multipart field `file`.",
)
TOO_MANY_REQUESTS = ProblemType(
    "too-many-requests",
    429,
    "More requests than are allowed",
    "Wait `Retry-After` seconds. `RateLimit` says on every answer how many requests are left and after how many seconds all of "
    'them are again: `"default";r=900;t=12`. Instead of asking often whether a job has finished, wait for it with `?wait=30`.',
)
TOO_MANY_JOBS = ProblemType(
    "too-many-jobs",
    429,
    "More unfinished jobs than are allowed",
    "Nothing was accepted. Send the request again when jobs of your organisation have finished, or cancel some that wait; "
    "`Retry-After` says when it is worth trying.",
)
TOO_MANY_WEBHOOKS = ProblemType(
    "too-many-webhooks",
    409,
    "There are as many webhooks as there may be",
    "Delete a webhook that is not needed, or let one take more events.",
)
WEBHOOK_DISABLED = ProblemType(
    "webhook-disabled",
    409,
    "The webhook is disabled",
    "Mend its receiver, then `POST /v1/webhooks/{id}/enable`. What it missed can be sent again after that.",
)
DELIVERY_PENDING = ProblemType(
    "delivery-pending",
    409,
    "The delivery is still being tried",
    "It need not be sent again: `next_attempt_at` says when it is tried next. `POST /v1/deliveries/{id}/cancel` ends it.",
)
DELIVERY_FINISHED = ProblemType(
    "delivery-finished",
    409,
    "The delivery has already ended",
    "What has been sent, or given up, cannot be called off any more. `status` says how it ended.",
)
DELIVERY_WITHDRAWN = ProblemType(
    "delivery-withdrawn",
    409,
    "The schedule does not send this to them any more",
    "The receiver was taken off the schedule, is to see other rows by now, or the schedule was deleted. Put them on the schedule "
    "again, with the same filter, or ask for the report with the receivers that are wanted now.",
)
DELIVERY_ERASED = ProblemType(
    "delivery-erased",
    410,
    "The delivery named a person who was erased",
    "Its filter or its address named a customer whose data have been erased for good, and without the name it would go to others, "
    "or show other rows. Ask for the report again, with the receivers that are wanted now.",
)
NO_ENCRYPTION_KEY = ProblemType(
    "no-encryption-key",
    503,
    "This server cannot keep secrets",
    "Whoever runs it sets `ENCRYPTION_KEYS`, for web and workers alike; `reckoner webhooks new-key` makes one.",
)
TOO_MANY_SCHEDULES = ProblemType(
    "too-many-schedules",
    409,
    "There are as many schedules as there may be",
    "Delete a schedule that is not needed. Whoever runs the server sets `MAX_SCHEDULES`.",
)
SCHEDULE_DELETED = ProblemType(
    "schedule-deleted",
    410,
    "The schedule was deleted",
    "It fires no more and cannot be changed. Its occurrences and reports can still be read; make a new one with "
    "POST /v1/schedules.",
)
PRECONDITION_FAILED = ProblemType(
    "precondition-failed",
    412,
    "It has been changed meanwhile",
    "`If-Match` names another revision than the current one. Fetch it again, and decide whether your change still fits.",
)
INTERNAL_ERROR = ProblemType(
    "internal-error",
    500,
    "Something went wrong here",
    "It is not the fault of the request. The log has the details under the `request_id`.",
)
DATABASE_UNAVAILABLE = ProblemType(
    "database-unavailable",
    503,
    "The database does not answer",
    "Nothing is accepted that cannot be kept. Try again after `Retry-After` seconds.",
)
TOO_MANY_WATCHERS = ProblemType(
    "too-many-watchers",
    503,
    "As many callers are waiting as there are places for",
    "Fetch the job itself now and then: that always suffices. Or try again after `Retry-After` seconds. Whoever runs the server "
    "sets `WEB_WATCHERS`.",
)
OUTCOME_UNKNOWN = ProblemType(
    "outcome-unknown",
    503,
    "Whether the request was accepted is not known",
    "The connection to the database broke during the commit. Send the request again with the same `Idempotency-Key`: it is "
    "accepted once. Without a key look at `GET /v1/jobs` first, because a job may be there already.",
)
STORAGE_FULL = ProblemType(
    "storage-full",
    507,
    "There is no room for the upload",
    "Nothing of the request was kept. The operator has to free space where uploads are kept.",
)

ALL: tuple[ProblemType, ...] = (
    MALFORMED,
    REQUEST_LINE_TOO_LONG,
    HEADERS_TOO_LARGE,
    INCOMPLETE_BODY,
    UNAUTHENTICATED,
    INSUFFICIENT_SCOPE,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    NOT_ACCEPTABLE,
    RANGE_NOT_SATISFIABLE,
    NOT_COMPARABLE,
    REQUEST_TIMEOUT,
    NOT_READY,
    NO_RESULT,
    NO_RUN,
    JOB_FINISHED,
    NOT_STOPPABLE,
    UPLOAD_GONE,
    LAST_ADMIN_KEY,
    KEY_NOT_ACTIVE,
    TOO_MANY_KEYS,
    NOT_REPEATABLE,
    IDEMPOTENCY_KEY_IN_USE,
    VERSION_IS_CURRENT,
    GONE,
    RESULT_EXPIRED,
    RESULT_ERASED,
    DOWNLOAD_GONE,
    DATASET_VERSION_GONE,
    TOO_LARGE,
    UNSUPPORTED_MEDIA_TYPE,
    INVALID_REQUEST,
    IDEMPOTENCY_KEY_REUSED,
    UNKNOWN_REPORT_TYPE,
    DATASET_MISSING,
    UNKNOWN_DATASET_VERSION,
    EMPTY_FILE,
    TOO_MANY_REQUESTS,
    TOO_MANY_JOBS,
    TOO_MANY_WEBHOOKS,
    WEBHOOK_DISABLED,
    DELIVERY_PENDING,
    DELIVERY_ERASED,
    DELIVERY_FINISHED,
    DELIVERY_WITHDRAWN,
    NO_ENCRYPTION_KEY,
    TOO_MANY_SCHEDULES,
    SCHEDULE_DELETED,
    PRECONDITION_FAILED,
    INTERNAL_ERROR,
    DATABASE_UNAVAILABLE,
    TOO_MANY_WATCHERS,
    OUTCOME_UNKNOWN,
    STORAGE_FULL,
)

BY_SLUG: dict[str, ProblemType] = {problem.slug: problem for problem in ALL}
