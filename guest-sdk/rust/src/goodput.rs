//! Goodput: the rate of requests that meet their service levels (DistServe, arXiv 2401.09670, section 1), counted as in
//! `vllm bench serve --goodput`.

use crate::{
    Result,
    completion::{Completion, FinishReason},
    model_info::ModelInfo,
    policy::MetricsPolicy,
    quantity::{Quantity, Source},
    report::Metric,
    schedule::Session,
    trial::Trial,
};

/// The highest latencies that a sequence may have. `None` means no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceLevels {
    /// The maximum time to first token, in ms.
    pub ttft: Option<f64>,
    /// The maximum time per output token after the first, in ms. A sequence with fewer than two tokens meets it.
    pub tpot: Option<f64>,
    /// The maximum end-to-end latency, in ms.
    pub e2el: Option<f64>,
}

impl ServiceLevels {
    /// Returns true if a sequence meets all levels. A sequence that was interrupted or cancelled, or has no token, does
    /// not.
    pub fn are_met_by(&self, completion: &Completion) -> bool {
        let is_served =
            !matches!(completion.finish, FinishReason::Interrupted | FinishReason::Cancelled);
        let within = |level: Option<f64>, seconds: Option<f64>| {
            level.is_none_or(|level| seconds.is_some_and(|seconds| 1e3 * seconds <= level))
        };
        is_served
            && !completion.tokens.is_empty()
            && within(self.ttft, completion.ttft())
            && within(self.tpot, completion.tpot().or(Some(0.0)))
            && within(self.e2el, completion.e2el())
    }
}

/// A counter of sequences that meet their service levels. It is a metrics policy, and can also be part of another one.
///
/// ```
/// use llem_sdk::{Completion, Goodput, Request, ServiceLevels, Session, Trial};
///
/// let mut goodput = Goodput::new(ServiceLevels { ttft: Some(10.0), ..Default::default() });
/// // Three requests, submitted at 0, 200 and 400 ms. The second has its first token after 11 ms.
/// for (submitted, tokens) in [(0, [5, 10]), (200, [211, 220]), (400, [410, 500])] {
///     let times = tokens.map(|ms| ms * 1_000_000);
///     let completion = Completion::from_token_times(submitted * 1_000_000, &times);
///     goodput.count(&Trial::from_completions(0, Request::from_text("hello"), vec![completion]));
/// }
/// // Two requests in the half second from the first submission to the last token.
/// let rate = goodput.rate(&Session::default()).ok_or("no time has passed")?;
/// assert_eq!((rate.value, rate.unit.as_str()), (4.0, "{request}/s"));
/// # Ok::<(), llem_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct Goodput {
    levels: ServiceLevels,
    met: u64,
    /// The time of the first submission and of the last token, in ns since the run began.
    span: Option<(u64, u64)>,
}

impl Goodput {
    /// Creates a counter for these levels.
    pub fn new(levels: ServiceLevels) -> Self {
        Self { levels, ..Self::default() }
    }

    /// Counts the sequences of a trial.
    pub fn count(&mut self, trial: &Trial) {
        for completion in trial.completions() {
            self.met += u64::from(self.levels.are_met_by(completion));
            let ended = completion.token_times.last().copied().unwrap_or(completion.submitted);
            let (first, last) = self.span.unwrap_or((completion.submitted, ended));
            self.span = Some((first.min(completion.submitted), last.max(ended)));
        }
    }

    /// Returns the number of sequences a second that met the levels, in {request}/s. The time is the session's wall
    /// time if the session was measured as a whole, otherwise the time from the first submission to the last token.
    /// Returns `None` if the time is zero or if no trial was counted.
    pub fn rate(&self, session: &Session) -> Option<Quantity> {
        let span = self.span.map(|(first, last)| last - first);
        let duration = session.measurement.as_ref().map(|measured| measured.wall_time).or(span)?;
        Quantity::exact(self.met as f64, "{request}", Source::Counted)
            .per(duration as f64 * 1e-9, "{request}/s")
    }
}

impl MetricsPolicy for Goodput {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        self.count(&trial);
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        Ok(self.rate(session).map(|rate| rate.into_metric("request_goodput")).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;

    /// Creates a completion from its submission and token times in ms.
    fn served(submitted: u64, tokens: &[u64]) -> Completion {
        let times: Vec<u64> = tokens.iter().map(|at| at * 1_000_000).collect();
        Completion::from_token_times(submitted * 1_000_000, &times)
    }

    #[test]
    fn a_sequence_must_meet_all_levels_inclusively() {
        let levels = ServiceLevels { ttft: Some(10.0), tpot: Some(5.0), e2el: Some(20.0) };
        assert!(levels.are_met_by(&served(0, &[10, 15, 20])));
        assert!(!levels.are_met_by(&served(0, &[11, 15, 20])), "its first token is late");
        assert!(!levels.are_met_by(&served(0, &[8, 20])), "its second is 12 ms after it");
        assert!(!levels.are_met_by(&served(0, &[10, 15, 20, 25])), "its last is late");
        assert!(levels.are_met_by(&served(0, &[10])), "TPOT of one token is 0");
        assert!(!levels.are_met_by(&served(0, &[])), "what has no token was not served");
        let cancelled = Completion { finish: FinishReason::Cancelled, ..served(0, &[1]) };
        assert!(!levels.are_met_by(&cancelled));
    }

    #[test]
    fn goodput_counts_sequences_that_meet_their_levels_over_the_whole_time() {
        let mut goodput = Goodput::new(ServiceLevels { ttft: Some(10.0), ..Default::default() });
        assert!(goodput.rate(&Session::default()).is_none(), "nothing was asked");
        for (submitted, tokens) in [(100, [105, 110]), (300, [311, 320]), (500, [510, 600])] {
            let completions = vec![served(submitted, &tokens)];
            goodput.count(&Trial::from_completions(0, Request::from_tokens([0]), completions));
        }
        // Two of three, from 100 ms to 600 ms.
        let rate = goodput.rate(&Session::default()).expect("half a second");
        assert!((rate.value - 4.0).abs() < 1e-12 && rate.unit == "{request}/s");
    }
}
