"""Cases of arrival times, given the uniform numbers that they are drawn from.

- exponential gap of mean 1: -log1p(-u), one uniform number u.
- standard normal number: sqrt(-2 log1p(-u1)) * cos(2 pi u2), two uniform numbers (Box and Muller).
- gamma gap of shape k >= 1 and scale 1 (Marsaglia and Tsang): d = k - 1/3, c = 1 / sqrt(9 d). Again and again: a normal
  number x, v = (1 + c x)^3, from the start again if v <= 0, then one uniform number u; d v is the result if
  log(1 - u) < x^2 / 2 + d (1 - v + log v).
- gamma gap of shape k < 1: a gap of shape k + 1, then one uniform number u, and the product with (1 - u)^(1 / k).
- burstiness 1 is drawn as exponential, burstiness infinity takes no uniform numbers.
"""

import math

import mpmath
import numpy
import scipy.stats

COUNT = 6


class Uniforms:
    """Returns the given uniform numbers, then drawn ones, and remembers all that it returned."""

    def __init__(self, seed, given=()):
        self.given, self.drawn = list(given), numpy.random.default_rng(seed)
        self.taken = []

    def next(self):
        self.taken.append(self.given.pop(0) if self.given else float(self.drawn.random()))
        return mpmath.mpf(self.taken[-1])


def exponential(uniforms):
    return -mpmath.log(1 - uniforms.next())


def normal(uniforms):
    radius = mpmath.sqrt(2 * exponential(uniforms))
    return radius * mpmath.cos(2 * mpmath.pi * uniforms.next())


def gamma(shape, uniforms):
    if shape < 1:
        larger = gamma(shape + 1, uniforms)
        return larger * (1 - uniforms.next()) ** (1 / shape)
    d = shape - mpmath.mpf(1) / 3
    c = 1 / mpmath.sqrt(9 * d)
    while True:
        x = normal(uniforms)
        v = (1 + c * x) ** 3
        if v > 0 and mpmath.log(1 - uniforms.next()) < x * x / 2 + d * (1 - v + mpmath.log(v)):
            return d * v


def gap(rate, burstiness, uniforms):
    if burstiness == math.inf:
        return 1 / rate
    if burstiness == 1:
        return exponential(uniforms) / rate
    shape = mpmath.mpf(burstiness)
    return gamma(shape, uniforms) / (rate * shape)


def offsets(rates, burstiness, uniforms):
    seconds, result = mpmath.mpf(0), []
    for rate in rates:
        seconds += gap(mpmath.mpf(rate), burstiness, uniforms)
        result.append(float(seconds))
    return result


def linear(start, end, requests):
    shares = [min(mpmath.mpf(index) / max(requests - 1, 1), 1) for index in range(COUNT)]
    return [start + (end - start) * share for share in shares]


def exponential_rates(start, end, requests):
    shares = [min(mpmath.mpf(index) / max(requests - 1, 1), 1) for index in range(COUNT)]
    return [mpmath.mpf(start) * (mpmath.mpf(end) / start) ** share for share in shares]


def is_gamma(burstiness):
    """Asserts that the sampler's gaps follow scipy's gamma distribution."""
    uniforms, shape = Uniforms(7), burstiness
    drawn = [float(gap(1, burstiness, uniforms)) for _ in range(2000)]
    assert scipy.stats.kstest(drawn, scipy.stats.gamma(shape, scale=1 / shape).cdf).pvalue > 0.01, burstiness


def cases():
    mpmath.mp.dps = 40
    for burstiness in (0.3, 1.0, 2.5):
        is_gamma(burstiness)

    def case(process, arguments, rates, burstiness, seed, given=()):
        uniforms = Uniforms(seed, given)
        result = offsets(rates, burstiness, uniforms)
        return {
            "function": f"arrivals.{process}",
            "arguments": {**arguments, "uniforms": uniforms.taken},
            "result": result,
        }

    # The ends of the range of uniform numbers, 0 and 1 - 2^-53.
    ends = [0.0, 1.0 - 2.0**-53, 0.5]
    for rate, seed, given in [(1.0, 1, ()), (20.0, 2, ()), (0.003, 3, ()), (250.0, 4, ends)]:
        yield case("poisson", {"rate": rate}, [rate] * COUNT, 1.0, seed, given)
    for rate in (4.0, 3.0, 0.007):
        yield case("constant", {"rate": rate}, [rate] * COUNT, math.inf, 0)
    # The second given pair is a normal number of -3.03, which makes v negative for shapes up to 1.42.
    negative = [0.3, 0.1, 0.5, 0.4, 0.99, 0.5]
    for burstiness in (0.3, 0.7, 1.0, 2.5, 20.0, math.inf):
        for seed, given in ((5, ()), (6, negative)):
            if math.isfinite(burstiness) or not given:
                arguments = {"rate": 8.0, "burstiness": burstiness}
                yield case("gamma", arguments, [8.0] * COUNT, burstiness, seed, given)
    for start, end, requests, seed in [(1.0, 5.0, 5, 8), (10.0, 2.0, 4, 9), (3.0, 3.0, 1, 10), (1.0, 9.0, 100, 11)]:
        arguments = {"from": start, "to": end, "requests": requests}
        yield case("linear_ramp", arguments, linear(start, end, requests), 1.0, seed)
        yield case("exponential_ramp", arguments, exponential_rates(start, end, requests), 1.0, seed)
    for seconds in (0.0, 1e-9, 1.4e-9, 1.6e-9, 0.1, 0.3333333333333333, 12345.6789, 1e5 / 3, 9e6):
        # In doubles, each step rounded, so that every language gives the same integer.
        nanoseconds = math.floor(seconds * 1e9 + 0.5)
        yield {"function": "arrivals.nanoseconds", "arguments": {"seconds": seconds}, "result": nanoseconds}
