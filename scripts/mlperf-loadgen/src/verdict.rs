//! Whether a run is valid: minimum duration, minimum number of queries, early stopping, and the limits of Server
//! (LoadGen's `PerformanceSummary`). All sentences are LoadGen's.

use crate::{
    early_stopping::{min_passing, most_over, passes},
    results::{Latencies, Results},
    settings::{Scenario, Settings},
};

/// The percentile that SingleStream also estimates, because results of MultiStream may be inferred from it.
const MULTI_STREAM_PERCENTILE: f64 = 0.99;

/// Whether a run is valid, and why not.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// Whether the run took the minimum time.
    pub(crate) min_duration_met: bool,
    /// Whether there were enough queries and samples.
    pub(crate) min_queries_met: bool,
    /// Whether the latencies are within the limits. `None` if there are no limits.
    pub(crate) perf_constraints_met: Option<bool>,
    /// Whether early stopping is satisfied.
    pub(crate) early_stopping_met: bool,
    /// What early stopping says, by the name in the logs: empty without token latencies, otherwise `ttft` and `tpot`.
    pub(crate) early_stopping: Vec<(&'static str, String)>,
    /// The estimate of the percentile in SingleStream, in ns.
    pub(crate) early_stopping_latency_ss: Option<i64>,
    /// The estimate of the 99th percentile in SingleStream and MultiStream, in ns.
    pub(crate) early_stopping_latency_ms: Option<i64>,
    /// What to do about limits that are exceeded.
    pub(crate) perf_recommendations: Vec<&'static str>,
    /// What to do about a run that was too short.
    pub(crate) duration_recommendation: &'static str,
}

impl Verdict {
    /// Judges a run.
    pub(crate) fn new(results: &Results, settings: &Settings) -> Self {
        let mut verdict = Self { early_stopping_met: true, ..Self::default() };
        verdict.judge_length(results, settings);
        verdict.judge_limits(results, settings);
        let requested = &settings.requested;
        if !requested.use_token_latencies {
            verdict.stop_early("", &results.latencies, requested.target_latency, results, settings);
            return verdict;
        }
        // LoadGen asks for TTFT only if TPOT is satisfied, and in SingleStream the estimates of TTFT replace those of TPOT.
        verdict.early_stopping.push(("ttft", String::new()));
        verdict.stop_early("tpot", &results.tpot, requested.tpot_latency, results, settings);
        if verdict.early_stopping_met {
            verdict.early_stopping.remove(0);
            verdict.stop_early("ttft", &results.ttft, requested.ttft_latency, results, settings);
            verdict.early_stopping.reverse();
        }
        verdict
    }

    /// Returns whether all conditions are met.
    pub(crate) fn is_valid(&self) -> bool {
        let perf_constraints_met = self.perf_constraints_met.unwrap_or(true);
        self.min_duration_met
            && self.min_queries_met
            && perf_constraints_met
            && self.early_stopping_met
    }

    fn judge_length(&mut self, results: &Results, settings: &Settings) {
        let (took, remedy) = match settings.scenario() {
            Scenario::Offline => (
                results.max_latency(),
                "Increase expected QPS so the loadgen pre-generates a larger (coalesced) query.",
            ),
            Scenario::Server => (
                results.final_query_scheduled,
                "Increase the target QPS so the loadgen pre-generates more queries.",
            ),
            Scenario::SingleStream | Scenario::MultiStream => (
                results.final_query_issued,
                "Decrease the expected latency so the loadgen pre-generates more queries.",
            ),
        };
        self.min_duration_met = took >= settings.requested.min_duration as f64 / 1000.0;
        self.duration_recommendation = remedy;
        self.min_queries_met = results.queries >= settings.min_query_count
            && results.samples() >= settings.min_sample_count;
    }

