"""Kaplan-Meier curves, their intervals and medians, and the stratified log-rank test, from counts per time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
# Whole numbers where everybody is seen to leave or to stay, expected ones where that is estimated.
Tally = npt.NDArray[np.int64] | npt.NDArray[np.float64]

# A product that should be exactly one half may miss it by its last digits.
_HAIR = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Counts:
    """What happened at each time: times rising, all arrays of one length."""

    times: Floats
    events: Tally
    censored: Tally

    @property
    def at_risk(self) -> Tally:
        """Return how many reach each time: whoever ends or is last seen at a time has reached it."""
        # From the end, so that of fractions too as many are left as are still to come.
        left: Tally = np.cumsum((self.events + self.censored)[::-1])[::-1]
        return left


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """The estimate at each time; what is not defined is NaN."""

    counts: Counts
    survival: Floats
    std_err: Floats
    lower: Floats
    upper: Floats

    def at(self, times: Floats) -> Floats:
        """Return S at any times: that of the last time of the curve not after them, and 1 before the first."""
        places = np.searchsorted(self.counts.times, times, side="right")
        steps: Floats = np.concatenate([[1.0], self.survival])[places]
        return steps

    @property
    def reach(self) -> float:
        """Return the time from which on the curve says nothing; where it has come down to zero it stays there."""
        if not len(self.survival):
            return 0.0
        return float("inf") if self.survival[-1] == 0.0 else float(self.counts.times[-1])

    def median(self) -> tuple[float | None, float | None, float | None]:
        """Return the least time with S <= 0.5, and where lower and upper come down to it; None where they never do."""
        return (
            _crossing(self.counts.times, self.survival),
            # Where the curve is zero its bounds are not defined; the lower one is not above it.
            _crossing(self.counts.times, np.nan_to_num(self.lower, nan=0.0)),
            _crossing(self.counts.times, self.upper),
        )


def kaplan_meier(counts: Counts, *, confidence: float, log_log: bool, more: Floats | float = 0.0) -> Curve:
    """Return the product-limit estimate with Greenwood's error, `more` being what else log S varies by at each time.

    The interval is S to the power of exp(+-z s / |log S|) on the scale of log(-log S), S exp(+-z s) capped at 1 on
    that of log S, s being the root of Greenwood's sum and z the normal quantile.
    """
    at_risk = counts.at_risk.astype(np.float64)
    events = counts.events.astype(np.float64)
    survival: Floats = np.cumprod(1.0 - events / at_risk, dtype=np.float64)
    dead = survival <= 0.0
    survival[dead] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        variance: Floats = greenwood(counts) + more
        spread: Floats = np.sqrt(variance)
        std_err = survival * spread
        margin = float(special.ndtri(0.5 + confidence / 2.0)) * spread
        if log_log:
            power = np.exp(margin / np.abs(np.log(survival)))
            lower, upper = survival**power, survival ** (1.0 / power)
        else:
            lower, upper = survival * np.exp(-margin), np.minimum(1.0, survival * np.exp(margin))
    certain = (spread == 0.0) & ~dead
    for bound in (lower, upper):
        bound[certain] = survival[certain]
        bound[dead] = np.nan
    std_err[dead] = np.nan
    return Curve(counts, survival, std_err, lower, upper)


def greenwood(counts: Counts) -> Floats:
    """Return the variance of log S at each time, infinite from where nobody is left."""
    at_risk, events = counts.at_risk.astype(np.float64), counts.events.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = np.cumsum(events / (at_risk * (at_risk - events)))
    return found


def _crossing(times: Floats, values: Floats) -> float | None:
    found = np.flatnonzero(values <= 0.5 + _HAIR)
    return float(times[found[0]]) if len(found) else None


@dataclass(frozen=True, slots=True)
class LogRank:
    """The test that groups share one curve; `excess` is observed less expected events over all groups, zero but for rounding."""

    chi2: float
    df: int
    p: float
    excess: float


def log_rank(strata: Sequence[Sequence[Counts]]) -> LogRank | None:
    """Compare groups, the same in each stratum and empty where a stratum lacks one; None where nothing can be compared."""
    groups = len(strata[0]) if strata else 0
    observed, expected, spread = np.zeros(groups), np.zeros(groups), np.zeros((groups, groups))
    for stratum in strata:
        seen, due, variance = _compare(stratum)
        observed, expected, spread = observed + seen, expected + due, spread + variance
    compared = np.flatnonzero(expected > 0.0)
    df = len(compared) - 1
    if df < 1:
        return None
    # One group is what the others leave, so the last is left out.
    some = compared[:-1]
    distance = observed[some] - expected[some]
    chi2 = float(distance @ np.linalg.pinv(spread[np.ix_(some, some)], hermitian=True) @ distance)
    return LogRank(chi2, df, float(special.chdtrc(df, chi2)), float(np.sum(observed - expected)))


def _compare(stratum: Sequence[Counts]) -> tuple[Floats, Floats, Floats]:
    """Return per group the events observed and expected, and the covariance of their difference."""
    times = np.unique(np.concatenate([group.times[group.events > 0] for group in stratum]))
    at_risk = np.array([_at_risk_at(group, times) for group in stratum], dtype=np.float64)
    events = np.array([_events_at(group, times) for group in stratum], dtype=np.float64)
    everybody, all_events = at_risk.sum(axis=0), events.sum(axis=0)
    shares = at_risk / everybody
    weights = all_events * (everybody - all_events) / np.maximum(everybody - 1.0, 1.0)
    variance = np.diag((shares * weights).sum(axis=1)) - np.einsum("it,jt,t->ij", shares, shares, weights)
    return events.sum(axis=1), (shares * all_events).sum(axis=1), variance


def _at_risk_at(counts: Counts, times: Floats) -> Tally:
    places = np.searchsorted(counts.times, times, side="left")
    levels: Tally = np.concatenate([counts.at_risk, [0]])[places]
    return levels


def _events_at(counts: Counts, times: Floats) -> Floats:
    found: Floats = np.zeros(len(times))
    happened = counts.events > 0
    found[np.searchsorted(times, counts.times[happened])] = counts.events[happened]
    return found
