"""The quantile of Student's t distribution, to 1e-12 of its value.

Every SDK has the algorithm of this file, step by step, so that all of them give the same intervals. It needs nothing
but `exp`, `log1p` and `sqrt`. With ν degrees of freedom and t > 0:

    density      f(t) = r (1 + t²/ν)^(-(ν+1)/2)            r = Γ((ν+1)/2) / (Γ(ν/2) sqrt(νπ))
    from 0 to t  I_y(1/2, ν/2) / 2 = f(t) t S              y = t²/(ν+t²)
    beyond t     I_x(ν/2, 1/2) / 2 = f(t) (1 + t²/ν)/t K   x = ν/(ν+t²)

I is the regularised incomplete beta function (DLMF 8.17.2), S and K are hypergeometric functions:

- S = F((ν+1)/2, 1; 3/2; y), by its series (DLMF 8.17.8). All terms are positive.
- K = F(1/2, 1; ν/2+1; -ν/t²) (DLMF 8.17.8 and 15.8.1), by its continued fraction (DLMF 15.7.1 with b = 0). All parts
  are positive. The usual fraction of the incomplete beta function (DLMF 8.17.22) subtracts numbers that are nearly
  equal if ν is large, and loses half of the digits at a million degrees of freedom.

Newton's method finds the root from below. The area from 0 to t is concave in t and the area beyond t is convex, so that
no step goes past the root.
"""

from __future__ import annotations

import math
from collections.abc import Callable

_SMALLEST = 1e-100
"""The smallest probability on either side. Below it squares of quantiles leave the range of a `float`."""

_TAIL = 0.1
"""The probability of a tail below which the continued fraction is used. It converges slowly close to t = 0, and the
series far from it."""

_START = 1.28
"""The 90 % quantile of the normal distribution, rounded down. That of Student's t distribution is above it for every
number of degrees of freedom, so Newton's method begins here for smaller tails."""

_EPSILON = 1e-15
"""The relative change at which sums, fractions and roots count as found."""


def t_quantile(probability: float, freedom: float) -> float | None:
    """Returns the value that a number of Student's t distribution is below with this probability.

    `freedom` are the degrees of freedom, which need not be whole. Returns `None` if `freedom` is not a finite number of
    at least 1, or if `probability` or its complement is below 1e-100.

    >>> round(t_quantile(0.975, 3.0), 12)
    3.182446305284
    """
    tail = min(probability, 1.0 - probability)
    if not (tail >= _SMALLEST and 1.0 <= freedom < math.inf):
        return None
    peak = _gamma_ratio(freedom / 2.0) / math.sqrt(freedom * math.pi)

    def density(t: float) -> float:
        return peak * math.exp(-(freedom + 1.0) / 2.0 * math.log1p(t * t / freedom))

    if tail < _TAIL:
        t = _rise(_START, lambda t: _area_beyond(t, freedom) - tail / density(t))
    else:
        area = 0.5 - tail
        # The density is highest at 0, so the root is not below this.
        t = _rise(area / peak, lambda t: area / density(t) - _area_from_zero(t, freedom))
    return -t if probability < 0.5 else t


def _rise(t: float, step: Callable[[float], float]) -> float:
    """Adds Newton's steps to `t` until they no longer change it."""
    while True:
        change = step(t)
        t += change
        if change <= _EPSILON * t:
            return t


def _area_from_zero(t: float, freedom: float) -> float:
    """Returns the area under the density from 0 to `t`, divided by the density at `t`."""
    y = t * t / (freedom + t * t)
    term, total, index = 1.0, 1.0, 0.0
    while term > _EPSILON / 10.0 * total:
        term *= y * (freedom + 1.0 + 2.0 * index) / (3.0 + 2.0 * index)
        total += term
        index += 1.0
    return t * total


def _area_beyond(t: float, freedom: float) -> float:
    """Returns the area under the density beyond `t`, divided by the density at `t`.

    The fraction is c/(c + u1 w/(c+1 + u2 w/(c+2 + ...))) with c = ν/2, w = ν/t², u1 = c/2, u2 = c + 1/2, and so on,
    evaluated by the method of Lentz (DLMF 3.10(iii)).
    """
    c, w = freedom / 2.0, freedom / (t * t)
    numerator, denominator, fraction = c, 0.0, c
    index = 0.0
    while True:
        odd = (index + 0.5) * (c + index)
        even = (index + 1.0) * (c + index + 0.5)
        change = 1.0
        for u, place in ((odd, 2.0 * index + 1.0), (even, 2.0 * index + 2.0)):
            denominator = 1.0 / (c + place + u * w * denominator)
            numerator = c + place + u * w / numerator
            change = numerator * denominator
            fraction *= change
        # The values of two neighbouring parts enclose the fraction.
        if abs(change - 1.0) <= _EPSILON:
            return (1.0 + t * t / freedom) / t * (c / fraction)
        index += 1.0


def _gamma_ratio(a: float) -> float:
    """Returns Γ(a + 1/2) / Γ(a).

    By Γ(a + 1) = a Γ(a) up to an argument of 30, then by the expansion for large arguments in powers of (a - 1/4)^-2
    (DLMF 5.11.14). Its first neglected term is below 1e-17. A difference of two logarithms of Γ would lose digits.
    """
    factor = 1.0
    while a < 30.0:
        factor *= a / (a + 0.5)
        a += 1.0
    w = a - 0.25
    s = 1.0 / (w * w)
    total = 0.0
    for term in (-174_317.0 / 134_217_728.0, 631.0 / 524_288.0, -19.0 / 8192.0, 1.0 / 64.0, 1.0):
        total = total * s + term
    return factor * math.sqrt(w) * total
