"""What a download is called: `Content-Disposition` (RFC 6266), with a name that every file system and browser takes."""

import re
import unicodedata
from urllib.parse import quote

LONGEST = 120
# What Windows, or a shell without quotes, would stumble over; a path is never part of a name.
_AWKWARD = re.compile(r'[\\/:*?"<>|;%\x00-\x1f\x7f]+')
_SPACES = re.compile(r"\s+")
# RFC 5987, attr-char.
_UNQUOTED = "!#$&+-.^_`|~"


def named(words: str | None, otherwise: str, identity: object) -> str:
    """Return a name without its extension: the caller's own words where they leave anything, and always the id."""
    return f"{_clean(words or '') or otherwise}-{identity}"


def disposition(name: str, *, shown: bool) -> str:
    """Return the header for a file of this name, which is to be shown or to be saved.

    Names beyond ASCII are said twice: as they are for those who know RFC 6266, and without accents for those who do not.
    """
    kind = "inline" if shown else "attachment"
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = plain.replace("\\", "").replace('"', "").lstrip(" .-_") or "result"
    if plain == name:
        return f'{kind}; filename="{name}"'
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe=_UNQUOTED)}"


def _clean(words: str) -> str:
    # Formatting characters go too: one of them makes `gpj.exe` look like `exe.jpg`.
    kept = "".join(
        one for one in words if unicodedata.category(one) not in {"Cc", "Cf", "Cs", "Co", "Cn"} or one.isspace()
    )
    return _SPACES.sub(" ", _AWKWARD.sub(" ", unicodedata.normalize("NFC", kept)))[:LONGEST].strip(" .-_")
