"""Compresses answers that are made as a whole: lists, documents, pages. Results see to themselves, because theirs may be long."""

import flask

from web import codings
from web.codings import Coding

_TYPES = ("text/", "application/json", "application/problem+json", "application/openmetrics-text")


def register(app: flask.Flask) -> None:
    app.after_request(_compress)


def _compress(response: flask.Response) -> flask.Response:
    if not _is_worth_it(response):
        return response
    response.vary.add("Accept-Encoding")
    # Whoever refuses every coding, even none, is better served with an answer than with a refusal to tell what went wrong.
    coding = next(iter(codings.accepted()), Coding.IDENTITY)
    if coding is not Coding.IDENTITY:
        response.set_data(codings.compressed_whole(response.get_data(), coding))
        response.headers["Content-Encoding"] = coding.value
    return response


def _is_worth_it(response: flask.Response) -> bool:
    if response.is_streamed or response.direct_passthrough or "Content-Encoding" in response.headers:
        return False
    # A validator is of the bytes as they are, and so is a part.
    if "ETag" in response.headers or response.status_code == 206:
        return False
    return (response.mimetype or "").startswith(_TYPES) and (response.content_length or 0) >= codings.WORTH_BYTES
