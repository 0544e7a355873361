"""Where files may be delivered: below the folders that the settings name, and nowhere else. Light: the web asks here as well."""

import re
import uuid
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

ORGANISATION = "{organisation}"
FILE = "file"
# What a name may be made of; each is said in docs/deliveries.md.
FIELDS = ("type", "date", "time", "id", "schedule")
_FIELD = re.compile(r"\{([a-z]+)\}")
_PLAIN = re.compile(r"[A-Za-z0-9._ @+=-]+")
LONGEST_NAME = 150


class RefusedError(Exception):
    """Nothing is written there; a sentence."""


def parse(url: str, *, roots: Sequence[str], organisation_id: uuid.UUID) -> str:
    """Return a folder's address in its one spelling.

    Raises:
        RefusedError: it is not below one of the roots, or tries to get out of it.
    """
    wanted = _normal(url)
    for root in roots:
        allowed = _normal(root.replace(ORGANISATION, str(organisation_id)))
        if wanted == allowed or wanted.startswith(allowed + "/"):
            return wanted
    if not roots:
        raise RefusedError("This server delivers no files: DELIVERY_FOLDERS is not set.")
    raise RefusedError("Files are not delivered there. Whoever runs this server says where they may be.")


def local_folder(url: str, *, roots: Sequence[str], organisation_id: uuid.UUID) -> Path:
    """Return the folder of a local address, made where it is not there, with every link on the way followed.

    Raises:
        RefusedError: a link leads out of the root.
    """
    parse(url, roots=roots, organisation_id=organisation_id)
    folder = Path(urlsplit(url).path)
    allowed = [
        Path(urlsplit(_normal(root.replace(ORGANISATION, str(organisation_id)))).path).resolve()
        for root in roots
        if is_local(_normal(root))
    ]
    # Looked at before it is made, for a link may lead out already; and after, for what there is then.
    for _ in range(2):
        real = folder.resolve()
        if not any(real == root or root in real.parents for root in allowed):
            raise RefusedError("A link in the folder leads out of where files may be delivered.")
        real.mkdir(parents=True, exist_ok=True)
    return real


def is_local(url: str) -> bool:
    return url.startswith(f"{FILE}://")


def check_template(template: str) -> None:
    """Judge the name of a file before there is one.

    Raises:
        RefusedError: it has a field that there is not, or would not be a name.
    """
    name(template, dict.fromkeys(FIELDS, "x"))


def name(template: str, values: dict[str, str]) -> str:
    """Fill in the fields of a name.

    Raises:
        RefusedError: there is no such field, or what comes out is not the name of a file.
    """
    unknown = [found for found in _FIELD.findall(template) if found not in FIELDS]
    if unknown:
        raise RefusedError(f"There is no field {{{unknown[0]}}}; there are {', '.join(FIELDS)}.")
    filled = _FIELD.sub(lambda found: values[found[1]], template)
    if not _PLAIN.fullmatch(filled) or filled.startswith(".") or len(filled) > LONGEST_NAME:
        raise RefusedError(
            "A name has letters of ASCII, digits, blanks and . _ @ + = - only, and does not begin with a point."
        )
    return filled


def _normal(url: str) -> str:
    """Write an address in one way: `scheme://bucket/path`, a plain path as `file:///path`.

    Raises:
        RefusedError: it has what could mean two things.
    """
    if url.startswith("/"):
        url = f"{FILE}://{url}"
    parts = urlsplit(url)
    if not parts.scheme or parts.query or parts.fragment or "%" in url or "\\" in url or not url.isprintable():
        raise RefusedError("A folder is written as /path, file:///path, or like s3://bucket/path.")
    if parts.scheme == FILE and (parts.netloc or not parts.path.startswith("/")):
        raise RefusedError("A folder of this machine is written as /path or file:///path.")
    segments = [segment for segment in parts.path.split("/") if segment]
    if any(segment in {".", ".."} for segment in segments):
        raise RefusedError("A folder's address has no . and no .. in it.")
    path = str(PurePosixPath("/", *segments)) if segments else ""
    return f"{parts.scheme}://{parts.netloc}{path}"
