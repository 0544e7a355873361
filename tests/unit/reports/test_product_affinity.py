"""Association rules: the figures of R's arules on its groceries, a count by brute force, and the edges of baskets."""

import csv
import datetime as dt
import gzip
import random
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import hypothesis
import pydantic
import pytest
from hypothesis import strategies as st

from analytics import errors, result
from analytics.catalogue import registry
from analytics.reports import affinity_baskets, product_affinity

Ask = Callable[..., result.Result]
Rows = Sequence[Mapping[str, Any]]

DATA = Path(__file__).resolve().parents[4] / "shared" / "data" / "baskets"
EASY = {"min_support": 0.000001, "min_confidence": 0.0}


def _holds(answer: result.Result) -> bool:
    return bool(answer.invariants) and all(invariant.holds for invariant in answer.invariants)


def _codes(answer: result.Result) -> set[str]:
    return {warning.code for warning in answer.warnings}


def _lines(*baskets: str, **rest: Any) -> list[dict[str, Any]]:
    """Return a line per letter of each basket."""
    return [
        {"order_id": f"o{number}", "line_no": place, "product_id": item, "kind": "sale", **rest}
        for number, basket in enumerate(baskets)
        for place, item in enumerate(basket)
    ]


def _rules(answer: result.Result) -> dict[tuple[str, str], dict[str, Any]]:
    return {(row["antecedent"], row["consequent"]): row for row in answer.rows.to_pylist()}


@pytest.fixture(scope="module")
def groceries() -> Rows:
    with gzip.open(DATA / "groceries_long.csv.gz", "rt", newline="") as file:
        return [
            {"order_id": row["basket_id"], "line_no": number, "product_id": row["item"], "kind": "sale"}
            for number, row in enumerate(csv.DictReader(file))
        ]


@pytest.mark.golden
@pytest.mark.skipif(not DATA.is_dir(), reason="the shared data folder is not beside the repository")
@pytest.mark.parametrize(
    ("least", "rules", "itemsets"), [((0.001, 0.8), 410, 13_492), ((0.006, 0.25), 463, 747), ((0.01, 0.5), 15, 333)]
)
def test_groceries_as_arules_has_them(
    ask: Ask, groceries: Rows, least: tuple[float, float], rules: int, itemsets: int
) -> None:
    """Four of the 410 have exactly four fifths of their antecedents' baskets, which a quotient of floats may miss."""
    params = {"min_support": least[0], "min_confidence": least[1], "max_length": 10}
    answer = ask("product_affinity", params, order_lines=groceries)
    assert (answer.rows.num_rows, answer.summary["rules"]) == (rules, rules)
    assert (answer.summary["baskets"], answer.summary["items"]) == (9_835, 169)
    assert answer.summary["itemsets"] == itemsets
    assert _holds(answer)
    if rules == 410:
        best = answer.rows.to_pylist()[0]
        assert (best["antecedent"], best["consequent"]) == ("liquor, red/blush wine", "bottled beer")
        assert best["lift"] == pytest.approx(11.235269, abs=5e-7)
        assert (best["count"], best["antecedent_count"], best["consequent_count"]) == (19, 21, 792)


def test_measures_of_a_rule(ask: Ask) -> None:
    """Ten baskets, tea in four, mugs in five, both in three."""
    answer = ask("product_affinity", EASY, order_lines=_lines("tm", "tm", "tm", "t", "m", "m", "x", "x", "x", "x"))
    rules = _rules(answer)
    assert list(rules) == [("m", "t"), ("t", "m")]
    rule = rules["t", "m"]
    assert {name: rule[name] for name in ("count", "antecedent_count", "consequent_count")} == {
        "count": 3,
        "antecedent_count": 4,
        "consequent_count": 5,
    }
    measures = {"support": 0.3, "confidence": 0.75, "lift": 1.5, "leverage": 0.1, "conviction": 2.0}
    assert {name: rule[name] for name in measures} == pytest.approx(measures)
    assert rule["zhang"] == pytest.approx(0.1 / max(0.3 * 0.6, 0.4 * 0.2))
    assert answer.summary["baskets"] == 10
    assert _holds(answer)


def test_what_is_not_defined_is_null(ask: Ask) -> None:
    rule = _rules(ask("product_affinity", EASY, order_lines=_lines("ab", "ab")))["a", "b"]
    assert (rule["lift"], rule["conviction"], rule["zhang"]) == (1.0, None, None)


@pytest.mark.parametrize("lines", [[], _lines("a"), _lines("a", "b")])
def test_nothing_together_is_an_answer(ask: Ask, lines: Rows) -> None:
    answer = ask("product_affinity", EASY, order_lines=lines)
    assert answer.rows.num_rows == 0
    assert answer.rows.column_names == [column.name for column in answer.columns]
    assert answer.summary["baskets"] == len(lines)
    assert _holds(answer)


