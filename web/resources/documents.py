"""The contract and pages for people. They need no key and fetch nothing from anywhere else."""

import flask

from web import document_pages, problem_types, problems

blueprint = flask.Blueprint("documents", __name__)

PAGE_POLICY = "default-src 'none'; style-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


@blueprint.get("/")
def landing() -> flask.Response:
    return _page(flask.render_template("landing.html"))


@blueprint.get("/openapi.json")
def contract() -> flask.Response:
    response = flask.Response(document_pages.find(document_pages.CONTRACT), content_type="application/json")
    response.headers["Cache-Control"] = "public, max-age=300"
    return response


@blueprint.get("/docs")
def docs() -> flask.Response:
    return _page(document_pages.find(document_pages.DOCS))


@blueprint.get("/docs/problems")
def problem_list() -> flask.Response:
    return _page(document_pages.find(document_pages.PROBLEMS))


@blueprint.get("/docs/problems/<slug>")
def problem_page(slug: str) -> flask.Response:
    page = document_pages.find(f"{document_pages.PROBLEMS}/{slug}")
    if page is None:
        raise problems.Problem(problem_types.NOT_FOUND, f"There is no kind of problem called {slug!r}.")
    return _page(page)


def _page(html: str | bytes | None) -> flask.Response:
    response = flask.Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = PAGE_POLICY
    response.headers["Cache-Control"] = "public, max-age=300"
    return response
