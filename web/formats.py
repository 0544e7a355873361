"""The formats a result can be read in, and which of them a request asks for."""

from dataclasses import dataclass

import flask
from werkzeug.datastructures import MIMEAccept

from web import problem_types, problems


@dataclass(frozen=True, slots=True)
class Format:
    """A format.

    Attributes:
        name: what is written in `?format=`.
        media_types: what asks for it in an Accept header; the first is what is answered.
        shown_by_browsers: whether it is to be looked at; else it is to be saved.
        first_chunk_only: whether it shows the first rows only, and says so.
        is_file: whether it is made as a whole, and not piece by piece.
        is_picture: whether it shows one chart and no rows.
        is_compressed: whether there is nothing left for a content coding to gain.
    """

    name: str
    media_types: tuple[str, ...]
    shown_by_browsers: bool = False
    first_chunk_only: bool = False
    is_file: bool = False
    is_picture: bool = False
    is_compressed: bool = False

    @property
    def content_type(self) -> str:
        return self.media_types[0] + ("; charset=utf-8" if self.media_types[0].startswith("text/") else "")


JSON = Format("json", ("application/json",), shown_by_browsers=True)
CSV = Format("csv", ("text/csv",))
NDJSON = Format("ndjson", ("application/x-ndjson", "application/jsonl"))
HTML = Format("html", ("text/html",), shown_by_browsers=True, first_chunk_only=True)

PARQUET = Format("parquet", ("application/vnd.apache.parquet",), is_file=True, is_compressed=True)
XLSX = Format(
    "xlsx",
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
    is_file=True,
    is_compressed=True,
)
PDF = Format(
    "pdf", ("application/pdf",), shown_by_browsers=True, first_chunk_only=True, is_file=True, is_compressed=True
)
SVG = Format("svg", ("image/svg+xml",), shown_by_browsers=True, is_file=True, is_picture=True)
PNG = Format("png", ("image/png",), shown_by_browsers=True, is_file=True, is_picture=True, is_compressed=True)
# Rejected rows as a file to be mended. The name is also how the file ends.
ROWS = Format("rows.csv", ("text/comma-separated-values",))

# The first is what a request gets that has no wish.
OF_RESULT: tuple[Format, ...] = (JSON, NDJSON, CSV, HTML, PARQUET, XLSX, PDF, SVG, PNG)
OF_REJECTS: tuple[Format, ...] = (CSV, JSON, NDJSON, ROWS)


def chosen(wanted: str | None, available: tuple[Format, ...]) -> Format:
    """Return the format a request asks for, by name or by its Accept header.

    Raises:
        problems.Problem: it asks for one there is not; the answer lists those there are.
    """
    if wanted is not None:
        named = next((one for one in available if one.name == wanted), None)
        if named is None:
            raise _not_acceptable(f"There is no format {wanted!r}.", available)
        return named
    accepted = flask.request.accept_mimetypes
    if not accepted:
        return available[0]
    offered = {media_type: one for one in available for media_type in one.media_types}
    # A parameter says how the rows are to be read, as in `text/csv; header=present`; it is no other format.
    bare = MIMEAccept([(value.split(";")[0].strip(), quality) for value, quality in accepted])
    best = bare.best_match(offered)
    if best is None:
        raise _not_acceptable("None of the media types in the Accept header is available.", available)
    return offered[best]


def _not_acceptable(detail: str, available: tuple[Format, ...]) -> problems.Problem:
    names = ", ".join(one.name for one in available)
    return problems.Problem(
        problem_types.NOT_ACCEPTABLE,
        f"{detail} Available: {names}.",
        facts={"available": [{"format": one.name, "media_type": one.media_types[0]} for one in available]},
    )
