"""The contract and pages for people. They need no key and fetch nothing from anywhere else."""

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import flask
import markupsafe

from web import openapi, operations, problem_types, problems
from workers import job_problems

_CODE = re.compile(r"`([^`]+)`")

blueprint = flask.Blueprint("documents", __name__)

PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@blueprint.get("/")
def landing() -> flask.Response:
    return _page("landing.html")


@blueprint.get("/openapi.json")
def contract() -> flask.Response:
    response = flask.Response(flask.json.dumps(openapi.document()), content_type="application/json")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.get("/docs")
def docs() -> flask.Response:
    return _page("docs.html", document=openapi.document(), groups=_by_tag(openapi.document()))


@blueprint.get("/docs/problems")
def problem_list() -> flask.Response:
    return _page("problems.html", kinds=problem_types.ALL, of_jobs=job_problems.BY_SLUG.values())


@blueprint.get("/docs/problems/<slug>")
def problem_page(slug: str) -> flask.Response:
    answered = problem_types.BY_SLUG.get(slug)
    if answered is not None:
        met_at = [operation for operation in operations.ALL if answered in operation.all_problems]
        return _page("problem.html", kind=answered, status=answered.status, met_at=met_at)
    failed_with = job_problems.BY_SLUG.get(slug)
    if failed_with is not None:
        return _page("problem.html", kind=failed_with, status=None, met_at=[])
    raise problems.Problem(problem_types.NOT_FOUND, f"There is no kind of problem called {slug!r}.")


@blueprint.app_template_filter("words")
def words(text: str) -> markupsafe.Markup:
    """Set what stands between backticks as code; everything is escaped first."""
    return markupsafe.Markup(_CODE.sub(r"<code>\1</code>", str(markupsafe.escape(text))))  # noqa: S704 - escaped


def _page(template: str, **values: Any) -> flask.Response:
    response = flask.Response(flask.render_template(template, **values), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


def _by_tag(document: Mapping[str, Any]) -> dict[str, list[dict[str, Any]]]:
    groups: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            groups[operation["tags"][0]].append({"path": path, "method": method.upper(), **operation})
    return dict(groups)
