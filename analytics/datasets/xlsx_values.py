"""What a workbook's cells mean: numbers that are dates by their format, and characters that are written as codes."""

import datetime as dt
import functools
import re

DATE, TIME, ELAPSED = "date", "time", "elapsed"
# Formats that every workbook has without declaring them (ECMA-376 part 1, 18.8.30), the East Asian ones included.
BUILT_IN = (
    dict.fromkeys((14, 15, 16, 17, 22, *range(27, 32), 36, *range(50, 55), 57, 58), DATE)
    | dict.fromkeys((18, 19, 20, 21, *range(32, 36), 45, 47, 55, 56), TIME)
    | {46: ELAPSED}
)
LITERAL = re.compile(r'"[^"]*"|\\.|_.|\*.')
BRACKETS = re.compile(r"\[[^\]]*\]")
ELAPSED_BRACKETS = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
MILLISECONDS_OF_DAY = 86_400_000
# 1900 was no leap year, but Lotus 1-2-3 thought so and Excel had to agree: 60 is a day that never was.
NO_DAY = 60
LAST_DAY = 2_958_466
DAYS_BETWEEN_SYSTEMS = 1462


def format_kind(code: str) -> str | None:
    """Whether a number format shows dates, times or spans of time."""
    first = LITERAL.sub("", code).partition(";")[0]
    if ELAPSED_BRACKETS.search(first):
        return ELAPSED
    letters = set(BRACKETS.sub("", first).lower())
    if "general" in first.lower() or not letters & set("ydmhs"):
        return None
    if letters & set("yd"):
        return DATE
    return TIME if letters & set("hs") else DATE


@functools.lru_cache(maxsize=16_384)
def moment(serial: float, kind: str, *, from_1904: bool) -> str | None:
    """ISO text for a serial number, to the millisecond that Excel keeps; None where it is no moment."""
    if not 0 <= serial < LAST_DAY:
        return None
    days, milliseconds = divmod(round(serial * MILLISECONDS_OF_DAY), MILLISECONDS_OF_DAY)
    if kind == ELAPSED or (kind == TIME and days == 0):
        return _clock(milliseconds + days * MILLISECONDS_OF_DAY)
    day = _day(days + (DAYS_BETWEEN_SYSTEMS if from_1904 else 0), from_1904=from_1904)
    return f"{day} {_clock(milliseconds)}" if milliseconds else day


def _day(days: int, *, from_1904: bool) -> str:
    if not from_1904 and days == NO_DAY:
        return "1900-02-29"
    if not from_1904 and days == 0:
        return "1900-01-00"
    # Counted from the last of 1899 before the day that never was, from the day before after it.
    first = dt.date(1899, 12, 31 if days < NO_DAY and not from_1904 else 30)
    return (first + dt.timedelta(days=days)).isoformat()


def _clock(milliseconds: int) -> str:
    seconds, fraction = divmod(milliseconds, 1000)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:03}" if fraction else text


def unescape(text: str) -> str:
    """Characters that XML cannot hold are written as `_x000D_`."""
    if "_x" not in text:
        return text
    plain = ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    # Characters beyond the first plane are written as two codes.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
