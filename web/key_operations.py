"""The operations on API keys, for the OpenAPI document."""

from models.api_key import Scope
from web import key_schemas as shapes
from web import problem_types, schemas
from web.operation import JSON_BODY, Operation, Reply

TAG = "API keys"
SCOPES = (Scope.ADMIN,)
NOT_FOUND = (problem_types.NOT_FOUND,)
REPLAYED = ("Idempotent-Replayed",)

KEYS = (
    Operation(
        "post",
        "/v1/api-keys",
        "create_api_key",
        TAG,
        "Make an API key; the answer has the secret, which is shown this once",
        {201: Reply("The key and its secret", shapes.NewKey, headers=("Location", *REPLAYED))},
        scopes=SCOPES,
        body=shapes.KeyRequest,
        keyed=True,
        problems=(*JSON_BODY, problem_types.TOO_MANY_KEYS, *NOT_FOUND),
    ),
    Operation(
        "get",
        "/v1/api-keys",
        "list_api_keys",
        TAG,
        "List API keys, newest first, revoked and expired ones among them",
        {200: Reply("A page", schemas.Page[shapes.KeyObject])},
        scopes=SCOPES,
        query=shapes.KeyListQuery,
    ),
    Operation(
        "get",
        "/v1/api-keys/{key_id}",
        "get_api_key",
        TAG,
        "Fetch one API key: everything but its secret",
        {200: Reply("The key", shapes.KeyObject)},
        scopes=SCOPES,
        problems=NOT_FOUND,
    ),
    Operation(
        "patch",
        "/v1/api-keys/{key_id}",
        "change_api_key",
        TAG,
        "Give an API key another name",
        {200: Reply("The key", shapes.KeyObject)},
        scopes=SCOPES,
        body=shapes.KeyChange,
        problems=(*JSON_BODY, *NOT_FOUND),
    ),
    Operation(
        "post",
        "/v1/api-keys/{key_id}/rotate",
        "rotate_api_key",
        TAG,
        "Give an API key a new secret; for a while the old one works too",
        {200: Reply("The key and its new secret", shapes.NewKey, headers=REPLAYED)},
        scopes=SCOPES,
        body=shapes.KeyRotation,
        body_required=False,
        keyed=True,
        problems=(*JSON_BODY, problem_types.KEY_NOT_ACTIVE, *NOT_FOUND),
    ),
    Operation(
        "delete",
        "/v1/api-keys/{key_id}",
        "revoke_api_key",
        TAG,
        "Revoke an API key; within a second it is worth nothing",
        {200: Reply("The key, revoked", shapes.KeyObject)},
        scopes=SCOPES,
        problems=(problem_types.LAST_ADMIN_KEY, *NOT_FOUND),
    ),
)
