"""The contract and its pages, made once, in a process of their own.

What they are made of takes megabytes and is of no other use: the web process keeps nothing but the finished pages.
"""

import base64
import functools
import json
import re
import subprocess
import sys
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import flask
import markupsafe

ROOT = Path(__file__).parents[1]
LIMIT_SECONDS = 60.0

CONTRACT = "/openapi.json"
DOCS = "/docs"
PROBLEMS = "/docs/problems"

_CODE = re.compile(r"`([^`]+)`")
_making = threading.Lock()


def find(path: str) -> bytes | None:
    """Return the page with this path; None where there is none. Whoever is the first to ask waits some seconds."""
    with _making:
        packed = _made().get(path)
    return None if packed is None else zlib.decompress(packed)


@functools.cache
def _made() -> Mapping[str, bytes]:
    made = subprocess.run(
        [sys.executable, "-m", "web.document_pages"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        check=True,
        timeout=LIMIT_SECONDS,
    )
    return {path: base64.b64decode(page) for path, page in json.loads(made.stdout).items()}


def render_all() -> Iterator[tuple[str, str]]:
    """Make every page, each with its path. Only for the process of their own."""
    from web import openapi, operations, problem_types  # noqa: PLC0415 - what this module is there to keep out
    from workers import job_problems  # noqa: PLC0415 - see the remark above

    document = openapi.document()
    page = _Templates()
    yield CONTRACT, json.dumps(document, separators=(",", ":"))
    yield DOCS, page("docs.html", document=document, groups=_by_tag(document))
    yield PROBLEMS, page("problems.html", kinds=problem_types.ALL, of_jobs=job_problems.BY_SLUG.values())
    for failed_with in job_problems.BY_SLUG.values():
        yield f"{PROBLEMS}/{failed_with.slug}", page("problem.html", kind=failed_with, status=None, met_at=[])
    for kind in problem_types.ALL:
        met_at = [operation for operation in operations.ALL if kind in operation.all_problems]
        yield f"{PROBLEMS}/{kind.slug}", page("problem.html", kind=kind, status=kind.status, met_at=met_at)


class _Templates:
    """Renders the templates of this folder."""

    def __init__(self) -> None:
        self._app = flask.Flask("web")
        self._app.add_template_filter(words)

    def __call__(self, template: str, **values: Any) -> str:
        with self._app.test_request_context():
            return flask.render_template(template, **values)


def words(text: str) -> markupsafe.Markup:
    """Set what stands between backticks as code; everything is escaped first."""
    return markupsafe.Markup(_CODE.sub(r"<code>\1</code>", str(markupsafe.escape(text))))  # noqa: S704 - escaped


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append({"path": path, "method": method.upper(), **operation})
    return dict(groups)


def main() -> None:
    """Write all pages to the standard output, packed."""
    packed = {path: base64.b64encode(zlib.compress(text.encode(), 9)).decode() for path, text in render_all()}
    json.dump(packed, sys.stdout)


if __name__ == "__main__":
    main()
