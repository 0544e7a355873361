"""The parts of a workbook beside its cells: sheets, number formats, shared texts; nothing is read whole but small parts."""

import posixpath
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from analytics import errors
from analytics.datasets import packing, xlsx_values, xlsx_xml

WORKBOOK = "xl/workbook.xml"
LONGEST_PART = 32 * 1024**2
# Texts are kept in memory as Arrow keeps them, in chunks.
MOST_TEXT = 96 * 1024**2
CHUNK_TEXT = 4 * 1024**2
TEXT_OVERHEAD = 8
MOST_SHEETS = 1000
MOST_FORMATS = 100_000
OTHER_DOCUMENTS = {
    "xl/workbook.bin": ("binary Excel (XLSB)", "Save it in Excel as XLSX."),
    "word/document.xml": ("a Word document", "Copy its table into a spreadsheet and save that."),
    "ppt/presentation.xml": ("a presentation", "Copy its table into a spreadsheet and save that."),
    "content.xml": ("OpenDocument (ODS)", "Save it as XLSX or CSV."),
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of cells, and the part of the file that has them."""

    name: str
    part: str
    visible: bool


class SharedTexts:
    """The texts that cells point at by number."""

    def __init__(self, chunks: Sequence[pa.Array]) -> None:
        self._chunks = chunks
        self._starts = np.cumsum([0, *(len(chunk) for chunk in chunks)])

    def __len__(self) -> int:
        return int(self._starts[-1])

    def take(self, numbers: np.ndarray) -> pa.Array:
        """The texts of these numbers, all of which there are."""
        distinct, places = np.unique(numbers, return_inverse=True)
        homes = np.searchsorted(self._starts, distinct, side="right") - 1
        parts = [
            self._chunks[home].take(pa.array(distinct[homes == home] - self._starts[home]))
            for home in np.unique(homes).tolist()
        ]
        texts = pa.concat_arrays(parts) if parts else pa.array([], pa.string())
        return texts.take(pa.array(places))


class Book:
    """An opened workbook."""

    def __init__(self, archive: zipfile.ZipFile, limits: packing.Limits) -> None:
        self._archive = archive
        self._limits = limits
        self._refuse_others()
        self.workbook = self._find_workbook()
        self._folder = posixpath.dirname(self.workbook)
        self._targets: dict[str, tuple[str, str]] = {}
        self.from_1904 = False
        self._declared: list[tuple[str, str, str]] = []
        self._read(self._relations_of(self.workbook), {"Relationship": self._on_relation})
        self._read(self.workbook, {"workbookPr": self._on_properties, "sheet": self._on_sheet})
        self.sheets = tuple(self._sheets())
        self.kinds: Sequence[str | None] = ()

    def close(self) -> None:
        self._archive.close()

    def pieces(self, part: str) -> Iterator[bytes]:
        return packing.read_member(self._archive, self._info(part), self._limits)

    def size_of(self, part: str) -> int:
        return self._info(part).file_size

    def has(self, part: str) -> bool:
        return part in self._archive.NameToInfo

    def target(self, kind: str) -> str | None:
        """The part that the workbook points at as its `styles`, its `sharedStrings`."""
        found = (part for part, of in self._targets.values() if of.endswith(f"/{kind}") and self.has(part))
        return next(found, None)

    def formats(self) -> list[str | None]:
        """What each style of a cell shows: dates, times, or neither."""
        part = self.target("styles")
        return _Styles().read(self, part) if part else []

    def texts(self) -> SharedTexts:
        part = self.target("sharedStrings")
        return SharedTexts(_Texts().read(self, part) if part else [])

    def _refuse_others(self) -> None:
        for name, (what, advice) in OTHER_DOCUMENTS.items():
            if self.has(name):
                raise errors.Refusal(
                    "unsupported-format", f"The file is {what}. {advice}", {"format": what, "supported": ["XLSX"]}
                )

    def _find_workbook(self) -> str:
        found: list[str] = []

        def on_relation(attributes: xlsx_xml.Attributes) -> None:
            if attributes.get("Type", "").endswith("/officeDocument"):
                found.append(attributes.get("Target", "").lstrip("/"))

        self._read("_rels/.rels", {"Relationship": on_relation})
        part = next((part for part in found if self.has(part)), WORKBOOK)
        if not self.has(part):
            raise errors.Refusal(
                "unsupported-format",
                "The file is a zip or office document without a workbook in it. Send XLSX, or the file inside it.",
                {"format": "office document"},
            )
        return part

    def _relations_of(self, part: str) -> str:
        return posixpath.join(posixpath.dirname(part), "_rels", posixpath.basename(part) + ".rels")

    def _read(self, part: str, starts: Mapping[str, xlsx_xml.Start]) -> None:
        if not self.has(part):
            return
        if self.size_of(part) > LONGEST_PART:
            raise errors.Refusal(
                "unsafe-workbook",
                f"The workbook's part {part} has {self.size_of(part):,} bytes; no spreadsheet program writes that.",
                {"part": part},
            )
        xlsx_xml.read_all(self.pieces(part), starts, part=part)

    def _on_relation(self, attributes: xlsx_xml.Attributes) -> None:
        # A part outside the file is never read.
        if attributes.get("TargetMode") != "External" and len(self._targets) < MOST_SHEETS * 2:
            target = attributes.get("Target", "")
            part = target.lstrip("/") if target.startswith("/") else posixpath.join(self._folder, target)
            self._targets[attributes.get("Id", "")] = (posixpath.normpath(part), attributes.get("Type", ""))

    def _on_properties(self, attributes: xlsx_xml.Attributes) -> None:
        self.from_1904 = attributes.get("date1904", "0") in ("1", "true")

    def _on_sheet(self, attributes: xlsx_xml.Attributes) -> None:
        if len(self._declared) < MOST_SHEETS:
            relation = xlsx_xml.attribute(attributes, "id") or ""
            self._declared.append((attributes.get("name", ""), relation, attributes.get("state", "visible")))

    def _sheets(self) -> Iterator[Sheet]:
        for name, relation, state in self._declared:
            part, kind = self._targets.get(relation, ("", ""))
            # Sheets of charts and dialogues have no cells.
            if kind.endswith("/worksheet") and self.has(part):
                yield Sheet(name, part, visible=state == "visible")

    def _info(self, part: str) -> zipfile.ZipInfo:
        return self._archive.getinfo(part)


class _Styles:
    """Gathers the kind of each cell format."""

    def __init__(self) -> None:
        self._codes: dict[int, str] = {}
        self._inside = False
        self._kinds: list[str | None] = []

    def read(self, book: Book, part: str) -> list[str | None]:
        starts = {"numFmt": self._on_code, "cellXfs": self._on_formats, "xf": self._on_format}
        reader = xlsx_xml.Reader(starts, {"cellXfs": self._on_formats_end}, part=part)
        for _ in reader.feed(book.pieces(part)):
            if len(self._kinds) > MOST_FORMATS or len(self._codes) > MOST_FORMATS:
                raise errors.Refusal(
                    "unsafe-workbook",
                    f"The workbook has more than {MOST_FORMATS:,} cell formats; no spreadsheet program writes that.",
                    {"part": part},
                )
        return self._kinds

    def _on_code(self, attributes: xlsx_xml.Attributes) -> None:
        self._codes[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")[:1000]

    def _on_formats(self, _: xlsx_xml.Attributes) -> None:
        self._inside = True

    def _on_formats_end(self) -> None:
        self._inside = False

    def _on_format(self, attributes: xlsx_xml.Attributes) -> None:
        if self._inside:
            number = _number(attributes.get("numFmtId"))
            code = self._codes.get(number)
            self._kinds.append(xlsx_values.format_kind(code) if code else xlsx_values.BUILT_IN.get(number))


class _Texts:
    """Gathers the shared texts; what is only said about how they are pronounced is left out."""

    def __init__(self) -> None:
        self._inside = False
        self._spoken = False
        self._pieces: list[str] = []
        self._texts: list[str] = []
        self._length = 0

    def read(self, book: Book, part: str) -> list[pa.Array]:
        chunks: list[pa.Array] = []
        starts = {"t": self._on_text_start, "rPh": self._on_spoken}
        ends = {"t": self._on_text_end, "rPh": self._on_spoken_end, "si": self._on_item_end}
        for _ in xlsx_xml.Reader(starts, ends, self._on_text, part=part).feed(book.pieces(part)):
            if self._length >= CHUNK_TEXT * (len(chunks) + 1):
                chunks.append(self._taken())
            if self._length > MOST_TEXT:
                raise errors.Refusal(
                    "workbook-too-large",
                    f"The workbook has more than {MOST_TEXT // 1024**2} MB of different texts. Save the sheet as CSV.",
                    {"most_bytes": MOST_TEXT},
                )
        return [*chunks, self._taken()]

    def _taken(self) -> pa.Array:
        texts, self._texts = self._texts, []
        return pa.array(texts, pa.string())

    def _on_text_start(self, _: xlsx_xml.Attributes) -> None:
        self._inside = not self._spoken

    def _on_text_end(self) -> None:
        self._inside = False

    def _on_spoken(self, _: xlsx_xml.Attributes) -> None:
        self._spoken = True

    def _on_spoken_end(self) -> None:
        self._spoken = False

    def _on_item_end(self) -> None:
        self._texts.append(xlsx_values.unescape("".join(self._pieces)))
        self._pieces = []
        # What a text takes beside its characters counts too, so that many small ones are no more than some large ones.
        self._length += TEXT_OVERHEAD

    def _on_text(self, text: str) -> None:
        if self._inside:
            self._pieces.append(text)
            self._length += len(text)


def _number(text: str | None) -> int:
    return int(text) if text and text.isdecimal() and len(text) < 10 else 0
