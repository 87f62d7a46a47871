//! Latencies of the requests while a run goes on.

use super::update::TokenTimes;
use llem_record::Samples;
use std::collections::VecDeque;

/// The number of latest values that are kept for charts.
const RECENT: usize = 512;

/// Times to first token, and times between one token and the next, of one outermost phase, so that a warm-up does not
/// mix with what is measured.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    /// The outermost phase of the latest values.
    pub phase: String,
    /// Time to first token, s.
    pub first: LatencySeries,
    /// Inter-token latency, s.
    pub next: LatencySeries,
}

/// Latencies of one kind, s.
#[derive(Debug, Default)]
pub(super) struct LatencySeries {
    recent: VecDeque<f64>,
    all: Samples,
    /// The median of all, while nothing was added since it was computed.
    median: Option<f64>,
}

impl Latencies {
    /// Adds the latencies of new tokens of a sequence. `before_ns` is the time of the token before them, ns.
    pub(super) fn add(&mut self, phase: &str, times: &TokenTimes, before_ns: Option<u64>) {
        let outermost = phase.split('/').next().unwrap_or_default();
        if outermost != self.phase {
            *self = Self { phase: outermost.to_owned(), ..Self::default() };
        }
        let mut before = before_ns;
        for (index, &ns) in (u64::from(times.first)..).zip(&times.token_ns) {
            let seconds = |from: u64| ns.saturating_sub(from) as f64 * 1e-9;
            match (index, before) {
                (0, _) => self.first.add(seconds(times.submitted_ns)),
                (_, Some(before)) => self.next.add(seconds(before)),
                // The journal does not tell when the token before was on the host.
                (_, None) => {}
            }
            before = Some(ns);
        }
    }
}

impl LatencySeries {
    fn add(&mut self, seconds: f64) {
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(seconds);
        self.all.add(seconds);
        self.median = None;
    }

    /// Computes the median, if values were added. Called once a frame, because the median of many values takes time.
    pub(super) fn update_median(&mut self) {
        if self.median.is_none() {
            self.median = self.all.distribution().map(|distribution| distribution.p50);
        }
    }

    /// The median at the last call of [`Self::update_median`], s.
    pub(super) fn median(&self) -> Option<f64> {
        self.median
    }

    /// The latest value, s.
    pub(super) fn latest(&self) -> Option<f64> {
        self.recent.back().copied()
    }

    /// The latest values, s, at most `count`, oldest first.
    pub(super) fn recent(&self, count: usize) -> impl Iterator<Item = f64> {
        self.recent.iter().skip(self.recent.len().saturating_sub(count)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(first: u32, token_ms: &[u64]) -> TokenTimes {
        let token_ns = token_ms.iter().map(|ms| ms * 1_000_000).collect();
        TokenTimes { submitted_ns: 5_000_000, first, token_ns }
    }

    #[test]
    fn a_sequence_has_one_ttft_and_a_latency_for_each_further_token() {
        let mut latencies = Latencies::default();
        latencies.add("measure/a", &times(0, &[30, 40, 55]), None);
        latencies.add("measure/b", &times(3, &[75]), Some(55_000_000));
        let [first, next] = [&latencies.first, &latencies.next]
            .map(|series| series.recent(9).map(|s| (s * 1e3).round()).collect::<Vec<_>>());
        assert_eq!((first, next), (vec![25.0], vec![10.0, 15.0, 20.0]));
        latencies.next.update_median();
        let median = latencies.next.median().expect("values");
        assert!((median - 0.015).abs() < 1e-6, "{median}");
    }

    #[test]
    fn a_new_outermost_phase_begins_anew() {
        let mut latencies = Latencies::default();
        latencies.add("warmup", &times(0, &[90]), None);
        latencies.add("measure", &times(0, &[30]), None);
        assert_eq!(latencies.first.recent(9).count(), 1);
        assert_eq!(latencies.phase, "measure");
    }
}
