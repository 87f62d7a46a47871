"""Cases of draws from the given uniform numbers: lengths, and items with and without replacement.

- exponential number of mean 1: -log1p(-u), one uniform number u.
- standard normal number: sqrt(-2 log1p(-u1)) * cos(2 pi u2), two uniform numbers (Box and Muller).
- Pareto number of a mean and shape: mean (shape - 1) / shape * (1 - u)^(-1 / shape), one uniform number u.
- log-normal number of a mean and standard deviation: v = log(1 + (deviation / mean)^2) is the variance of its logarithm, and
  the number is mean * exp(sqrt(v) * normal - v / 2).
- A length is the number, limited to the bounds, plus 1/2 and rounded down.
- A whole number below n: floor(u n).
- shuffle: from the last place down to the second, each is swapped with a drawn one up to it.
- sample: from the first place on, each is swapped with a drawn one from it on. The first places are the sample.
"""

import mpmath
import numpy
import scipy.stats

from .arrivals import Uniforms, exponential, normal

LONGEST = 2**32 - 1


def pareto(mean, shape, uniforms):
    return mpmath.mpf(mean) * (shape - 1) / shape * (1 - uniforms.next()) ** (mpmath.mpf(-1) / shape)


def lognormal(mean, deviation, uniforms):
    variance = mpmath.log(1 + (mpmath.mpf(deviation) / mean) ** 2)
    return mean * mpmath.exp(mpmath.sqrt(variance) * normal(uniforms) - variance / 2)


NUMBERS = {
    "normal": lambda mean, deviation, uniforms: mean + deviation * normal(uniforms),
    "exponential": lambda mean, uniforms: mean * exponential(uniforms),
    "pareto": pareto,
    "lognormal": lognormal,
    "uniform": lambda low, high, uniforms: low + mpmath.floor(uniforms.next() * (high - low + 1)),
    "fixed": lambda length, uniforms: mpmath.mpf(length),
}


def rounded(number, minimum, maximum):
    limited = min(max(number, minimum), maximum) + mpmath.mpf("0.5")
    # No case is close to a change of the result.
    assert abs(limited - mpmath.nint(limited)) > 1e-6 or number == mpmath.floor(number) or not minimum < number < maximum
    return int(mpmath.floor(limited))


def lengths(name, count, seed, bounds=None, given=(), **parameters):
    uniforms = Uniforms(seed, given)
    low, high = bounds or (0 if name in ("fixed", "uniform") else 1, LONGEST)
    drawn = [rounded(NUMBERS[name](*parameters.values(), uniforms), low, high) for _ in range(count)]
    arguments = dict(parameters) | ({} if bounds is None else {"minimum": bounds[0], "maximum": bounds[1]})
    return {"function": f"lengths.{name}", "arguments": {**arguments, "uniforms": uniforms.taken}, "result": drawn}


def follow_their_distributions():
    """Asserts that the numbers follow scipy's distributions."""
    uniforms = Uniforms(17)
    logarithm = numpy.log(1 + (40 / 100) ** 2)
    expected = {
        ("pareto", 500.0, 2.5): scipy.stats.pareto(2.5, scale=500 * 1.5 / 2.5),
        ("lognormal", 100.0, 40.0): scipy.stats.lognorm(numpy.sqrt(logarithm), scale=100 * numpy.exp(-logarithm / 2)),
        ("normal", 100.0, 40.0): scipy.stats.norm(100, 40),
        ("exponential", 300.0): scipy.stats.expon(scale=300),
    }
    for (name, *parameters), distribution in expected.items():
        drawn = [float(NUMBERS[name](*parameters, uniforms)) for _ in range(1000)]
        assert scipy.stats.kstest(drawn, distribution.cdf).pvalue > 0.01, name
        assert abs(distribution.mean() - parameters[0]) < 1e-9, name


def below(count, uniforms):
    return int(mpmath.floor(uniforms.next() * count))


def cases():
    mpmath.mp.dps = 40
    follow_their_distributions()
    ends = [0.0, 1.0 - 2.0**-53]
    yield lengths("fixed", 6, 1, length=128)
    yield lengths("fixed", 6, 1, length=0)
    yield lengths("uniform", 6, 2, given=ends, low=10, high=20)
    yield lengths("uniform", 6, 3, given=ends, low=0, high=1)
    yield lengths("normal", 6, 4, mean=512.0, deviation=128.0)
    yield lengths("normal", 6, 5, bounds=(400, 600), given=[0.999999, 0.0, 0.999999, 0.5], mean=512.0, deviation=128.0)
    yield lengths("exponential", 6, 6, given=[0.0], mean=300.0)
    yield lengths("exponential", 6, 7, bounds=(4, 100), given=ends, mean=50.0)
    yield lengths("pareto", 6, 8, given=ends, mean=500.0, shape=2.5)
    yield lengths("pareto", 6, 9, bounds=(1, 2048), given=ends, mean=500.0, shape=1.1)
    yield lengths("lognormal", 6, 10, mean=100.0, deviation=40.0)
    yield lengths("lognormal", 6, 11, bounds=(80, 120), mean=100.0, deviation=200.0)
    for name, parameters in [("pareto", {"mean": 500.0, "shape": 1.0}), ("exponential", {"mean": 0.0}),
                             ("uniform", {"low": 3, "high": 2}), ("normal", {"mean": 5.0, "deviation": -1.0}),
                             ("normal", {"mean": 5.0, "deviation": 1.0, "minimum": 3, "maximum": 2})]:
        yield {"function": f"lengths.{name}", "arguments": {**parameters, "uniforms": []}, "result": None}
    items = [3, 1, 4, 1, 5, 9, 2, 6]
    for given in ((), [0.0] * 7, [1.0 - 2.0**-53] * 7):
        uniforms, shuffled = Uniforms(12, given), list(items)
        for last in range(len(items) - 1, 0, -1):
            place = below(last + 1, uniforms)
            shuffled[last], shuffled[place] = shuffled[place], shuffled[last]
        yield {"function": "random.shuffle", "arguments": {"items": items, "uniforms": uniforms.taken}, "result": shuffled}
    for count, population in ((4, 10), (10, 10), (3, 100_000), (0, 5)):
        uniforms, places = Uniforms(13), list(range(population))
        for index in range(count):
            place = index + below(population - index, uniforms)
            places[index], places[place] = places[place], places[index]
        yield {"function": "random.sample", "arguments": {"count": count, "population": population,
               "uniforms": uniforms.taken}, "result": places[:count]}
    yield {"function": "random.sample", "arguments": {"count": 3, "population": 2, "uniforms": []}, "result": None}
    uniforms = Uniforms(14, ends)
    yield {"function": "random.pick", "arguments": {"count": 6, "items": items,
           "uniforms": uniforms.taken}, "result": [items[below(len(items), uniforms)] for _ in range(6)]}
    yield {"function": "random.pick", "arguments": {"count": 1, "items": [], "uniforms": []}, "result": None}
