//! Random gaps between arrivals.

use crate::random::UniformSource;

/// Draws the gap before a request, in seconds, from a gamma distribution of shape `burstiness` and mean `1 / rate`. The
/// rate is in requests a second. Both arguments are above 0, and an infinite burstiness gives the mean itself.
pub(super) fn gap(rate: f64, burstiness: f64, uniform: &mut dyn UniformSource) -> f64 {
    match burstiness {
        f64::INFINITY => 1.0 / rate,
        1.0 => exponential(uniform) / rate,
        shape => gamma(shape, uniform) / (rate * shape),
    }
}

/// Draws from the exponential distribution of mean 1 by inverting its distribution function. The logarithm is finite
/// because uniform numbers are below 1.
pub(crate) fn exponential(uniform: &mut dyn UniformSource) -> f64 {
    -(-uniform.next_uniform()).ln_1p()
}

/// Draws from the gamma distribution of this shape and scale 1 (Marsaglia and Tsang, "A Simple Method for Generating
/// Gamma Variables", ACM TOMS 26(3), 2000; section 6 for shapes below 1).
fn gamma(shape: f64, uniform: &mut dyn UniformSource) -> f64 {
    if shape < 1.0 {
        return gamma(shape + 1.0, uniform) * (1.0 - uniform.next_uniform()).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = normal(uniform);
        let y = 1.0 + c * x;
        let v = y * y * y;
        if v <= 0.0 {
            continue;
        }
        let u = 1.0 - uniform.next_uniform();
        if u.ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
            return d * v;
        }
    }
}

/// Draws from the standard normal distribution (Box and Muller, Annals of Mathematical Statistics 29(2), 1958).
pub(crate) fn normal(uniform: &mut dyn UniformSource) -> f64 {
    let radius = (2.0 * exponential(uniform)).sqrt();
    radius * (std::f64::consts::TAU * uniform.next_uniform()).cos()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A generator that returns the top 53 bits of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
    pub(crate) struct SplitMix(pub(crate) u64);

    impl UniformSource for SplitMix {
        fn next_uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1u64 << 53) as f64
        }
    }

    const DRAWS: usize = 10_000;

    /// Computes the distribution function of the gamma distribution of scale 1 by the series of the incomplete gamma
    /// function (Abramowitz and Stegun, 6.5.29). `of_shape` is the gamma function at the shape.
    fn distribution(shape: f64, of_shape: f64, x: f64) -> f64 {
        let (mut term, mut sum) = (1.0 / shape, 1.0 / shape);
        for index in 1..1_000 {
            term *= x / (shape + f64::from(index));
            sum += term;
        }
        sum * (shape * x.ln() - x).exp() / of_shape
    }

    /// Asserts that drawn gaps follow the gamma distribution: mean and variance within four standard errors, and the
    /// distribution by the Kolmogorov-Smirnov test at 1 %.
    fn is_gamma(burstiness: f64, of_shape: f64) {
        let rate = 200.0;
        let mut uniform = SplitMix(7);
        let mut gaps: Vec<f64> =
            (0..DRAWS).map(|_| gap(rate, burstiness, &mut uniform) * rate).collect();
        gaps.sort_by(f64::total_cmp);
        let count = DRAWS as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let expected = 1.0 / burstiness;
        assert!((mean - 1.0).abs() < 4.0 * (expected / count).sqrt(), "mean {mean}");
        let error = expected * ((2.0 + 6.0 / burstiness) / count).sqrt();
        assert!((variance - expected).abs() < 4.0 * error, "variance {variance}");
        let distance = gaps.iter().enumerate().map(|(index, gap)| {
            let expected = distribution(burstiness, of_shape, gap * burstiness);
            let (below, upto) = (index as f64 / count, (index + 1) as f64 / count);
            (expected - below).max(upto - expected)
        });
        let distance = distance.fold(0.0, f64::max);
        assert!(distance < 1.628 / count.sqrt(), "shape {burstiness}: {distance}");
    }

    #[test]
    fn the_series_is_the_exponential_distribution_at_shape_one() {
        for x in [0.1_f64, 1.0, 5.0] {
            assert!((distribution(1.0, 1.0, x) - (1.0 - (-x).exp())).abs() < 1e-12);
        }
    }

    #[test]
    fn gaps_of_burstiness_one_are_exponential() {
        is_gamma(1.0, 1.0);
    }

    #[test]
    fn burstier_and_more_even_gaps_are_gamma() {
        is_gamma(0.5, std::f64::consts::PI.sqrt());
        is_gamma(2.0, 1.0);
        is_gamma(5.0, 24.0);
    }
}
