"""The models of repeat buying as their papers print them, to any number of digits, with nothing shared with the code tested."""

from collections.abc import Sequence

import mpmath

mpmath.mp.dps = 40
Parameters = Sequence[float]


def bg_nbd(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    """Return the likelihood, equation (6) of Fader, Hardie & Lee (2005)."""
    r, alpha, a, b = map(mpmath.mpf, parameters)
    start = mpmath.gamma(r + x) * alpha**r / mpmath.gamma(r)
    stayed = mpmath.beta(a, b + x) / mpmath.beta(a, b) / (alpha + age) ** (r + x)
    left = mpmath.beta(a + 1, b + x - 1) / mpmath.beta(a, b) / (alpha + recency) ** (r + x) if x else 0
    return start * (stayed + left)


def mbg_nbd(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    """Return the likelihood when the first purchase may be the last."""
    r, alpha, a, b = map(mpmath.mpf, parameters)
    start = mpmath.gamma(r + x) * alpha**r / mpmath.gamma(r)
    stayed = mpmath.beta(a, b + x + 1) / mpmath.beta(a, b) / (alpha + age) ** (r + x)
    left = mpmath.beta(a + 1, b + x) / mpmath.beta(a, b) / (alpha + recency) ** (r + x)
    return start * (stayed + left)


def pareto_nbd(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    """Return the likelihood with hypergeometric functions, as Fader & Hardie (2005) derive it."""
    r, alpha, s, beta = map(mpmath.mpf, parameters)
    total = r + s + x
    second = s + 1 if alpha >= beta else r + x
    far, gap = max(alpha, beta), abs(alpha - beta)

    def part(time: float) -> mpmath.mpf:
        return mpmath.hyp2f1(total, second, total + 1, gap / (far + time)) / (far + time) ** total

    stayed = (alpha + age) ** -(r + x) * (beta + age) ** -s
    return (
        mpmath.gamma(r + x) * alpha**r * beta**s / mpmath.gamma(r) * (stayed + s / total * (part(recency) - part(age)))
    )


def bg_alive(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    r, alpha, a, b = map(mpmath.mpf, parameters)
    if not x:
        return mpmath.mpf(1)
    return 1 / (1 + a / (b + x - 1) * ((alpha + age) / (alpha + recency)) ** (r + x))


def mbg_alive(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    r, alpha, a, b = map(mpmath.mpf, parameters)
    return 1 / (1 + a / (b + x) * ((alpha + age) / (alpha + recency)) ** (r + x))


def pareto_alive(parameters: Parameters, x: int, recency: float, age: float) -> mpmath.mpf:
    r, alpha, s, beta = map(mpmath.mpf, parameters)
    stayed = mpmath.gamma(r + x) * alpha**r * beta**s / mpmath.gamma(r) * (alpha + age) ** -(r + x) * (beta + age) ** -s
    return stayed / pareto_nbd(parameters, x, recency, age)


def bg_expected(parameters: Parameters, x: int, recency: float, age: float, ahead: float) -> mpmath.mpf:
    """Return expected purchases, equation (10) of Fader, Hardie & Lee (2005)."""
    r, alpha, a, b = map(mpmath.mpf, parameters)
    share = (alpha + age) / (alpha + age + ahead)
    series = mpmath.hyp2f1(r + x, b + x, a + b + x - 1, 1 - share)
    return (a + b + x - 1) / (a - 1) * (1 - share ** (r + x) * series) * bg_alive(parameters, x, recency, age)


def mbg_expected(parameters: Parameters, x: int, recency: float, age: float, ahead: float) -> mpmath.mpf:
    r, alpha, a, b = map(mpmath.mpf, parameters)
    share = (alpha + age) / (alpha + age + ahead)
    series = mpmath.hyp2f1(r + x, b + x + 1, a + b + x, 1 - share)
    return (a + b + x) / (a - 1) * (1 - share ** (r + x) * series) * mbg_alive(parameters, x, recency, age)


def pareto_expected(parameters: Parameters, x: int, recency: float, age: float, ahead: float) -> mpmath.mpf:
    r, alpha, s, beta = map(mpmath.mpf, parameters)
    fall = 1 - ((beta + age) / (beta + age + ahead)) ** (s - 1)
    pace = (r + x) * (beta + age) / ((alpha + age) * (s - 1))
    return pace * fall * pareto_alive(parameters, x, recency, age)


def gamma_gamma(parameters: Parameters, x: int, mean: float) -> mpmath.mpf:
    """Return the likelihood of a mean transaction, equation (1a) of Fader & Hardie (2013)."""
    p, q, gamma = map(mpmath.mpf, parameters)
    return (
        mpmath.gamma(p * x + q)
        / (mpmath.gamma(p * x) * mpmath.gamma(q))
        * gamma**q
        * mpmath.mpf(mean) ** (p * x - 1)
        * mpmath.mpf(x) ** (p * x)
        / (gamma + mpmath.mpf(mean) * x) ** (p * x + q)
    )


LIKELIHOOD = {"bg_nbd": bg_nbd, "mbg_nbd": mbg_nbd, "pareto_nbd": pareto_nbd}
ALIVE = {"bg_nbd": bg_alive, "mbg_nbd": mbg_alive, "pareto_nbd": pareto_alive}
EXPECTED = {"bg_nbd": bg_expected, "mbg_nbd": mbg_expected, "pareto_nbd": pareto_expected}
