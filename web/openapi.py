"""The OpenAPI 3.1 document, made of the same pydantic models that validate requests and write answers."""

import functools
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import pydantic
from pydantic.json_schema import JsonSchemaMode

from analytics.catalogue import registry
from web import (
    delivery_schemas,
    examples,
    formats,
    idempotency_key,
    openapi_webhooks,
    operation_examples,
    operations,
    problem_types,
    problems,
    schemas,
)
from web.operation import FILE_BODY, Operation
from web.problem_types import ProblemType

VERSION = "1"
HEADER_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    idempotency_key.HEADER: {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"}
}
PATH_SCHEMAS: Mapping[str, Mapping[str, Any]] = {
    "job_id": {"type": "string", "format": "uuid"},
    "schedule_id": {"type": "string", "format": "uuid"},
    "webhook_id": {"type": "string", "format": "uuid"},
    "delivery_id": {"type": "string", "format": "uuid"},
    "key_id": {"type": "string", "format": "uuid"},
    "token": {"type": "string", "pattern": "^[A-Za-z0-9_-]{99}$"},
    "version": {"type": "integer", "minimum": 0},
}
REFERENCE = "#/components/schemas/{model}"

IDEMPOTENCY = (
    "A key of your own for this request, 1 to 255 printable ASCII characters, such as a random UUID. The same request with the "
    "same key makes one job, however often it is sent within 24 hours. Without a key, a request that is sent again after a "
    "broken connection may make a second job."
)
HEADERS: Mapping[str, Mapping[str, Any]] = {
    "Location": {"description": "Address of the job", "schema": {"type": "string", "format": "uri-reference"}},
    "Retry-After": {"description": "Seconds after which to ask again", "schema": {"type": "integer"}},
    "Preference-Applied": {"description": "The preference that was followed", "schema": {"type": "string"}},
    "Idempotent-Replayed": {
        "description": "`true`: an earlier request with the same idempotency key has made this job; nothing new was accepted",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "ETag": {
        "description": "Strong validator of this result in this format and content coding",
        "schema": {"type": "string"},
    },
    "Accept-Ranges": {
        "description": "`bytes`: `Range` can ask for parts; `none`: not of this content coding",
        "schema": {"type": "string", "enum": ["bytes", "none"]},
    },
    "Content-Encoding": {
        "description": "How the body is compressed, where `Accept-Encoding` allows it",
        "schema": {"type": "string", "enum": ["gzip", "zstd"]},
    },
    "Vary": {"description": "Which headers of the request have chosen the answer", "schema": {"type": "string"}},
    "RateLimit-Policy": {
        "description": "Each limit that applies: its name, `q` how much in `w` seconds; without `w`, at once",
        "schema": {"type": "string", "examples": ['"default";q=12000;w=60']},
    },
    "RateLimit": {
        "description": "Of each limit: `r` how much is left, `t` in how many seconds all of it is there again",
        "schema": {"type": "string", "examples": ['"default";r=11999;t=42']},
    },
    "Content-Range": {"description": "Which bytes of how many these are", "schema": {"type": "string"}},
    "Content-Disposition": {"description": "Name for the download", "schema": {"type": "string"}},
    "WWW-Authenticate": {"description": "How to authenticate", "schema": {"type": "string"}},
    "X-Request-Id": {"description": "Id of this request in the log", "schema": {"type": "string"}},
}


HEADERS_OF_PROBLEMS: Mapping[int, tuple[str, ...]] = {
    401: ("WWW-Authenticate",),
    403: ("WWW-Authenticate",),
    429: ("Retry-After",),
    503: ("Retry-After",),
}
RATE_LIMITS = ("RateLimit-Policy", "RateLimit")


@functools.cache
def document() -> Mapping[str, Any]:
    """Build the document; it cannot change while the process runs."""
    components = _Components()
    paths: dict[str, dict[str, Any]] = defaultdict(dict)
    for operation in operations.ALL:
        paths[operation.path][operation.method] = _operation(operation, components)
    webhooks = openapi_webhooks.described(components.reference)
    for name, example in examples.OF_MODEL.items():
        components.schemas[name]["examples"] = [example]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Reckoner",
            "version": VERSION,
            "summary": "An async analytics back end for CRM data",
            "description": "Import what your CRM, shop and billing system export; ask for reports; read the results. "
            "Work is accepted with 202 and a job, and an accepted job is finished exactly once.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}],
        "tags": [{"name": tag} for tag in dict.fromkeys(operation.tag for operation in operations.ALL)],
        "paths": dict(paths),
        "webhooks": webhooks,
        "components": {
            "schemas": components.schemas,
            "headers": {name: dict(header) for name, header in HEADERS.items()},
            "securitySchemes": {
                "apiKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "rk_...",
                    "description": "An API key. The organisation is the key's; its scopes say what it may do.",
                }
            },
        },
    }


