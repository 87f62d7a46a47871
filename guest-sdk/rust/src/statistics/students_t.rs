//! The quantile of Student's t distribution, to 1e-12 of its value.
//!
//! Every SDK has the algorithm of this file, step by step, so that all of them give the same intervals. It needs nothing
//! but `exp`, `log1p` and `sqrt`. With ν degrees of freedom and t > 0:
//!
//! ```text
//! density      f(t) = r (1 + t²/ν)^(-(ν+1)/2)            r = Γ((ν+1)/2) / (Γ(ν/2) sqrt(νπ))
//! from 0 to t  I_y(1/2, ν/2) / 2 = f(t) t S              y = t²/(ν+t²)
//! beyond t     I_x(ν/2, 1/2) / 2 = f(t) (1 + t²/ν)/t K   x = ν/(ν+t²)
//! ```
//!
//! I is the regularised incomplete beta function (DLMF 8.17.2), S and K are hypergeometric functions:
//!
//! - S = F((ν+1)/2, 1; 3/2; y), by its series (DLMF 8.17.8). All terms are positive.
//! - K = F(1/2, 1; ν/2+1; -ν/t²) (DLMF 8.17.8 and 15.8.1), by its continued fraction (DLMF 15.7.1 with b = 0). All parts
//!   are positive. The usual fraction of the incomplete beta function (DLMF 8.17.22) subtracts numbers that are nearly
//!   equal if ν is large, and loses half of the digits at a million degrees of freedom.
//!
//! Newton's method finds the root from below. The area from 0 to t is concave in t and the area beyond t is convex, so
//! that no step goes past the root.

/// The smallest probability on either side of the quantile. Below it squares of quantiles leave the range of `f64`.
const SMALLEST: f64 = 1e-100;

/// The probability of a tail below which the continued fraction is used. It converges slowly close to t = 0, and the
/// series far from it.
const TAIL: f64 = 0.1;

/// The 90 % quantile of the normal distribution, rounded down. That of Student's t distribution is above it for every
/// number of degrees of freedom, so Newton's method begins here for smaller tails.
const START: f64 = 1.28;

/// The relative change at which sums, fractions and roots count as found.
const EPSILON: f64 = 1e-15;

/// Returns the value that a number of Student's t distribution with `freedom` degrees of freedom is below with this
/// probability. `freedom` need not be whole. Returns `None` if `freedom` is not a finite number of at least 1, or if
/// `probability` or its complement is below 1e-100.
///
/// ```
/// use llem_sdk::statistics::t_quantile;
///
/// // scipy.stats.t.ppf(0.975, 3)
/// let quantile = t_quantile(0.975, 3.0).ok_or("out of range")?;
/// assert!((quantile - 3.182_446_305_284_263).abs() < 1e-12);
/// assert_eq!(t_quantile(1.0, 3.0), None);
/// # Ok::<(), llem_sdk::Error>(())
/// ```
pub fn t_quantile(probability: f64, freedom: f64) -> Option<f64> {
    let tail = probability.min(1.0 - probability);
    if !(tail >= SMALLEST && freedom >= 1.0 && freedom.is_finite()) || probability.is_nan() {
        return None;
    }
    let peak = gamma_ratio(freedom / 2.0) / (freedom * std::f64::consts::PI).sqrt();
    let density = |t: f64| peak * (-(freedom + 1.0) / 2.0 * (t * t / freedom).ln_1p()).exp();
    let t = if tail < TAIL {
        rise(START, |t| area_beyond(t, freedom) - tail / density(t))
    } else {
        let area = 0.5 - tail;
        // The density is highest at 0, so the root is not below this.
        rise(area / peak, |t| area / density(t) - area_from_zero(t, freedom))
    };
    Some(if probability < 0.5 { -t } else { t })
}

/// Adds Newton's steps to `t` until they no longer change it.
fn rise(mut t: f64, step: impl Fn(f64) -> f64) -> f64 {
    loop {
        let change = step(t);
        t += change;
        if change <= EPSILON * t {
            return t;
        }
    }
}