def test_the_same_item_twice_is_one(ask: Ask) -> None:
    rule = _rules(ask("product_affinity", EASY, order_lines=_lines("aab", "ab", "a")))["a", "b"]
    assert (rule["count"], rule["antecedent_count"]) == (2, 3)


def test_refunds_and_what_is_no_purchase_are_left_out(ask: Ask) -> None:
    lines = [
        *_lines("ab"),
        {"order_id": "o0", "line_no": 8, "product_id": "c", "kind": "refund"},
        {"order_id": "o0", "line_no": 9, "product_id": "d", "kind": "sale", "quantity": Decimal(-2)},
        {"order_id": "o0", "line_no": 10, "product_id": "e", "kind": "sale", "quantity": Decimal(0)},
        {"order_id": "o0", "line_no": 11, "product_id": None, "kind": "sale"},
        {"order_id": "o0", "line_no": 12, "product_id": "", "kind": "sale"},
        {"order_id": None, "line_no": 13, "product_id": "f", "kind": "sale"},
    ]
    answer = ask("product_affinity", EASY, order_lines=lines)
    assert dict(answer.dropped) == {"refunds": 1, "not_bought": 2, "no_item": 2, "no_basket": 1}
    assert set(_rules(answer)) == {("a", "b"), ("b", "a")}


def test_lines_without_a_date_count_until_dates_are_asked_for(ask: Ask) -> None:
    day = dt.datetime(2024, 3, 31, 22, 30, tzinfo=dt.UTC)
    lines = [*_lines("ab", ordered_at=None), *_lines("cd", ordered_at=day)]
    lines[2]["order_id"] = lines[3]["order_id"] = "o9"
    answer = ask("product_affinity", EASY, order_lines=lines)
    assert (answer.summary["baskets"], answer.summary["as_of"]) == (2, "2024-04-01T00:00:00Z")
    dated = ask("product_affinity", {**EASY, "end": "2024-04-01"}, order_lines=lines)
    assert set(_rules(dated)) == {("c", "d"), ("d", "c")}
    assert dict(dated.dropped) == {"no_date": 2}
    london = ask("product_affinity", {**EASY, "end": "2024-03-31"}, timezone="Europe/London", order_lines=lines)
    assert dict(london.dropped) == {"no_date": 2, "outside_dates": 2}
    assert ask("product_affinity", EASY, order_lines=_lines("ab", ordered_at=None)).summary["as_of"] is None


def test_names_with_commas_are_quoted(ask: Ask) -> None:
    lines = _lines("abc")
    for line, name in zip(lines, ["tea, black", 'mug "large"', "spoon"], strict=True):
        line["product"] = name
    answer = ask("product_affinity", {**EASY, "item": "product", "max_length": 3}, order_lines=lines)
    assert ('"mug ""large""", "tea, black"', "spoon") in _rules(answer)


def test_baskets_of_customers(ask: Ask) -> None:
    lines = _lines("a", "b", "a", "b")
    for line, customer in zip(lines, ["anna", "anna", "bert", None], strict=True):
        line["customer_id"] = customer
    answer = ask("product_affinity", {**EASY, "basket": "customer_id"}, order_lines=lines)
    assert _rules(answer)["b", "a"]["count"] == 1
    assert (answer.summary["baskets"], dict(answer.dropped)) == (2, {"no_basket": 1})


def test_segments_have_baskets_of_their_own(ask: Ask) -> None:
    lines = [*_lines("ab", "ab", "a", channel="web"), *_lines("ac", channel="shop"), *_lines("ad", channel=None)]
    answer = ask("product_affinity", {**EASY, "segment_by": ["channel"]}, order_lines=lines)
    assert [(row["channel"], row["baskets"], row["rules"]) for row in answer.summary["segments"]] == [
        ("shop", 1, 2),
        ("web", 3, 2),
        (None, 1, 2),
    ]
    assert [row["channel"] for row in answer.rows.to_pylist()] == ["shop", "shop", "web", "web", None, None]
    assert _holds(answer)


def test_a_filter_chooses_lines(ask: Ask) -> None:
    customers = [{"customer_id": "anna", "country": "GB"}, {"customer_id": "bert", "country": "FR"}]
    lines = [*_lines("ab", customer_id="anna"), *_lines("xxab", customer_id="bert")[2:]]
    wanted = {"column": "country", "op": "eq", "value": "GB"}
    answer = ask("product_affinity", {**EASY, "filter": wanted}, order_lines=lines, customers=customers)
    assert (answer.summary["baskets"], dict(answer.dropped)) == (1, {"filtered": 2})


