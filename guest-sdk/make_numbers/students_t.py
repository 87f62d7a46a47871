"""Cases of the quantile of Student's t distribution.

The results are roots of mpmath's regularised incomplete beta function, found with 50 digits. scipy agrees with them to
1e-12, but for probabilities close to one half, where it has fewer digits.
"""

import math

import mpmath
import scipy.stats

PROBABILITIES = [1e-6, 1e-3, 0.025, 0.09, 0.11, 0.25, 0.499, 0.6, 0.75, 0.9, 0.95, 0.975, 0.995, 0.9999, 1 - 1e-6]
FREEDOMS = [1.0, 2.0, 3.0, 4.7, 9.0, 30.0, 99.0, 1000.0, 1e6]


def quantile(probability, freedom):
    mpmath.mp.dps = 50
    exact_probability, n = mpmath.mpf(probability), mpmath.mpf(freedom)
    tail = min(exact_probability, 1 - exact_probability)

    def excess(t):
        beyond = mpmath.betainc(n / 2, mpmath.mpf(1) / 2, 0, n / (n + t * t), regularized=True)
        return beyond / 2 - tail

    def density(t):
        scale = mpmath.gamma((n + 1) / 2) / mpmath.gamma(n / 2) / mpmath.sqrt(n * mpmath.pi)
        return scale * (1 + t * t / n) ** (-(n + 1) / 2)

    near = scipy.stats.t.ppf(probability, freedom)
    t = mpmath.mpf(abs(near))
    for _ in range(4):
        t += excess(t) / density(t)
    result = float(-t if probability < 0.5 else t)
    accuracy = 1e-12 if abs(probability - 0.5) > 0.01 else 1e-7
    assert math.isclose(result, near, rel_tol=accuracy), (probability, freedom, result, near)
    return result


def cases():
    def case(probability, freedom, result):
        arguments = {"probability": probability, "freedom": freedom}
        return {"function": "t_quantile", "arguments": arguments, "result": result}

    # Every probability with some freedoms, every freedom with some probabilities.
    asked = [(probability, FREEDOMS[(index + offset) % len(FREEDOMS)])
             for index, probability in enumerate(PROBABILITIES) for offset in (0, 4)]
    asked += [(0.975, freedom) for freedom in FREEDOMS]
    asked += [(probability, freedom) for freedom in (1.0, 1e6) for probability in (1e-6, 1 - 1e-6, 0.5 + 2.0**-30)]
    for probability, freedom in dict.fromkeys(asked):
        yield case(probability, freedom, quantile(probability, freedom))
    for freedom in (1.0, 1e6):
        yield case(0.5, freedom, 0.0)
    for probability, freedom in [(0.0, 3.0), (1.0, 3.0), (-0.1, 3.0), (0.9, 0.5), (0.9, 0.0), (math.nan, 3.0),
                                 (0.9, math.nan), (0.9, math.inf)]:
        yield case(probability, freedom, None)