class _Components:
    """Collects the schemas that are referred to."""

    def __init__(self) -> None:
        self.schemas: dict[str, Any] = {}

    def reference(self, model: Any, mode: JsonSchemaMode = "serialization") -> dict[str, Any]:
        """Return the schema of a type, its named parts moved to the components."""
        made = pydantic.TypeAdapter(model).json_schema(mode=mode, ref_template=REFERENCE)
        schema: dict[str, Any] = _without_null_defaults(made)
        if not (isinstance(model, type) and issubclass(model, pydantic.BaseModel)):
            return self._keep(schema, "")
        name = schema.get("title", model.__name__).replace("[", "_").replace("]", "").replace(", ", "_")
        schema = self._keep(schema, name)
        if self.schemas.setdefault(name, schema) != schema:
            name += "Sent" if mode == "validation" else "Answered"
            self.schemas[name] = schema
        return {"$ref": REFERENCE.format(model=name)}

    def _keep(self, schema: dict[str, Any], owner: str) -> dict[str, Any]:
        """Move the named parts of a schema to the components; a name that already means another part gets its owner's."""
        parts = schema.pop("$defs", {})
        taken = {name for name, part in parts.items() if self.schemas.get(name, part) != part}
        renamed = {REFERENCE.format(model=name): REFERENCE.format(model=f"{owner}{name}") for name in taken}
        for name, part in parts.items():
            self.schemas[f"{owner}{name}" if name in taken else name] = _renamed(part, renamed)
        moved: dict[str, Any] = _renamed(schema, renamed)
        return moved


def _renamed(node: Any, names: Mapping[str, str]) -> Any:
    if isinstance(node, dict):
        return {
            key: names.get(value, value) if key == "$ref" else _renamed(value, names) for key, value in node.items()
        }
    return [_renamed(member, names) for member in node] if isinstance(node, list) else node


def _operation(operation: Operation, components: _Components) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": [_with_example(operation, parameter) for parameter in _parameters(operation)],
        "responses": _responses(operation, components),
    }
    if operation.scopes:
        described["description"] = f"Scope: {' or '.join(f'`{scope}`' for scope in operation.scopes)}."
    else:
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {
            "required": operation.body_required,
            "content": {
                "application/json": {
                    "schema": _body(operation.body, components),
                    "example": operation_examples.body(operation.name),
                }
            },
        }
    elif operation.file_body:
        content = {media_type: _file(media_type, described) for media_type, described in FILE_BODY.items()}
        described["requestBody"] = {"required": operation.body_required, "content": content}
    return described


def _file(media_type: str, described: Mapping[str, Any]) -> dict[str, Any]:
    example = operation_examples.FILES.get(media_type)
    return {**described, **({"example": example} if example is not None else {})}


def _parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    return (*_path_parameters(operation), *_query_parameters(operation.query), *_headers_read(operation))


def _with_example(operation: Operation, parameter: dict[str, Any]) -> dict[str, Any]:
    example = operation_examples.parameter(operation.name, parameter["in"], parameter["name"])
    if "content" in parameter:
        return {
            **parameter,
            "content": {media: {**one, "example": example} for media, one in parameter["content"].items()},
        }
    return {**parameter, "example": example}


def _body(model: type[pydantic.BaseModel], components: _Components) -> dict[str, Any]:
    return (
        _report_request(components)
        if model is delivery_schemas.ReportRequest
        else components.reference(model, "validation")
    )


def _report_request(components: _Components) -> dict[str, Any]:
    """One alternative per report type, so that a generated client knows each one's parameters."""
    base = components.reference(delivery_schemas.ReportRequest, "validation")
    variants = [
        {
            "title": kind.title,
            "properties": {"type": {"const": name}, "params": components.reference(kind.params, "validation")},
            "required": ["type", *(["params"] if _demands_something(kind.params) else [])],
        }
        for name, kind in registry.REPORT_TYPES.items()
    ]
    return {"allOf": [base, {"oneOf": variants}]}


def _demands_something(model: type[pydantic.BaseModel]) -> bool:
    """Tell whether there is something that neither has a default nor is filled in for the organisation."""
    return bool(model.model_json_schema().get("required"))


def _path_parameters(operation: Operation) -> Iterable[dict[str, Any]]:
    for part in operation.path.split("/"):
        if part.startswith("{"):
            name = part.strip("{}")
            yield {"name": name, "in": "path", "required": True, "schema": PATH_SCHEMAS.get(name, {"type": "string"})}


def _query_parameters(model: type[pydantic.BaseModel]) -> Iterable[dict[str, Any]]:
    schema = _without_null_defaults(_inlined(model.model_json_schema()))
    for name, member in schema.get("properties", {}).items():
        described = _without_null(member)
        yield {
            "name": name,
            "in": "query",
            "required": name in schema.get("required", ()),
            "description": described.pop("description", ""),
            **_parameter_schema(name, described),
        }


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """Leave out that a parameter may be null: in a query string it is there or it is not."""
    alternatives = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if len(alternatives) != 1:
        return dict(schema)
    return {**{key: value for key, value in schema.items() if key != "anyOf"}, **alternatives[0]}


