//! How often two numbers of equal runs are more than two standard uncertainties apart.

use std::f64::consts::FRAC_PI_2;

/// Two standard uncertainties: the coverage factor of about 95 % (JCGM 100:2008, annex G).
pub(crate) const COVERAGE_FACTOR: f64 = 2.0;

/// Returns the degrees of freedom of a difference of two means by Welch and Satterthwaite (Biometrika 34, 1947). Each mean is
/// its standard error and the number of its values, which is at least 2.
pub(crate) fn degrees_of_freedom(means: [(f64, u64); 2]) -> Option<f64> {
    let variance = means.map(|(error, _)| error * error);
    let each = means.map(|(error, count)| error.powi(4) / (count.saturating_sub(1)) as f64);
    let degrees = (variance[0] + variance[1]).powi(2) / (each[0] + each[1]);
    (degrees.is_finite() && degrees > 0.0).then_some(degrees)
}

/// The probability of more than two standard deviations in the normal distribution: `2 * scipy.stats.norm.sf(2)`.
const NORMAL: f64 = 0.045_500_263_896_358_42;

/// The degrees of freedom from which on Student's t is the normal distribution to four digits.
const MANY: f64 = 1e4;

/// Returns the probability that two numbers are more than two standard uncertainties of their difference apart although they
/// are of equal quantities: by Student's t if the uncertainty is of few values, otherwise by the normal distribution.
pub(crate) fn beyond_by_chance(degrees: Option<f64>) -> f64 {
    let Some(degrees) = degrees.filter(|degrees| *degrees < MANY) else { return NORMAL };
    // With t = sqrt(degrees) tan(angle), the density of t is proportional to cos(angle)^(degrees - 1).
    let density = |angle: f64| angle.cos().max(0.0).powf(degrees - 1.0);
    let beyond = (COVERAGE_FACTOR / degrees.sqrt()).atan();
    integral(density, beyond, FRAC_PI_2) / integral(density, 0.0, FRAC_PI_2)
}

/// Integrates by Simpson's rule.
fn integral(function: impl Fn(f64) -> f64, from: f64, to: f64) -> f64 {
    /// Pairs of steps. The narrowest density, of [`MANY`] degrees of freedom, is 6 pairs wide.
    const PAIRS: u32 = 1000;
    let step = (to - from) / f64::from(2 * PAIRS);
    let at = |place: u32| function(from + step * f64::from(place));
    let pairs = (0..PAIRS).map(|pair| at(2 * pair) + 4.0 * at(2 * pair + 1) + at(2 * pair + 2));
    pairs.sum::<f64>() * step / 3.0
}

#[cfg(test)]
mod tests {
    use super::*;

    // scipy 1.17: 2 * scipy.stats.t.sf(2, df) and 2 * scipy.stats.norm.sf(2)
    #[test]
    fn probabilities_are_those_of_scipy() {
        for (degrees, expected) in [
            (Some(1.0), 0.295_167_235_300_866_5),
            (Some(4.5), 0.108_257_907_181_125),
            (Some(9999.0), 0.045_527_263_361_510_1),
            (Some(30.0), 0.054_625_044_962_983_09),
            (None, 0.045_500_263_896_358_42),
        ] {
            let found = beyond_by_chance(degrees);
            assert!((found - expected).abs() < 1e-7, "{degrees:?}: {found}");
        }
    }
}
