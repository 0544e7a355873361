"""SQL for text: trimming, null words, e-mail addresses, words that mean a choice."""

from collections.abc import Iterable, Mapping, Sequence

# Beside ASCII's: no-break space, narrow no-break space, zero-width space, byte order mark.
WHITESPACE = " \t\r\n\f\v\u00a0\u202f\u200b\ufeff"
# NA is a null word everywhere but in a column of countries, where it is Namibia.
NOT_APPLICABLE = "NA"

# What the words of other systems mean. Compared in lower case with everything but letters removed.
CHOICE_WORDS: Mapping[str, Mapping[str, str]] = {
    "kind": {
        "sale": "sale sales order purchase invoice payment charge",
        "refund": "refund refunded return returned credit creditnote creditmemo cancellation cancelled canceled",
    },
    "status": {
        "won": "won closedwon closewon win",
        "lost": "lost closedlost closelost lose",
        "open": "open new inprogress active pending",
    },
}


def quote_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def value_sql(column: str, *, padded: bool, null_words: Iterable[str], keeps_na: bool) -> str:
    """A cell without the white space around it; null where it is empty or a null word.

    The reader has made exact null words null already, so only cells with white space around them are compared again.
    """
    value = quote_name(column)
    if padded:
        trimmed = f"trim({value}, {quote_text(WHITESPACE)})"
        words = ", ".join(quote_text(word) for word in sorted(set(null_words) | {""}))
        value = f"(CASE WHEN {trimmed} IN ({words}) THEN NULL ELSE {trimmed} END)"
    return value if keeps_na else f"nullif({value}, {quote_text(NOT_APPLICABLE)})"


def text_sql(value: str, *, column: str, wide: bool) -> str:
    """Unicode NFC; e-mail addresses in lower case, currencies in upper case."""
    normal = f"nfc_normalize({value})" if wide else value
    if column == "email":
        return f"lower({normal})"
    return f"upper({normal})" if column == "currency" else normal


def phone_sql(value: str) -> str:
    """E.164 where the number itself names its country (`+44 (0)20 …`, `0044 …`); otherwise as it is."""
    digits = f"regexp_replace(replace({value}, '(0)', ''), '[ ().\\-/]', '', 'g')"
    international = f"regexp_replace({digits}, '^00', '+')"
    return (
        f"CASE WHEN regexp_full_match({international}, '\\+[1-9][0-9]{{6,14}}') THEN {international} ELSE {value} END"
    )


def choice_sql(value: str, column: str, choices: Sequence[str]) -> str:
    """The choice that a word means; null where it means none."""
    plain = f"regexp_replace(lower({value}), '[^a-z]', '', 'g')"
    words = CHOICE_WORDS.get(column, {})
    # A list of words would become a join, which looks at every row before the quick comparison could spare it.
    arms = "".join(
        f" WHEN regexp_full_match({plain}, {quote_text(words.get(choice, choice).replace(' ', '|'))})"
        f" THEN {quote_text(choice)}"
        for choice in choices
    )
    # Most values are the choice itself, and comparing is far cheaper than taking the word apart.
    exact = "".join(f" WHEN {text} THEN {text}" for text in map(quote_text, choices))
    return f"CASE {value}{exact} ELSE CASE{arms} END END"


def status_of_stage_sql(stage: str) -> str:
    """A deal's status where a file has only its stage: stages that say won or lost are final."""
    return f"coalesce({choice_sql(stage, 'status', ('won', 'lost'))}, 'open')"
