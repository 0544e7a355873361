"""The import that follows a preview, as an HTTP request and as a command line. Light."""

import json
import shlex
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from analytics.datasets import options
from analytics.datasets.preview import NextRequest

# The options of `reckoner import` that are not simply called as the parameter is.
FLAGS = {"dataset": "as", "mapping": "map", "null_values": "null"}
NAMELESS = "FILE"


def compose(asked: options.ImportOptions, *, upload: str | None, filename: str | None) -> NextRequest:
    """Say how to import a file with these options; `upload` is the job whose file is kept."""
    given = asked.model_dump(mode="json", exclude_defaults=True, exclude={"dataset"})
    decided = {
        "dataset": asked.dataset,
        **{name: value for name, value in given.items() if value not in (None, {}, [])},
    }
    query = {"upload": upload} if upload else {}
    query |= {name: _as_parameter(value) for name, value in decided.items()}
    words = ["reckoner", "import", filename or NAMELESS, *_words(decided)]
    return NextRequest(method="POST", path=f"/v1/imports?{urlencode(query)}", command=shlex.join(words))


def _as_parameter(value: Any) -> str:
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _words(decided: dict[str, Any]) -> Iterator[str]:
    for name, value in decided.items():
        flag = f"--{FLAGS.get(name, name).replace('_', '-')}"
        if isinstance(value, dict):
            # A column that the file does not have is mapped to nothing.
            for column, header in value.items():
                yield from (flag, f"{column}={header or ''}")
        else:
            for one in value if isinstance(value, list | tuple) else [value]:
                yield from (flag, str(one))
