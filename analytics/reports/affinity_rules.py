"""Association rules from frequent sets of items, and their measures; nothing here asks the engine."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa

from analytics import errors
from analytics.catalogue import product_affinity
from analytics.stats import itemsets

MAX_RULES = 1_000_000
# A share is compared in whole numbers; nine places of it are kept.
_SHARE_PARTS = 10**9
_QUOTED = re.compile(r'[,"]')

# Antecedent and consequent.
Sides = tuple[itemsets.Itemset, itemsets.Itemset]


@dataclass(frozen=True, slots=True)
class Best:
    """The first rule: the names on both sides, and the baskets with both, with the antecedent, with the consequent."""

    sides: tuple[list[str], list[str]]
    counts: tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules in order: the columns of the report's rows, without segments."""

    table: pa.Table
    best: Best | None

    def within(self, baskets: int) -> bool:
        """Whether no rule is in more baskets than each of its sides, and no side in more than there are."""
        both, before, after = (
            self.table[name].to_numpy() for name in ("count", "antecedent_count", "consequent_count")
        )
        return bool(np.all((both <= before) & (both <= after) & (before <= baskets) & (after <= baskets)))


def share(value: float) -> Fraction:
    """Return a share as the decimal it was written as."""
    return Fraction(str(value)).limit_denominator(_SHARE_PARTS)


def build(found: itemsets.Frequent, names: Sequence[str], params: product_affinity.ProductAffinityParams) -> Rules:
    """Return the rules within frequent sets that are confident enough, best lift first.

    Raises:
        errors.Refusal: there are too many.
    """
    pairs, of_pairs = _of_pairs(found.pairs, found.supports, share(params.min_confidence))
    _bound(len(pairs))
    sides, of_longer = _of_longer(found, params, MAX_RULES - len(pairs))
    counts = np.concatenate([of_pairs, of_longer])
    quoted = [_quoted(name) for name in names]
    words = pa.array(quoted, pa.string())
    rows = pa.table(
        {
            name: pa.chunked_array([words.take(pa.array(pairs[:, at])), _listed(quoted, [each[at] for each in sides])])
            for at, name in enumerate(("antecedent", "consequent"))
        }
        | _measures(counts, found.baskets)
        | {"place": pa.array(np.arange(len(counts)))}
    )
    order = [("lift", "descending"), ("count", "descending"), ("antecedent", "ascending"), ("consequent", "ascending")]
    ordered = rows.sort_by(order)
    best = None
    if len(counts):
        place = ordered["place"][0].as_py()
        both = [[code] for code in pairs[place].tolist()] if place < len(pairs) else sides[place - len(pairs)]
        antecedent, consequent = ([names[item] for item in side] for side in both)
        together, before, after = (int(count) for count in counts[place])
        best = Best((antecedent, consequent), (together, before, after))
    return Rules(ordered.drop_columns("place"), best)


def _listed(quoted: Sequence[str], sides: Sequence[itemsets.Itemset]) -> pa.StringArray:
    return pa.array([", ".join(quoted[item] for item in side) for side in sides], pa.string())


def _bound(count: int, limit: int = MAX_RULES) -> None:
    if count > limit:
        raise errors.Refusal(
            "too-many-itemsets",
            f"More than {MAX_RULES:,} rules; raise min_confidence or min_support, or lower max_length.",
            {"limit": MAX_RULES},
        )


def _of_pairs(pairs: itemsets.Pairs, supports: itemsets.Ints, least: Fraction) -> tuple[itemsets.Ints, itemsets.Ints]:
    """Return the two sides of each rule between two items, and the counts of both, antecedent and consequent."""
    sides = np.column_stack([np.concatenate([pairs.first, pairs.second]), np.concatenate([pairs.second, pairs.first])])
    counts = np.column_stack([np.tile(pairs.counts, 2), supports[sides[:, 0]], supports[sides[:, 1]]])
    # Counts are of order lines and shares have nine places, so the products are well within 63 bits.
    kept = counts[:, 0] * least.denominator >= counts[:, 1] * least.numerator
    return sides[kept], counts[kept]


def _of_longer(
    found: itemsets.Frequent, params: product_affinity.ProductAffinityParams, limit: int
) -> tuple[list[Sides], itemsets.Ints]:
    """Return the sides of each rule of three and more items, and the same counts."""
    least = share(params.min_confidence)
    sides: list[Sides] = []
    counts: list[tuple[int, int, int]] = []
    sets = found.sets() if found.longer else {}
    for itemset, count in found.longer.items():
        for size in range(1, min(params.consequent_length, len(itemset) - 1) + 1):
            for consequent in combinations(itemset, size):
                antecedent = tuple(item for item in itemset if item not in consequent)
                before = sets[antecedent]
                if count * least.denominator >= before * least.numerator:
                    sides.append((antecedent, consequent))
                    counts.append((count, before, sets[consequent]))
        _bound(len(sides), limit)
    return sides, np.array(counts, dtype=np.int64).reshape(-1, 3)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if _QUOTED.search(name) else name


def _measures(counts: itemsets.Ints, baskets: int) -> dict[str, Any]:
    """Return the measures from whole numbers, so that each is rounded once; what is not defined is null."""
    both, antecedent, consequent = counts.T
    beyond = both * baskets - antecedent * consequent
    most = np.maximum(both * (baskets - antecedent), antecedent * (consequent - both))
    missed = baskets * (antecedent - both)
    with np.errstate(divide="ignore", invalid="ignore"):
        conviction = np.where(missed > 0, (baskets - consequent) * antecedent / missed, np.nan)
        zhang = np.where(most > 0, beyond / most, np.nan)
    return {
        "count": pa.array(both),
        "support": pa.array(both / max(baskets, 1)),
        "confidence": pa.array(both / antecedent),
        "lift": pa.array(both * baskets / (antecedent * consequent)),
        "leverage": pa.array(beyond / max(baskets, 1) ** 2),
        "conviction": pa.array(conviction, from_pandas=True),
        "zhang": pa.array(zhang, from_pandas=True),
        "antecedent_count": pa.array(antecedent),
        "consequent_count": pa.array(consequent),
    }
