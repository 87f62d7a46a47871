//! The latencies of a run and their statistics (LoadGen's `PerformanceResult` and `ProcessLatencies`).

use crate::settings::Scenario;

/// The percentiles that LoadGen reports.
pub(crate) const PERCENTILES: [f64; 6] = [0.50, 0.90, 0.95, 0.97, 0.99, 0.999];

/// A completed sample. Times are in ns since the start of the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sample {
    /// The number of its query.
    pub(crate) query: usize,
    /// Its index among all samples.
    pub(crate) index: u64,
    /// When its query was due. Latencies count from here.
    pub(crate) scheduled: u64,
    /// When its query was issued.
    pub(crate) issued: u64,
    /// When its first token was there.
    pub(crate) first_token: Option<u64>,
    /// When it was completed.
    pub(crate) done: u64,
    /// The number of generated tokens.
    pub(crate) tokens: u64,
}

/// All samples of a run, in the order in which they were issued.
#[derive(Clone, Debug, Default)]
pub(crate) struct Run {
    /// The samples.
    pub(crate) samples: Vec<Sample>,
    /// The number of queries.
    pub(crate) queries: usize,
    /// The errors, in LoadGen's words.
    pub(crate) errors: Vec<String>,
}

/// Latencies in ns, sorted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies(Vec<i64>);

impl Latencies {
    /// Sorts latencies.
    pub(crate) fn new(mut latencies: Vec<i64>) -> Self {
        latencies.sort_unstable();
        Self(latencies)
    }

    /// Returns all latencies, sorted.
    pub(crate) fn sorted(&self) -> &[i64] {
        &self.0
    }

    /// Returns the latency at `⌊n × percentile⌋`, without interpolation.
    pub(crate) fn at(&self, percentile: f64) -> i64 {
        self.0[(self.0.len() as f64 * percentile) as usize]
    }

    /// Returns the shortest latency.
    pub(crate) fn min(&self) -> i64 {
        self.0.first().copied().unwrap_or(0)
    }

    /// Returns the longest latency.
    pub(crate) fn max(&self) -> i64 {
        self.0.last().copied().unwrap_or(0)
    }

    /// Returns the mean in whole nanoseconds, rounded towards zero.
    pub(crate) fn mean(&self) -> i64 {
        let sum: i128 = self.0.iter().map(|&latency| i128::from(latency)).sum();
        (sum / self.0.len().max(1) as i128) as i64
    }
}

/// The statistics of a run.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    /// The latencies of samples.
    pub(crate) latencies: Latencies,
    /// The latencies of queries, in MultiStream.
    pub(crate) query_latencies: Latencies,
    /// The times to first token. Empty if they are not measured.
    pub(crate) ttft: Latencies,
    /// The times per output token. Empty if they are not measured.
    pub(crate) tpot: Latencies,
    /// The number of generated tokens.
    pub(crate) tokens: u64,
    /// The number of issued queries.
    pub(crate) queries: u64,
    /// When the last query was due, in s.
    pub(crate) final_query_scheduled: f64,
    /// When the last query was issued, in s.
    pub(crate) final_query_issued: f64,
    /// When all samples of the last query were completed, in s.
    pub(crate) final_query_done: f64,
}

impl Results {
    /// Computes the statistics of a run. There must be a sample.
    pub(crate) fn new(run: &Run, scenario: Scenario, use_token_latencies: bool) -> Self {
        let since = |from: u64, to: u64| to as i64 - from as i64;
        let latency = |sample: &Sample| since(sample.scheduled, sample.done);
        let ttft = |sample: &Sample| Some(since(sample.scheduled, sample.first_token?));
        let tpot = |sample: &Sample| {
            // LoadGen divides by -1 for a sample of one token, which is an error there.
            let gaps = if sample.tokens == 1 { -1 } else { sample.tokens as i64 - 1 };
            Some((latency(sample) - ttft(sample)?) / gaps)
        };
        let is_timed = use_token_latencies && scenario != Scenario::Offline;
        let tokens_timed = if is_timed { &run.samples[..] } else { &[] };
        let mut query_latencies = Vec::new();
        if scenario == Scenario::MultiStream {
            query_latencies = vec![0; run.queries];
            for sample in &run.samples {
                let longest = &mut query_latencies[sample.query];
                *longest = latency(sample).max(*longest);
            }
        }
        let last = run.queries.saturating_sub(1);
        let of_last = || run.samples.iter().filter(|sample| sample.query == last);
        let seconds = |time: Option<u64>| time.unwrap_or(0) as f64 / 1e9;
        Self {
            latencies: Latencies::new(run.samples.iter().map(latency).collect()),
            query_latencies: Latencies::new(query_latencies),
            ttft: Latencies::new(tokens_timed.iter().filter_map(ttft).collect()),
            tpot: Latencies::new(tokens_timed.iter().filter_map(tpot).collect()),
            tokens: run
                .samples
                .iter()
                .map(|sample| sample.tokens)
                .filter(|&tokens| tokens > 1)
                .sum(),
            queries: run.queries as u64,
            final_query_scheduled: seconds(of_last().map(|sample| sample.scheduled).next()),
            final_query_issued: seconds(of_last().map(|sample| sample.issued).next()),
            final_query_done: seconds(of_last().map(|sample| sample.done).max()),
        }
    }

    /// Returns the number of samples.
    pub(crate) fn samples(&self) -> u64 {
        self.latencies.sorted().len() as u64
    }

    /// Returns the longest latency, in s.
    pub(crate) fn max_latency(&self) -> f64 {
        self.latencies.max() as f64 / 1e9
    }

    /// Returns the rate of samples in the Offline scenario, per s.
    pub(crate) fn samples_per_second(&self) -> f64 {
        self.samples() as f64 / self.max_latency()
    }

    /// Returns the rate of tokens in the Offline scenario, per s.
    pub(crate) fn tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.max_latency()
    }

    /// Returns the rate of samples in the Server scenario, per s. The last sample is at the open end of the time, so it does
    /// not count.
    pub(crate) fn completed_samples_per_second(&self) -> f64 {
        self.gaps() / self.final_query_done
    }

    /// Returns the rate of tokens in the Server scenario, per s.
    pub(crate) fn completed_tokens_per_second(&self) -> f64 {
        self.tokens as f64 / self.final_query_done
    }

    /// Returns the rate of arrivals in the Server scenario, per s.
    pub(crate) fn scheduled_samples_per_second(&self) -> f64 {
        self.gaps() / self.final_query_scheduled
    }

    /// Returns the rate of queries, with the time between them, per s.
    pub(crate) fn qps_with_overhead(&self) -> f64 {
        self.gaps() / self.final_query_issued
    }

    /// Returns the rate of queries, from latencies alone, per s.
    pub(crate) fn qps_without_overhead(&self) -> f64 {
        1.0 / (self.latencies.mean() as f64 / 1e9)
    }

    /// Returns the rate of tokens, with the time between queries, per s.
    pub(crate) fn tps_with_overhead(&self) -> f64 {
        self.tokens as f64 / self.final_query_issued
    }

    /// Returns the rate of tokens from the mean latency of samples, per s.
    pub(crate) fn tps_without_overhead(&self) -> f64 {
        self.tokens as f64 / (self.latencies.mean() as f64 / 1e9 * self.samples() as f64)
    }

    fn gaps(&self) -> f64 {
        self.samples().saturating_sub(1) as f64
    }
}