def _parameter_schema(name: str, schema: dict[str, Any]) -> dict[str, Any]:
    # A list is written with commas, and a mapping as JSON: a query string knows neither.
    if name == "mapping":
        return {"content": {"application/json": {"schema": schema}}}
    if schema.get("type") == "array":
        return {"schema": schema, "style": "form", "explode": False}
    return {"schema": schema}


def _headers_read(operation: Operation) -> Iterable[dict[str, Any]]:
    wait = f"`wait=N`: wait up to N seconds (at most {schemas.LONGEST_WAIT}) for the job to finish"
    names = {"X-Request-Id": "Your own id for this request; repeated on the answer and in the log"}
    if operation.prefer:
        names["Prefer"] = wait
    if operation.keyed:
        names[idempotency_key.HEADER] = IDEMPOTENCY
    if problem_types.PRECONDITION_FAILED in operation.problems:
        names["If-Match"] = "The ETag of what you have seen: it is changed only if it is still that"
    if "last_event_id" in operation.query.model_fields:
        names["Last-Event-ID"] = "The id of the last event you have: the stream goes on after it"
    if 304 in operation.replies:
        names["If-None-Match"] = "The ETag of the result you have"
    if 206 in operation.replies:
        names["Range"] = "One part of the bytes, such as `bytes=1000-`"
        names["If-Range"] = (
            "The ETag of the bytes you have the beginning of; if they are others now, all of them are sent"
        )
        names["Accept-Encoding"] = "Content codings to choose from: `zstd`, `gzip`; a part is never compressed"
    for name, description in names.items():
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": description,
            "schema": HEADER_SCHEMAS.get(name, {"type": "string"}),
        }


def _responses(operation: Operation, components: _Components) -> dict[str, Any]:
    responses = {str(status): _reply(operation, status, components) for status in sorted(operation.replies)}
    by_status: dict[int, list[ProblemType]] = defaultdict(list)
    for kind in operation.all_problems:
        by_status[kind.status].append(kind)
    for status, kinds in sorted(by_status.items()):
        responses.setdefault(str(status), _problem(kinds, components))
    if operation.scopes:
        for response in responses.values():
            response["headers"] |= _header_references(RATE_LIMITS)
    return responses


def _reply(operation: Operation, status: int, components: _Components) -> dict[str, Any]:
    reply = operation.replies[status]
    schema = components.reference(reply.model) if reply.model is not None else {}
    described: dict[str, Any] = {"description": reply.description, "headers": _header_references(reply.headers)}
    if reply.media_types:
        described["content"] = {
            media_type: {"schema": schema, **_example_of_answer(operation, status, media_type)}
            for media_type in reply.media_types
        }
    return described


def _example_of_answer(operation: Operation, status: int, media_type: str) -> dict[str, Any]:
    example = operation_examples.answer(operation.name, status, media_type)
    if example is not None:
        return {"example": example}
    # What no text can show is where it is.
    path = operation.path.format_map(operation_examples.PATH)
    wanted = next(one.name for one in formats.OF_RESULT if media_type in one.media_types)
    return {"examples": {wanted: {"summary": "A file", "externalValue": f"{path}?format={wanted}"}}}


def _problem(kinds: list[ProblemType], components: _Components) -> dict[str, Any]:
    headers = HEADERS_OF_PROBLEMS.get(kinds[0].status, ())
    return {
        "description": "; ".join(f"`{kind.slug}`: {kind.title}" for kind in kinds),
        "headers": _header_references(headers),
        "content": {
            problems.MEDIA_TYPE: {
                "schema": components.reference(schemas.ProblemDocument),
                "examples": {kind.slug: {"value": examples.problem(kind)} for kind in kinds},
            }
        },
    }


def _header_references(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in (*names, "X-Request-Id")}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """Put the named parts of a flat schema where they are used, because parameters have no place to define any."""
    definitions = schema.pop("$defs", {})

    def resolve(node: Any) -> Any:
        if isinstance(node, dict):
            if "$ref" in node:
                named = resolve(definitions[node["$ref"].rsplit("/", 1)[-1]])
                return {**named, **{key: resolve(value) for key, value in node.items() if key != "$ref"}}
            return {key: resolve(value) for key, value in node.items()}
        return [resolve(member) for member in node] if isinstance(node, list) else node

    resolved = resolve(schema)
    return resolved if isinstance(resolved, dict) else {}


def _without_null_defaults(node: Any) -> Any:
    """Leave out `default: null`: it says no more than that a field is optional, and often the field could not be null."""
    if isinstance(node, dict):
        return {
            key: _without_null_defaults(value)
            for key, value in node.items()
            if not (key == "default" and value is None)
        }
    return [_without_null_defaults(member) for member in node] if isinstance(node, list) else node
