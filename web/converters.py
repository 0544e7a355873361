"""Parts of addresses: an id is any text but a word that has a meaning in its place."""

from werkzeug.routing import BaseConverter

WORDS = ("preview",)


class Id(BaseConverter):
    """An id, well-formed or not. Without this, `GET /v1/imports/preview` would look for an import of that name."""

    regex = rf"(?!(?:{'|'.join(WORDS)})$)[^/]+"


class CustomerId(BaseConverter):
    """The id of a customer, which others have chosen: any text, with slashes and line breaks."""

    regex = r"(?s:.+)"
    part_isolating = False
