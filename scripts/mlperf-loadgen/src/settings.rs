//! LoadGen's settings: those that are asked for (`TestSettings`), and what they mean for a scenario
//! (`TestSettingsInternal`).

use std::fmt;

/// Nanoseconds in a millisecond.
pub(crate) const MS: u64 = 1_000_000;

/// How queries are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scenario {
    /// One sample at a time, each when the one before is done.
    SingleStream,
    /// Several samples at a time, all when those before are done.
    MultiStream,
    /// Samples at the times of a Poisson process.
    Server,
    /// All samples at once.
    Offline,
}

impl Scenario {
    /// All scenarios.
    pub(crate) const ALL: [Self; 4] =
        [Self::SingleStream, Self::MultiStream, Self::Server, Self::Offline];

    /// Returns the scenario of this name.
    pub(crate) fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scenario| scenario.to_string() == name)
    }

    /// Returns the default of `target_latency_percentile`.
    pub(crate) fn default_percentile(self) -> f64 {
        if self == Self::SingleStream { 0.90 } else { 0.99 }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The settings that are asked for, as in LoadGen's `TestSettings`.
#[derive(Clone, Debug)]
pub(crate) struct Requested {
    /// How queries are sent.
    pub(crate) scenario: Scenario,
    /// The expected latency of a query in SingleStream and MultiStream, in ns: how many queries are generated.
    pub(crate) expected_latency: f64,
    /// The percentile of the result or of the limit, in [0, 1).
    pub(crate) target_latency_percentile: f64,
    /// The number of samples in a query of MultiStream.
    pub(crate) samples_per_query: u64,
    /// The arrival rate of Server and the expected rate of Offline, in samples/s.
    pub(crate) target_qps: f64,
    /// The limit of latencies in Server without token latencies, in ns.
    pub(crate) target_latency: u64,
    /// Whether each sample appears equally often (`sample_concatenate_permutation`).
    pub(crate) equal_issue: bool,
    /// The minimum duration, in ms.
    pub(crate) min_duration: u64,
    /// The maximum duration, in ms. 0 means none.
    pub(crate) max_duration: u64,
    /// The minimum number of queries.
    pub(crate) min_query_count: u64,
    /// The maximum number of queries. 0 means none.
    pub(crate) max_query_count: u64,
    /// The seed of the order of loaded samples.
    pub(crate) qsl_rng_seed: u64,
    /// The seed of the order of queries.
    pub(crate) sample_index_rng_seed: u64,
    /// The seed of arrivals.
    pub(crate) schedule_rng_seed: u64,
    /// The number of samples that are loaded. 0 means as many as there are.
    pub(crate) performance_sample_count_override: u64,
    /// Whether TTFT and TPOT are measured and limited.
    pub(crate) use_token_latencies: bool,
    /// The limit of TTFT in Server, in ns.
    pub(crate) ttft_latency: u64,
    /// The limit of TPOT in Server, in ns.
    pub(crate) tpot_latency: u64,
}

/// What the settings mean for a scenario and a number of samples.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// What was asked for.
    pub(crate) requested: Requested,
    /// The number of samples in a query.
    pub(crate) samples_per_query: u64,
    /// The expected rate, in queries/s.
    pub(crate) target_qps: f64,
    /// The maximum number of queries at a time. 0 means no limit.
    pub(crate) max_async_queries: u64,
    /// How long queries are generated for, in ms.
    pub(crate) target_duration: u64,
    /// The minimum number of queries.
    pub(crate) min_query_count: u64,
    /// The minimum number of samples.
    pub(crate) min_sample_count: u64,
    /// The number of samples that are loaded.
    pub(crate) performance_sample_count: u64,
    /// The number of samples that there are.
    pub(crate) total_sample_count: u64,
}

impl Settings {
    /// Derives the settings for a set of `total` samples, which all fit in memory.
    pub(crate) fn new(requested: Requested, total: u64) -> Self {
        let scenario = requested.scenario;
        let seconds = requested.min_duration as f64 / 1000.0;
        let target_qps = match scenario {
            Scenario::SingleStream | Scenario::MultiStream => 1e9 / requested.expected_latency,
            Scenario::Server | Scenario::Offline => requested.target_qps,
        };
        let mut min_query_count = requested.min_query_count;
        let mut target_duration = requested.min_duration;
        let samples_per_query = match scenario {
            Scenario::MultiStream => requested.samples_per_query,
            Scenario::SingleStream | Scenario::Server => 1,
            // Everything is one query, with 10 % more samples than are expected in the duration.
            Scenario::Offline => min_query_count.max((1.1 * seconds * target_qps) as u64),
        };
        if scenario == Scenario::Offline {
            (min_query_count, target_duration) = (1, 0);
        }
        if scenario == Scenario::SingleStream && requested.equal_issue {
            // Twice the expected queries, then up to a multiple of the samples. A multiple gets one set more.
            min_query_count = min_query_count.max((2.0 * seconds * target_qps) as u64);
            min_query_count += total - min_query_count % total;
        }
        let performance_sample_count = match requested.performance_sample_count_override {
            0 => total,
            count => count,
        };
        Self {
            samples_per_query,
            target_qps,
            max_async_queries: u64::from(scenario != Scenario::Server),
            target_duration,
            min_query_count,
            min_sample_count: min_query_count * samples_per_query,
            performance_sample_count,
            total_sample_count: total,
            requested,
        }
    }

    /// Returns the scenario.
    pub(crate) fn scenario(&self) -> Scenario {
        self.requested.scenario
    }
}
