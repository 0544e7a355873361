"""What a customer is expected to do over a stretch of time: sums and discounted sums of a pace, by Gauss and Legendre."""

import functools
from dataclasses import dataclass

import numpy as np

from analytics.stats.histories import Floats


@functools.lru_cache(maxsize=64)
def gauss_legendre(count: int) -> tuple[Floats, Floats]:
    """Return points between -1 and 1 and their weights; nobody may write into them."""
    points, weights = np.polynomial.legendre.leggauss(count)
    for each in (points, weights):
        each.flags.writeable = False
    return points, weights


@dataclass(frozen=True, slots=True)
class Horizon:
    """A stretch of time from now, cut into steps; what happens in a step is discounted as if at its end.

    Attributes:
        length: how far to look.
        step: the length of a step; the last may be shorter.
        rate: the discount per unit of time.
    """

    length: float
    step: float
    rate: float = 0.0

    def ends(self) -> Floats:
        """Return the ends of the steps."""
        whole = np.arange(1, int(np.ceil(self.length / self.step - 1e-9))) * self.step
        return np.append(whole, self.length)

    def discounts(self) -> Floats:
        """Return what one unit at the end of each step is worth now."""
        factors: Floats = (1 + self.rate) ** -self.ends()
        return factors


@dataclass(frozen=True, slots=True)
class Rule:
    """How to integrate a smooth decreasing pace from now to each of several ends: `weights @ pace(nodes)`.

    The nodes lie evenly on the scale of log(scale + time), on which the paces of these models are smooth: they have no
    singularity nearer to the real axis than pi.
    """

    nodes: Floats
    weights: Floats

    @classmethod
    def up_to(cls, ends: Floats, *, scale: float, steepness: float) -> "Rule":
        """Return the rule for paces that fall like (1 + time / scale) ** -steepness, or more slowly."""
        reach = np.log1p(ends[-1] / scale)
        count = int(min(24 + 4 * reach + 1.5 * steepness * reach, 400))
        points, weights = gauss_legendre(count)
        nodes = scale * np.expm1(reach * (points + 1) / 2)
        # The interpolating polynomial through the nodes, in Legendre's polynomials, integrated up to each end.
        at_nodes = np.polynomial.legendre.legvander(points, count - 1)
        at_ends = np.polynomial.legendre.legvander(2 * np.log1p(ends / scale) / reach - 1, count)
        below = np.column_stack([-np.ones(ends.size), at_ends[:, : count - 1]])
        integrals = (at_ends[:, 1:] - below) / 2
        stretched = weights * (scale + nodes) * reach / 2
        # Not a matrix product: its last digits could depend on the number of threads.
        return cls(nodes, np.einsum("ek,nk->en", integrals, at_nodes) * stretched)

    def total(self) -> Floats:
        """Return the weights up to the last end."""
        last: Floats = self.weights[-1]
        return last

    def discounted(self, factors: Floats) -> Floats:
        """Return the weights of the sum over steps of what happens in each times its factor."""
        steps = np.diff(self.weights, axis=0, prepend=0.0)
        found: Floats = (factors[:, None] * steps).sum(axis=0)
        return found
