"""SQL for numbers: which decimal sign a file uses, and exact decimals from what people and programs write."""

from collections.abc import Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import probe, wording

DIGITS_OF_INT = 18
# How much more evidence one sign needs than the other where a file has values for both.
PREPONDERANCE = 10

# A point followed by exactly three digits may as well separate thousands.
AMBIGUOUS = r"[+-]?[1-9][0-9]{0,2}\.[0-9]{3}"
SHAPES = {
    ".": r"-?(([0-9]+|[1-9][0-9]{0,2}(,[0-9]{3})+)(\.[0-9]*)?|\.[0-9]+)",
    ",": r"-?(([0-9]+|[1-9][0-9]{0,2}(\.[0-9]{3})+)(,[0-9]*)?|,[0-9]+)",
}


@dataclass(frozen=True, slots=True)
class NumberProfile:
    """What the values of a column look like.

    Attributes:
        simple: whether all are digits with at most a sign and a point, few enough for the column.
        pointed: values with a point; `ambiguous`: those whose point may separate thousands.
        certain: of the pointed ones, those that were typed as they were read and cannot be asked about any more.
    """

    simple: bool
    pointed: int
    ambiguous: int
    certain: int = 0


def simple_shape(precision: int, scale: int) -> str:
    fraction = f"(\\.[0-9]{{1,{scale}}})?" if scale else ""
    return f"-?[0-9]{{1,{precision - scale}}}{fraction}"


def clear_shape(precision: int, scale: int) -> str:
    """Simple numbers of which none is ambiguous."""
    fraction = f"(\\.([0-9]{{1,2}}|[0-9]{{4,{scale}}}))?" if scale > 3 else ""
    return f"-?[0-9]{{1,{precision - scale}}}{fraction}"


def plain_sql(value: str) -> str:
    """A number without currency, brackets, plus sign and spaces between thousands: `(£1 234.50)` becomes `-1234.50`."""
    steps = (
        (r"([0-9])[\s\x{00a0}\x{202f}'\x{2019}]([0-9]{3})", r"\1\2"),
        (r"([0-9])[\s\x{00a0}\x{202f}'\x{2019}]([0-9]{3})", r"\1\2"),
        (r"[\s\x{00a0}\x{202f}]*(\p{Sc}|\b[A-Z]{3}\b)[\s\x{00a0}\x{202f}]*", ""),
        (r"^\((.*)\)$", r"-\1"),
        (r"^([^-]*[0-9.,])[\s]*-$", r"-\1"),
        (r"^(-?)[+\s]+", r"\1"),
        (r"^([A-Z]{3})([-0-9])", r"\2"),
        (r"([0-9])[A-Z]{3}$", r"\1"),
    )
    sql = value
    for pattern, replacement in steps:
        sql = f"regexp_replace({sql}, {wording.quote_text(pattern)}, {wording.quote_text(replacement)}, 'g')"
    return sql


def decide_sign(columns: Sequence[tuple[probe.Probe, NumberProfile]], *, declared: str | None) -> str:
    """The decimal sign of the whole file, from all values of all its number columns.

    Raises:
        errors.Refusal: `ambiguous-decimal-sign`.
    """
    if declared:
        return declared
    point = sum(profile.pointed - profile.ambiguous for _, profile in columns if profile.simple)
    unclear = sum(profile.ambiguous for _, profile in columns if profile.simple)
    comma = 0
    for column, profile in columns:
        if not profile.simple:
            only_point, only_comma, either = _evidence(column)
            point, comma, unclear = point + only_point + profile.certain, comma + only_comma, unclear + either
    if point >= PREPONDERANCE * comma and point:
        return "."
    if comma >= PREPONDERANCE * point and comma:
        return ","
    if not point and not comma and not unclear:
        return "."
    raise errors.Refusal(
        "ambiguous-decimal-sign",
        "It is not clear whether the numbers have a decimal point or a decimal comma: 1.234 may be one or a thousand. "
        "Say which with `decimal`.",
        {
            "headers": [column.header for column, _ in columns],
            "with_point": point,
            "with_comma": comma,
            "either": unclear,
        },
    )


def _evidence(column: probe.Probe) -> tuple[int, int, int]:
    plain = plain_sql("v")
    point, comma = (f"regexp_full_match({plain}, '{SHAPES[sign]}')" for sign in ".,")
    only_point, only_comma, either = column.ask(
        f"count(*) FILTER (WHERE {point} AND NOT {comma}), count(*) FILTER (WHERE {comma} AND NOT {point}), "
        f"count(*) FILTER (WHERE {point} AND {comma} AND regexp_matches({plain}, '[.,]'))"
    )
    return int(only_point), int(only_comma), int(either)


def decimal_sql(value: str, sign: str, *, precision: int, scale: int) -> tuple[str, str]:
    """SQL for the exact decimal, null where there is none, and SQL for the code that says why."""
    plain, shape_fits = _unified(value, sign)
    too_many = f"regexp_matches({plain}, '\\.[0-9]{{{scale}}}[0-9]*[1-9]')"
    typed = f"CASE WHEN {shape_fits} AND NOT {too_many} THEN TRY_CAST({plain} AS DECIMAL({precision}, {scale})) END"
    code = (
        f"CASE WHEN NOT {shape_fits} THEN 'bad-number' WHEN {too_many} THEN 'too-many-decimals' ELSE 'out-of-range' END"
    )
    return typed, code


def int_sql(value: str, sign: str) -> tuple[str, str]:
    """The same for whole numbers; `3.0` is one."""
    plain, shape_fits = _unified(value, sign)
    whole = f"regexp_full_match({plain}, '-?[0-9]+(\\.0*)?')"
    typed = f"CASE WHEN {shape_fits} AND {whole} THEN TRY_CAST(regexp_replace({plain}, '\\..*$', '') AS BIGINT) END"
    code = f"CASE WHEN {shape_fits} AND {whole} THEN 'out-of-range' ELSE 'bad-number' END"
    return typed, code


def _unified(value: str, sign: str) -> tuple[str, str]:
    plain = plain_sql(value)
    group = "," if sign == "." else "."
    return f"replace(replace({plain}, '{group}', ''), '{sign}', '.')", f"regexp_full_match({plain}, '{SHAPES[sign]}')"
