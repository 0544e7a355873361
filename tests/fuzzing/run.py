"""Schemathesis against a running stack: `python -m tests.fuzzing.run world.json SHARE [options of schemathesis run]`.

Of the cases that cover the schema, one in SHARE is sent. The document says what is sent; which ids exist is known from the
world. See `schemathesis.toml` beside this for the checks.
"""

import itertools
import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis.cli import schemathesis as command_line
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation.meta import TestPhase

from tests.fuzzing import checks
from tests.fuzzing.world import World

CONFIGURATION = Path(__file__).with_name("schemathesis.toml")
# One request in so many keeps the id that was made up, and sees what 404 looks like.
MADE_UP = 6
# What is in a file is judged by the job that reads it: any bytes may be sent.
FILES = {"/v1/imports", "/v1/imports/preview"}
KEY = "Idempotency-Key"
EVENT = {
    "type": "object",
    "required": ["event", "id", "data"],
    "properties": {
        "event": {"enum": ["state", "progress"]},
        "id": {"type": "string", "pattern": "^[0-9]+(-[0-9a-f]+)?$"},
        "data": {"type": "string", "pattern": r'^\{"job":.*\}$'},
    },
}
WAIT = re.compile(r"wait\s*=\s*\"?\d+", re.IGNORECASE)
# Parameters in the path and what there is in the world; an operation with ids of its own takes those.
KINDS = {
    "schedule_id": "schedules",
    "webhook_id": "webhooks",
    "delivery_id": "deliveries",
    "key_id": "api-keys",
    "customer_id": "customers",
    "token": "downloads",
}


def main(arguments: list[str]) -> None:
    world = World.read(Path(arguments[0]))
    checks.register()
    schemathesis.serializer.alias("application/x-ndjson", "text/plain")
    schemathesis.hook("before_load_schema")(describe_events)
    schemathesis.hook("before_call")(Aim(world))
    schemathesis.hook("filter_case")(Share(int(arguments[1])))
    command_line(
        [
            f"--config-file={CONFIGURATION}",
            "run",
            f"{world.url}/openapi.json",
            "--header",
            f"Authorization: Bearer {world.key}",
            *arguments[2:],
        ]
    )


def describe_events(_context: Any, raw_schema: dict[str, Any]) -> None:
    """Let it judge each event. OpenAPI 3.1 has words only for the stream as a whole, which is text."""
    for methods in raw_schema["paths"].values():
        for operation in methods.values():
            for response in operation["responses"].values():
                stream = response.get("content", {}).get("text/event-stream")
                if stream is not None:
                    stream["schema"] = EVENT


class Share:
    """Lets one in so many cases of the phase that covers the schema through, of each operation the first one."""

    __name__ = "filter_case"

    def __init__(self, one_in: int) -> None:
        self._one_in = one_in
        self._seen: Counter[str] = Counter()

    def __call__(self, _context: Any, case: Any) -> bool:
        if case.meta is not None and case.path in FILES and case.meta.is_negative_at(ParameterLocation.BODY):
            return False
        if case.meta is None or case.meta.phase.name is not TestPhase.COVERAGE:
            return True
        self._seen[case.operation.label] += 1
        return self._seen[case.operation.label] % self._one_in == 1 % self._one_in


class Aim:
    """Before a request goes out: ids that are well-formed become ids that exist, and waits short ones."""

    __name__ = "before_call"

    def __init__(self, world: World) -> None:
        self._pools: dict[str, Iterator[str]] = {kind: itertools.cycle(ids) for kind, ids in world.ids.items() if ids}
        self._count = itertools.count(1)

    def __call__(self, _context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
        if next(self._count) % MADE_UP:
            self._aim(case)
        _hurry(case)
        if next(self._count) % MADE_UP and case.headers:
            case.headers.pop("Prefer", None)
        _make_new(case)
        self._know(case)

    def _aim(self, case: Any) -> None:
        named = case.operation.definition.raw.get("operationId", "")
        for parameter, value in dict(case.path_parameters or {}).items():
            pool = self._pools.get(named) or self._pools.get(KINDS.get(parameter) or case.path.split("/")[2])
            if pool is not None and _is_well_formed(parameter, value):
                case.path_parameters[parameter] = next(pool)

    def _know(self, case: Any) -> None:
        """Let versions and reports that are named beside the path be some that there are."""
        if isinstance((case.path_parameters or {}).get("version"), int):
            case.path_parameters["version"] = 0
        if isinstance(case.body, dict) and "restore" in case.path and isinstance(case.body.get("version"), int):
            case.body["version"] = 0
        if next(self._count) % MADE_UP and case.query and isinstance(case.query.get("cursor"), str):
            del case.query["cursor"]
        against = (case.query or {}).get("against")
        if isinstance(against, str) and _is_well_formed("against", against):
            case.query["against"] = next(self._pools["reports"])


def _make_new(case: Any) -> None:
    """Give each request a key of its own, or it would be told that the key is used; and a file where it can have two."""
    key = (case.headers or {}).get(KEY)
    if isinstance(key, str) and re.fullmatch(r"[ -~]{1,255}", key):
        case.headers[KEY] = uuid.uuid4().hex
    if case.path.startswith("/v1/imports") and case.query and isinstance(case.body, str | bytes | list | dict):
        case.query.pop("upload", None)


def _is_well_formed(parameter: str, value: object) -> bool:
    if parameter == "version" or not isinstance(value, str):
        return False
    if parameter in {"name", "customer_id", "token"}:
        return value != ""
    try:
        return str(uuid.UUID(value)) == value.lower()
    except ValueError:
        return False


def _hurry(case: Any) -> None:
    """Whether it waits half a minute or not at all makes no other answer."""
    wait = (case.query or {}).get("wait")
    if isinstance(wait, int) and 0 < wait <= 30:
        case.query["wait"] = 0 if case.path.endswith(("reports", "imports", "rerun", "run")) else 1
    elif wait is None and case.path.endswith("/imports/preview"):
        case.query = {**(case.query or {}), "wait": 1}
    prefer = (case.headers or {}).get("Prefer")
    if isinstance(prefer, str):
        case.headers["Prefer"] = WAIT.sub("wait=1", prefer)


if __name__ == "__main__":
    main(sys.argv[1:])
