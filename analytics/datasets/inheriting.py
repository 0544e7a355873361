"""What an upsert makes of columns that the file does not have: what was said stays, what was made of others follows them."""

from collections.abc import Mapping

from analytics.datasets import cleaning, wording

# Names of a row of the file and of the stored row of the same key.
FRESH, STORED = "r", "t"


def updates(reading: cleaning.Reading, derived: frozenset[str]) -> Mapping[str, str]:
    """SQL of the new value of a stored row, over both rows, for each of the `derived` columns that the file lacks.

    A stored value that is the one its stored row gives was made of that row, as far as anybody can tell, and is made
    again. Any other was said in an earlier file, or set by its options, and stays.
    """
    lacking = derived - set(reading.mapping.names) - ({"currency"} if reading.names_currency else set())
    found: dict[str, str] = {}
    if "currency" in lacking:
        found["currency"] = _stored_first("currency")
    if "status" in lacking:
        found["status"] = _status()
    if "amount" in lacking:
        found["amount"] = _amount()
    if "kind" in lacking:
        found["kind"] = _kind(reading, found.get("amount", _of(FRESH, "amount")), has_amount="amount" in derived)
    if "expected_close_on" in lacking:
        found |= _close_dates(reading, found.get("status", _of(FRESH, "status")))
    return found


def _of(row: str, column: str) -> str:
    return f"{row}.{wording.quote_name(column)}"


def _stored_first(column: str) -> str:
    return f"coalesce({_of(STORED, column)}, {_of(FRESH, column)})"


def _made_again(column: str, *, made: str, again: str, otherwise: str) -> str:
    """The value made anew where the stored row has the one that is made of it, or none."""
    stored = _of(STORED, column)
    return f"CASE WHEN {stored} IS NULL OR {stored} = {made} THEN {again} ELSE {otherwise} END"


def _status() -> str:
    before, now = _of(STORED, "status"), _of(FRESH, "status")
    # A deal that has come to a stage that says won or lost is so, whatever was said of it before.
    moved = f"{_of(FRESH, 'stage')} IS DISTINCT FROM {_of(STORED, 'stage')} AND {now} <> 'open'"
    return _made_again(
        "status",
        made=wording.status_of_stage_sql(_of(STORED, "stage")),
        again=now,
        otherwise=f"CASE WHEN {moved} THEN {now} ELSE {before} END",
    )


def _amount() -> str:
    product = cleaning.product_sql(_of(STORED, "quantity"), _of(STORED, "unit_price"))
    return _made_again("amount", made=product, again=_of(FRESH, "amount"), otherwise=_of(STORED, "amount"))


def _kind(reading: cleaning.Reading, amount: str, *, has_amount: bool) -> str:
    kept = _made_again(
        "kind",
        made=cleaning.kind_of_amount_sql(_of(STORED, "amount")),
        again=cleaning.kind_of_amount_sql(amount),
        otherwise=_of(STORED, "kind"),
    )
    if not has_amount and "amount" not in reading.mapping.names:
        kept = _stored_first("kind")
    pattern = reading.options.refund_pattern
    if pattern is None:
        return kept
    return f"CASE WHEN {cleaning.refund_sql(_of(FRESH, 'order_id'), pattern)} THEN 'refund' ELSE {kept} END"


def _close_dates(reading: cleaning.Reading, status: str) -> Mapping[str, str]:
    """The one date of the file, as what it is for a deal of this status; the file does not say when a closed one was expected."""
    closes = _of(FRESH, cleaning.CLOSES)
    day = cleaning.day_sql(reading, closes)
    return {
        "expected_close_on": f"CASE WHEN {status} = 'open' THEN {day} ELSE {_of(STORED, 'expected_close_on')} END",
        "closed_at": f"CASE WHEN ({status}) IS DISTINCT FROM 'open' THEN {closes} END",
    }
