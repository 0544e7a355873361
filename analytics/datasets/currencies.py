"""The currency that is written in an amount: which one a sign or a code names, and SQL that finds it in each value.

What names several currencies, as `$` does, is the import's currency if that is one of them, and a question if not.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analytics import errors
from analytics.datasets import probe, wording

# The columns of money, in which a unit can only be a currency.
MONEY: Mapping[str, tuple[str, ...]] = {
    "orders": ("amount",),
    "order_lines": ("amount", "unit_price"),
    "deals": ("amount", "list_amount"),
    "subscriptions": ("mrr",),
}
_IN_USE = (
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CLP "
    "CNY COP CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD HKD HNL HTG HUF "
    "IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD MAD MDL MGA MKD "
    "MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RUB "
    "RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD TWD TZS UAH UGX USD "
    "UYU UZS VES VND VUV WST XAF XCD XOF XPF YER ZAR ZMW"
)
# Codes of ISO 4217, and what a sign may name, the usual one first.
CODES = frozenset(_IN_USE.split())
_OF_ONE = (
    "£GBP \N{FULLWIDTH POUND SIGN}GBP €EUR ₹INR ₩KRW ₽RUB ₺TRY ₴UAH ₪ILS ₫VND ₱PHP ฿THB ₦NGN ₵GHS "
    "₸KZT ₡CRC ₲PYG ₼AZN ₾GEL ₮MNT ₭LAK ៛KHR ৳BDT ֏AMD"
)
_DOLLARS = "USD AUD BBD BMD BND BSD BZD CAD CLP COP CVE DOP FJD GYD HKD JMD KYD LRD MOP MXN NAD NIO NZD SBD SGD SRD TTD TWD UYU XCD"
SIGNS: Mapping[str, tuple[str, ...]] = {
    **{pair[0]: (pair[1:],) for pair in _OF_ONE.split()},
    **dict.fromkeys("$\N{FULLWIDTH DOLLAR SIGN}\N{SMALL DOLLAR SIGN}", tuple(_DOLLARS.split())),
    **dict.fromkeys("¥\N{FULLWIDTH YEN SIGN}", ("JPY", "CNY")),
}
# A sign of a currency, or three capitals that may be a code.
UNIT = r"\p{Sc}|[A-Z]{3}"
# So many different units are told apart; a column with more of them is not one of money.
MOST_UNITS = 200
NONE, UNKNOWN, CONTRADICTORY = "", "unknown-currency", "contradictory-currency"


@dataclass(frozen=True, slots=True)
class Units:
    """What is written beside the numbers of one column: by its text, the currencies it may be; none of them, if unknown."""

    meanings: Mapping[str, tuple[str, ...]]

    def sql(self, value: str) -> str:
        """SQL of the text of a value's units."""
        return _units(value)

    def code_sql(self, units: str, said: str, ours: str | None) -> str:
        """SQL of the currency; null where none is written. `said` is that of the row's own column, `ours` the import's."""
        arms = [f"WHEN {units} = {wording.quote_text(NONE)} THEN NULL"]
        for text, codes in self.meanings.items():
            listed = ", ".join(map(wording.quote_text, codes))
            meant = f"coalesce({said}, {wording.quote_text(codes[0] if len(codes) == 1 or ours is None else ours)})"
            fits = f"CASE WHEN {meant} IN ({listed}) THEN {meant} ELSE {wording.quote_text(CONTRADICTORY)} END"
            arms.append(f"WHEN {units} = {wording.quote_text(text)} THEN {fits}")
        return f"CASE WHEN {units} IS NULL THEN NULL {' '.join(arms)} ELSE {wording.quote_text(UNKNOWN)} END"


def find(column: probe.Probe, *, said: str | None, ours: str | None) -> Units | None:
    """What is written beside a column's numbers; None where nothing is. `said` is SQL of the cell that names the currency.

    Raises:
        errors.Refusal: `ambiguous-currency`, where a sign names several, of which the import's is none.
    """
    if not column.ask(f"count(*) FILTER (WHERE regexp_matches(v, '{UNIT}'))")[0]:
        return None
    rows = column.rows_with(
        f"{_units('v')} AS units, count(*) FILTER (WHERE beside IS NULL) AS unsaid, min(v) FILTER (WHERE beside IS NULL)",
        said or "NULL::VARCHAR",
        f"WHERE v IS NOT NULL AND regexp_matches(v, '[0-9]') GROUP BY units ORDER BY count(*) DESC, units LIMIT {MOST_UNITS}",
    )
    meanings = {text: _meant_by(text.split()) for text, _, _ in rows if text != NONE}
    for text, unsaid, example in rows:
        codes = meanings.get(text, ())
        if unsaid and len(codes) > 1 and ours not in codes:
            raise errors.Refusal(
                "ambiguous-currency",
                f"In the column {column.header!r} amounts such as {example!r} may be in more than one currency: {text} is "
                "written in several. Say which with `currency`.",
                {"header": column.header, "example": example, "currencies": list(codes), "values": unsaid},
            )
    return Units({text: codes for text, codes in meanings.items() if codes})


def _units(value: str) -> str:
    """SQL of the signs and codes in a value, each once and in order."""
    found = f"list_sort(list_distinct(regexp_extract_all({value}, '{UNIT}')))"
    return f"array_to_string({found}, ' ')"


def _meant_by(units: Sequence[str]) -> tuple[str, ...]:
    """The currencies that all of the units may be."""
    meant = [SIGNS.get(unit, (unit,) if unit in CODES else ()) for unit in units]
    return tuple(code for code in meant[0] if all(code in others for others in meant))