/// Returns the area under the density from 0 to `t`, divided by the density at `t`.
fn area_from_zero(t: f64, freedom: f64) -> f64 {
    let y = t * t / (freedom + t * t);
    let (mut term, mut sum, mut index) = (1.0, 1.0, 0.0);
    while term > EPSILON / 10.0 * sum {
        term *= y * (freedom + 1.0 + 2.0 * index) / (3.0 + 2.0 * index);
        sum += term;
        index += 1.0;
    }
    t * sum
}

/// Returns the area under the density beyond `t`, divided by the density at `t`. The fraction is
/// c/(c + u1 w/(c+1 + u2 w/(c+2 + ...))) with c = ν/2, w = ν/t², u1 = c/2, u2 = c + 1/2, and so on, evaluated by the
/// method of Lentz (DLMF 3.10(iii)).
fn area_beyond(t: f64, freedom: f64) -> f64 {
    let (c, w) = (freedom / 2.0, freedom / (t * t));
    let (mut numerator, mut denominator, mut fraction) = (c, 0.0, c);
    let mut index = 0.0;
    loop {
        let odd = (index + 0.5) * (c + index);
        let even = (index + 1.0) * (c + index + 0.5);
        let mut change = 1.0;
        for (u, place) in [(odd, 2.0 * index + 1.0), (even, 2.0 * index + 2.0)] {
            denominator = 1.0 / (c + place + u * w * denominator);
            numerator = c + place + u * w / numerator;
            change = numerator * denominator;
            fraction *= change;
        }
        // The values of two neighbouring parts enclose the fraction.
        if (change - 1.0).abs() <= EPSILON {
            return (1.0 + t * t / freedom) / t * (c / fraction);
        }
        index += 1.0;
    }
}

/// Returns Γ(a + 1/2) / Γ(a): by Γ(a + 1) = a Γ(a) up to an argument of 30, then by the expansion for large arguments in
/// powers of (a - 1/4)^-2 (DLMF 5.11.14). Its first neglected term is below 1e-17. A difference of two logarithms of Γ
/// would lose digits.
fn gamma_ratio(mut a: f64) -> f64 {
    let mut factor = 1.0;
    while a < 30.0 {
        factor *= a / (a + 0.5);
        a += 1.0;
    }
    let w = a - 0.25;
    let s = 1.0 / (w * w);
    let terms = [-174_317.0 / 134_217_728.0, 631.0 / 524_288.0, -19.0 / 8192.0, 1.0 / 64.0, 1.0];
    factor * w.sqrt() * terms.iter().fold(0.0, |sum, term| sum * s + term)
}

#[cfg(test)]
mod tests {
    use super::*;

    // DLMF 5.4.6 and 5.5.1: Γ(1) = 1, Γ(3/2) = sqrt(π)/2, Γ(11/2) = 945 sqrt(π)/32, Γ(6) = 120.
    #[test]
    fn the_ratio_of_gamma_functions_is_exact_at_known_arguments() {
        let root = std::f64::consts::PI.sqrt();
        for (a, expected) in
            [(1.0, root / 2.0), (0.5, 1.0 / root), (5.5, 120.0 * 32.0 / 945.0 / root)]
        {
            assert!((gamma_ratio(a) / expected - 1.0).abs() < 1e-14, "{a}");
        }
    }

    // With one degree of freedom it is the Cauchy distribution, whose quantile is tan(π (p - 1/2)).
    #[test]
    fn one_degree_of_freedom_gives_the_cauchy_distribution() {
        for tail in [1e-99_f64, 1e-30, 1e-6, 0.01, 0.0999, 0.1, 0.3] {
            let expected = -1.0 / (std::f64::consts::PI * tail).tan();
            let quantile = t_quantile(tail, 1.0).expect("it is in range");
            assert!((quantile / expected - 1.0).abs() < 1e-12, "{tail}: {quantile} {expected}");
        }
        assert_eq!(t_quantile(1e-101, 1.0), None);
    }
}