def test_longer_consequents(ask: Ask) -> None:
    params = {**EASY, "max_length": 3, "consequent_length": 2}
    rules = _rules(ask("product_affinity", params, order_lines=_lines("abc", "ab", "c")))
    assert rules["a", "b, c"]["count"] == 1
    assert rules["c", "a, b"]["confidence"] == 0.5
    assert len(rules) == 12


def test_too_many_sets_are_refused_with_what_to_raise(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product_affinity, "MAX_ITEMSETS", 1_000)
    lines = _lines("abcdefghijklmnopq")
    with pytest.raises(errors.Refusal, match="min_support") as refusal:
        ask("product_affinity", {**EASY, "max_length": 10}, order_lines=lines)
    assert refusal.value.code == "too-many-itemsets"
    assert ask("product_affinity", EASY, order_lines=lines).summary["itemsets"] == 17 + 17 * 16 // 2


def test_no_products_are_said(ask: Ask) -> None:
    lines = _lines("ab")
    for line in lines:
        line["product_id"] = None
    answer = ask("product_affinity", {}, order_lines=lines)
    assert "no-items" in _codes(answer)
    assert _holds(answer)


@pytest.mark.parametrize(
    ("raw", "pointer"),
    [
        ({"min_support": 0}, "min_support"),
        ({"min_confidence": 1.1}, "min_confidence"),
        ({"max_length": 1}, "max_length"),
        ({"consequent_length": 2}, "consequent_length"),
    ],
)
def test_parameters_out_of_range(raw: dict[str, Any], pointer: str) -> None:
    with pytest.raises(pydantic.ValidationError) as error:
        registry.REPORT_TYPES["product_affinity"].parse_params(raw, timezone="UTC", currency="GBP")
    assert [each["loc"] for each in error.value.errors()] == [(pointer,)]


def test_a_share_is_the_decimal_it_was_written_as(ask: Ask) -> None:
    """Seven hundredths of a hundred baskets are seven, though 0.07 x 100 is a hair more in binary."""
    lines = _lines(*["ab"] * 7, *["x"] * 93)
    assert len(_rules(ask("product_affinity", {"min_support": 0.07, "min_confidence": 1.0}, order_lines=lines))) == 2


@hypothesis.settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture, hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(
    baskets=st.lists(st.text("abcdef", min_size=1, max_size=7), min_size=1, max_size=25),
    support=st.sampled_from([0.04, 0.1, 0.3]),
    confidence=st.sampled_from([0.0, 0.5, 0.75]),
    length=st.integers(2, 5),
    at_once=st.sampled_from([3, 4_000_000]),
    bits=st.sampled_from([6, 64]),
)
def test_a_count_by_brute_force_finds_the_same(  # noqa: PLR0917 - hypothesis fills them in by name
    ask: Ask, baskets: list[str], support: float, confidence: float, length: int, at_once: int, bits: int
) -> None:
    lines = _lines(*baskets)
    params = {"min_support": support, "min_confidence": confidence, "max_length": length}
    params["consequent_length"] = max(1, length - 2)
    with pytest.MonkeyPatch.context() as patch:
        # Baskets gathered in many parts are the same baskets, and so are those whose names have one hash.
        patch.setattr(affinity_baskets, "_AT_ONCE", at_once)
        patch.setattr(affinity_baskets, "_STEP", at_once)
        patch.setattr(affinity_baskets, "_BITS", bits)
        answer = ask("product_affinity", params, order_lines=lines)
        shuffled = random.Random(1).sample(lines, len(lines))  # noqa: S311 - any order will do
        again = ask("product_affinity", params, order_lines=shuffled)
    assert again.rows.equals(answer.rows)
    assert again.summary == answer.summary
    assert _holds(answer)
    found = {key: row["count"] for key, row in _rules(answer).items()}
    assert found == _brute([set(basket) for basket in baskets], params)
    lifts = [row["lift"] for row in answer.rows.to_pylist()]
    assert lifts == sorted(lifts, reverse=True)


def _brute(baskets: Sequence[set[str]], params: Mapping[str, Any]) -> dict[tuple[str, str], int]:
    def count(items: tuple[str, ...]) -> int:
        return sum(set(items) <= basket for basket in baskets)

    share, trust = (Fraction(str(params[name])) for name in ("min_support", "min_confidence"))
    found = {}
    for size in range(2, params["max_length"] + 1):
        for items in combinations("abcdef", size):
            both = count(items)
            if not both or both < share * len(baskets):
                continue
            for right in range(1, min(params["consequent_length"], size - 1) + 1):
                for consequent in combinations(items, right):
                    antecedent = tuple(item for item in items if item not in consequent)
                    if both >= trust * count(antecedent):
                        found[", ".join(antecedent), ", ".join(consequent)] = both
    return found
