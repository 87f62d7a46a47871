// The quantile of Student's t distribution, to 1e-12 of its value.
//
// Every SDK has the algorithm of this file, step by step, so that all of them give the same intervals. It needs nothing
// but `exp`, `log1p` and `sqrt`. With ν degrees of freedom and t > 0:
//
//     density      f(t) = r (1 + t²/ν)^(-(ν+1)/2)            r = Γ((ν+1)/2) / (Γ(ν/2) sqrt(νπ))
//     from 0 to t  I_y(1/2, ν/2) / 2 = f(t) t S              y = t²/(ν+t²)
//     beyond t     I_x(ν/2, 1/2) / 2 = f(t) (1 + t²/ν)/t K   x = ν/(ν+t²)
//
// I is the regularised incomplete beta function (DLMF 8.17.2), S and K are hypergeometric functions:
//
// - S = F((ν+1)/2, 1; 3/2; y), by its series (DLMF 8.17.8). All terms are positive.
// - K = F(1/2, 1; ν/2+1; -ν/t²) (DLMF 8.17.8 and 15.8.1), by its continued fraction (DLMF 15.7.1 with b = 0). All parts
//   are positive. The usual fraction of the incomplete beta function (DLMF 8.17.22) subtracts numbers that are nearly
//   equal if ν is large, and loses half of the digits at a million degrees of freedom.
//
// Newton's method finds the root from below. The area from 0 to t is concave in t and the area beyond t is convex, so
// that no step goes past the root.
#include "llem/statistics.h"

#include <math.h>

static const double PI = 3.141592653589793238463;

/// The smallest probability on either side of the quantile. Below it squares of quantiles leave the range of `double`.
static const double SMALLEST = 1e-100;

/// The probability of a tail below which the continued fraction is used. It converges slowly close to t = 0, and the
/// series far from it.
static const double TAIL = 0.1;

/// The 90 % quantile of the normal distribution, rounded down. The one of Student's t distribution is above it for
/// every number of degrees of freedom, so Newton's method begins here for smaller tails.
static const double START = 1.28;

/// The relative change at which sums, fractions and roots count as found.
static const double EPSILON = 1e-15;

/// Returns Γ(a + 1/2) / Γ(a): by Γ(a + 1) = a Γ(a) up to an argument of 30, then by the expansion for large arguments in
/// powers of (a - 1/4)^-2 (DLMF 5.11.14). Its first neglected term is below 1e-17. A difference of two logarithms of Γ
/// would lose digits.
static double gamma_ratio(double a) {
    static const double terms[] = {-174317.0 / 134217728.0, 631.0 / 524288.0, -19.0 / 8192.0, 1.0 / 64.0, 1.0};
    double factor = 1.0;
    while (a < 30.0) {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    double w = a - 0.25, s = 1.0 / (w * w), sum = 0.0;
    for (size_t index = 0; index < sizeof terms / sizeof *terms; index++) {
        sum = sum * s + terms[index];
    }
    return factor * sqrt(w) * sum;
}

/// Returns the area under the density from 0 to `t`, divided by the density at `t`.
static double area_from_zero(double t, double freedom) {
    double y = t * t / (freedom + t * t), term = 1.0, sum = 1.0;
    for (double index = 0.0; term > EPSILON / 10.0 * sum; index += 1.0) {
        term *= y * (freedom + 1.0 + 2.0 * index) / (3.0 + 2.0 * index);
        sum += term;
    }
    return t * sum;
}

/// Returns the area under the density beyond `t`, divided by the density at `t`. The fraction is
/// c/(c + u1 w/(c+1 + u2 w/(c+2 + ...))) with c = ν/2, w = ν/t², u1 = c/2, u2 = c + 1/2, and so on, evaluated by the
/// method of Lentz (DLMF 3.10(iii)).
static double area_beyond(double t, double freedom) {
    double c = freedom / 2.0, w = freedom / (t * t);
    double numerator = c, denominator = 0.0, fraction = c;
    for (double index = 0.0;; index += 1.0) {
        const double us[] = {(index + 0.5) * (c + index), (index + 1.0) * (c + index + 0.5)};
        double change = 1.0;
        for (int part = 0; part < 2; part++) {
            double place = 2.0 * index + 1.0 + part;
            denominator = 1.0 / (c + place + us[part] * w * denominator);
            numerator = c + place + us[part] * w / numerator;
            change = numerator * denominator;
            fraction *= change;
        }
        // The values of two neighbouring parts enclose the fraction.
        if (fabs(change - 1.0) <= EPSILON) {
            return (1.0 + t * t / freedom) / t * (c / fraction);
        }
    }
}

double llem_t_quantile(double probability, double freedom) {
    double tail = fmin(probability, 1.0 - probability);
    if (!(tail >= SMALLEST && freedom >= 1.0 && isfinite(freedom)) || isnan(probability)) {
        return NAN;
    }
    double peak = gamma_ratio(freedom / 2.0) / sqrt(freedom * PI), area = 0.5 - tail;
    // Close to 0 the density is highest, so the root is not below the area divided by it.
    double t = tail < TAIL ? START : area / peak, change;
    do {
        double density = peak * exp(-(freedom + 1.0) / 2.0 * log1p(t * t / freedom));
        change = tail < TAIL ? area_beyond(t, freedom) - tail / density : area / density - area_from_zero(t, freedom);
        t += change;
    } while (change > EPSILON * t);
    return probability < 0.5 ? -t : t;
}