    fn judge_limits(&mut self, results: &Results, settings: &Settings) {
        if settings.scenario() != Scenario::Server {
            return;
        }
        let requested = &settings.requested;
        let exceeds = |latencies: &Latencies, limit: u64| {
            latencies.at(requested.target_latency_percentile) > limit as i64
        };
        let limits: &[(&Latencies, u64, &'static str)] = match requested.use_token_latencies {
            false => &[(
                &results.latencies,
                requested.target_latency,
                "Reduce target QPS to improve latency.",
            )],
            true => &[
                (
                    &results.ttft,
                    requested.ttft_latency,
                    "TTFT constrain not met: Reduce target QPS to improve latency.",
                ),
                (
                    &results.tpot,
                    requested.tpot_latency,
                    "TPOT constrain not met: Reduce target QPS to improve latency.",
                ),
            ],
        };
        let exceeded = limits.iter().filter(|(latencies, limit, _)| exceeds(latencies, *limit));
        self.perf_recommendations = exceeded.map(|(_, _, remedy)| *remedy).collect();
        self.perf_constraints_met = Some(self.perf_recommendations.is_empty());
    }

    fn stop_early(
        &mut self,
        name: &'static str,
        latencies: &Latencies,
        limit: u64,
        results: &Results,
        settings: &Settings,
    ) {
        let percentile = settings.requested.target_latency_percentile;
        let text = match settings.scenario() {
            Scenario::Offline => String::new(),
            Scenario::Server => self.limit_text(latencies, limit, percentile, results.queries),
            Scenario::SingleStream => {
                let (estimate, mut text) = self.estimate(latencies, percentile, results.queries);
                if let Some(estimate) = estimate {
                    self.early_stopping_latency_ss = Some(estimate);
                    text += &self.multi_stream_text(latencies, results.queries);
                }
                text
            }
            Scenario::MultiStream => {
                let (estimate, text) =
                    self.estimate(&results.query_latencies, percentile, results.queries);
                self.early_stopping_latency_ms = estimate.or(self.early_stopping_latency_ms);
                text
            }
        };
        self.early_stopping.push((name, text));
    }

    /// Counts the latencies above a limit.
    fn limit_text(
        &mut self,
        latencies: &Latencies,
        limit: u64,
        percentile: f64,
        queries: u64,
    ) -> String {
        let over =
            latencies.sorted().iter().filter(|&&latency| latency > limit as i64).count() as u64;
        if passes(queries, over, percentile) {
            return " * Run successful.".to_owned();
        }
        self.early_stopping_met = false;
        let missing = min_passing(over, percentile) + over - queries;
        format!(
            " * Run unsuccessful.\n * Processed {queries} queries.\n * Would need to run at least {missing} more queries,\n \
             with the run being successful if every additional\n query were under latency."
        )
    }

    /// Estimates a percentile: the highest latency after as many are dropped as may be above it, less one.
    fn estimate(
        &mut self,
        latencies: &Latencies,
        percentile: f64,
        queries: u64,
    ) -> (Option<i64>, String) {
        let needed = min_passing(1, percentile) + 1;
        let Some(over) = most_over(queries, percentile) else {
            self.early_stopping_met = false;
            let text = format!(
                " * Only processed {queries} queries.\n * Need to process at least {needed} queries for early stopping."
            );
            return (None, text);
        };
        let estimate = latencies.sorted()[(queries - over) as usize];
        let (discarded, shown) = (over - 1, 100.0 * percentile);
        let text = format!(
            " * Processed at least {needed} queries ({queries}).\n * Would discard {discarded} highest latency queries.\n * \
             Early stopping {shown:.1}th percentile estimate: {estimate}"
        );
        (Some(estimate), text)
    }

    /// Estimates the percentile of MultiStream from latencies of SingleStream.
    fn multi_stream_text(&mut self, latencies: &Latencies, queries: u64) -> String {
        let shown = 100.0 * MULTI_STREAM_PERCENTILE;
        let Some(over) = most_over(queries, MULTI_STREAM_PERCENTILE) else {
            let needed = min_passing(1, MULTI_STREAM_PERCENTILE) + 1;
            return format!(
                "\n * Not enough queries processed for {shown:.1}th percentile\n early stopping estimate (would need to \
                 process at\n least {needed} total queries)."
            );
        };
        let estimate = latencies.sorted()[(queries - over) as usize];
        self.early_stopping_latency_ms = Some(estimate);
        format!("\n * Early stopping {shown:.1}th percentile estimate: {estimate}")
    }
}
