//! Early stopping (MLPerf's inference rules, appendix "Early Stopping Criterion"): how many queries a run needs so that its
//! percentile is met with 99 % confidence.
//!
//! A query is over the latency with probability q = 1 - p if the percentile p is just met. A run of n queries of which t are
//! over passes if so few are improbable then: `P[Binomial(n, q) <= t] < 1 %`. LoadGen computes the same probability as a
//! regularised incomplete beta function. Its tolerance d is 0.

/// The probability that a run which passes meets its percentile.
const CONFIDENCE: f64 = 0.99;

/// Returns whether `over` of `queries` latencies above the limit are few enough for this percentile (0.99).
pub(crate) fn passes(queries: u64, over: u64, percentile: f64) -> bool {
    over < queries && log_at_most(queries, over, percentile) < (1.0 - CONFIDENCE).ln()
}

/// Returns the minimum number of latencies within the limit if `over` are above it (`h_min`).
pub(crate) fn min_passing(over: u64, percentile: f64) -> u64 {
    let mut most = 64;
    while !passes(most + over, over, percentile) {
        most *= 2;
    }
    first(most / 2, most, |within| passes(within + over, over, percentile))
}

/// Returns the largest number of latencies that may be above the limit in this many queries, or `None` if it is 0: then
/// there is no estimate.
pub(crate) fn most_over(queries: u64, percentile: f64) -> Option<u64> {
    let failing = first(0, queries, |over| !passes(queries, over, percentile));
    failing.checked_sub(1).filter(|&over| over > 0)
}

/// Returns the first number from `low` to `high` at which the condition holds, or `high`. The condition must be monotone.
fn first(mut low: u64, mut high: u64, holds: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        match holds(middle) {
            true => high = middle,
            false => low = middle + 1,
        }
    }
    low
}

/// Returns the logarithm of `P[Binomial(queries, 1 - percentile) <= over]`.
fn log_at_most(queries: u64, over: u64, percentile: f64) -> f64 {
    let (n, t) = (queries as f64, over as f64);
    let (p, q) = (percentile, 1.0 - percentile);
    let choose: f64 = (1..=over).map(|k| ((n - t + k as f64) / k as f64).ln()).sum();
    let log_last = choose + t * q.ln() + (n - t) * p.ln();
    // The terms from x = over down to 0, each as a multiple of the first. The sum is rescaled before it overflows.
    let (mut term, mut sum, mut log_scale) = (1.0, 1.0, 0.0);
    for x in (1..=over).rev() {
        term *= x as f64 / (n - x as f64 + 1.0) * p / q;
        sum += term;
        if term < sum * 1e-18 {
            break;
        }
        if sum > 1e200 {
            (term, log_scale) = (term / sum, log_scale + sum.ln());
            sum = 1.0;
        }
    }
    log_last + sum.ln() + log_scale
}

#[cfg(test)]
mod tests {
    use super::*;

    // By scipy.stats.binom.cdf, and by LoadGen's early_stopping.cc: t, and h_min at 90, 95, 97 and 99 %.
    const H_MIN: [(u64, [u64; 4]); 10] = [
        (0, [44, 90, 152, 459]),
        (1, [63, 129, 218, 661]),
        (2, [79, 163, 275, 836]),
        (3, [94, 195, 329, 998]),
        (4, [109, 225, 379, 1153]),
        (5, [122, 254, 428, 1302]),
        (10, [187, 388, 657, 2000]),
        (20, [305, 636, 1077, 3284]),
        (50, [631, 1322, 2243, 6848]),
        (100, [1146, 2404, 4082, 12471]),
    ];

    #[test]
    fn the_minimum_numbers_are_loadgen_s() {
        for (over, expected) in H_MIN {
            let found = [0.90, 0.95, 0.97, 0.99].map(|p| min_passing(over, p));
            assert_eq!(found, expected, "{over}");
        }
    }

    #[test]
    fn the_number_of_discarded_queries_is_loadgen_s() {
        let at = |p: f64, queries: &[u64]| -> Vec<Option<u64>> {
            queries.iter().map(|&count| most_over(count, p)).collect()
        };
        let of_90 = [None, Some(1), Some(3), Some(10), Some(34), Some(78), Some(450), Some(2348)];
        assert_eq!(at(0.90, &[63, 64, 100, 200, 500, 1000, 5000, 24576]), of_90);
        let of_99 = [None, Some(1), Some(2), Some(9), Some(33), Some(77), Some(209)];
        assert_eq!(at(0.99, &[661, 662, 1000, 2000, 5000, 10000, 24576]), of_99);
    }

    #[test]
    fn a_run_with_many_latencies_over_the_limit_needs_many_more() {
        assert!(!passes(24576, 24576, 0.99));
        assert!(!passes(24576, 20000, 0.99));
        assert_eq!(min_passing(1000, 0.9), 9722);
    }
}
