"""Where a text or a JSON value names a customer, and the same without them. Light, and knows nothing of where texts are kept."""

import csv
import html
import io
import json
import re
import unicodedata
import urllib.parse
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from analytics.datasets import persons

ERASED = "[erased]"
# A shorter id is found only where it is a whole value: "17" is in every other sentence.
SHORTEST_WITHIN_TEXT = 4
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be", "cp1252")

Json = Any


@dataclass(frozen=True)
class Mention:
    """Knows one customer's id where it meets it: as a whole value, as a cell of a CSV record, or as a word of a text."""

    customer_id: str

    def is_in(self, text: str) -> bool:
        """Whether a text names the customer."""
        if self.customer_id not in text and self._csv_quoted not in text:
            return False
        return self._is(text) or self._is_cell_of(text) or bool(self._words(text))

    def is_anywhere_in(self, value: Json) -> bool:
        """Whether anything within a JSON value does, the names of its members among them."""
        if isinstance(value, str):
            return self.is_in(value)
        if isinstance(value, dict):
            return any(self.is_in(name) or self.is_anywhere_in(member) for name, member in value.items())
        return isinstance(value, list) and any(map(self.is_anywhere_in, value))

    def mask(self, value: Json) -> Json:
        """Return the value with the id alone blotted out: what it says otherwise is not about the customer."""
        if isinstance(value, str):
            return self._mask_text(value)
        if isinstance(value, dict):
            return {self._mask_text(name): self.mask(member) for name, member in value.items()}
        return [self.mask(member) for member in value] if isinstance(value, list) else value

    def forget(self, value: Json) -> Json:
        """Return the value without the records of the customer, because the cells beside an id are theirs too.

        A record is an object, or a list in a list, of which a member names the customer. From a list it is left out; elsewhere
        nothing is put in its place. The id by itself, or as a word of a sentence, is blotted out.
        """
        if isinstance(value, dict):
            return None if self._is_record(list(value.values())) else self.forget_members(value)
        if isinstance(value, list):
            return [
                self.forget(member)
                for member in value
                if not (isinstance(member, dict) and self._is_record(list(member.values())))
                and not (isinstance(member, list) and self._is_record(member))
            ]
        return self.mask(value)

    def forget_members(self, value: dict[str, Json]) -> dict[str, Json]:
        """Return an object whose members have forgotten the customer; it is no record itself."""
        return {self._mask_text(name): self.forget(member) for name, member in value.items()}

    def may_be_in(self, text: str) -> bool:
        """Whether the id, however short, is a part of a text: for what others have written in a form of their own."""
        return self._any_part.search(text) is not None

    @cached_property
    def needles(self) -> frozenset[str]:
        """Texts of which at least one is in every text or JSON document that names the customer, however it escapes."""
        escaped = {json.dumps(self.customer_id, ensure_ascii=ascii_)[1:-1] for ascii_ in (True, False)}
        return frozenset({self.customer_id, urllib.parse.quote(self.customer_id, safe=""), *escaped})

    @cached_property
    def byte_needles(self) -> frozenset[bytes]:
        """Bytes of which some are in every uncompressed file that names the customer."""
        decomposed = unicodedata.normalize("NFD", self.customer_id)
        texts = {
            self.customer_id,
            decomposed,
            self._csv_quoted,
            html.escape(self.customer_id, quote=False),
            *self.needles,
        }
        return frozenset(_encoded(text, encoding) for text in texts for encoding in ENCODINGS) - {b""}

    @cached_property
    def _csv_quoted(self) -> str:
        return self.customer_id.replace('"', '""')

    def _is(self, text: str) -> bool:
        return persons.canonical(text) == self.customer_id

    def _is_cell_of(self, text: str) -> bool:
        if not {",", ";", "\t"}.intersection(text):
            return False
        return any(self._is(cell) for delimiter in ",;\t" for cell in _cells(text, delimiter))

    def _words(self, text: str) -> list[str]:
        return self._word.findall(text) if len(self.customer_id) >= SHORTEST_WITHIN_TEXT else []

    @cached_property
    def _word(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w-]){re.escape(self.customer_id)}(?![\w-])")

    @cached_property
    def _any_part(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![^\W_])(?:{'|'.join(map(re.escape, sorted(self.needles)))})(?![^\W_])")

    def _mask_text(self, text: str) -> str:
        if self._is(text):
            return ERASED
        masked = self._word.sub(lambda _: ERASED, text) if self._words(text) else text
        return ERASED if self._is_cell_of(masked) else masked

    def _is_record(self, cells: list[Json]) -> bool:
        return any(isinstance(cell, str) and (self._is(cell) or self._is_cell_of(cell)) for cell in cells)


def _encoded(text: str, encoding: str) -> bytes:
    try:
        return text.encode(encoding)
    except UnicodeEncodeError:
        return b""


def _cells(text: str, delimiter: str) -> list[str]:
    try:
        # With line ends as they are: an id may have some, in quotes.
        return [cell for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) for cell in row]
    except csv.Error:
        return text.split(delimiter)
