//! Goodput: requests a second that were served as fast as they have to be (DistServe, arXiv 2401.09670, section 1), as
//! `vllm bench serve --goodput` counts it.

use crate::{
    Result,
    completion::{Completion, FinishReason},
    model_info::ModelInfo,
    policy::Metrics,
    quantity::{Quantity, Source},
    report::Metric,
    schedule::Session,
    trial::Trial,
};

/// How fast a sequence has to be served; none: as slow as it may be.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ServiceLevels {
    /// Most time to its first token, ms.
    pub ttft: Option<f64>,
    /// Most time per output token after the first, ms. It counts as 0 where there are fewer than two.
    pub tpot: Option<f64>,
    /// Most time to its last token, ms.
    pub e2el: Option<f64>,
}

impl ServiceLevels {
    /// Whether a sequence was served so fast. One that was cut short, or has no token, was not served.
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

/// Counts sequences that were served as fast as they have to be. Metrics of its own, or a part of others.
#[derive(Clone, Debug, Default)]
pub struct Goodput {
    levels: ServiceLevels,
    met: u64,
    /// When the first was submitted and the last token came, ns since the run began.
    span: Option<(u64, u64)>,
}

impl Goodput {
    /// By these levels.
    pub fn new(levels: ServiceLevels) -> Self {
        Self { levels, ..Self::default() }
    }

    /// Takes note of a trial.
    pub fn count(&mut self, trial: &Trial) {
        for completion in trial.completions() {
            self.met += u64::from(self.levels.are_met_by(completion));
            let ended = completion.token_times.last().copied().unwrap_or(completion.submitted);
            let (first, last) = self.span.unwrap_or((completion.submitted, ended));
            self.span = Some((first.min(completion.submitted), last.max(ended)));
        }
    }

    /// Sequences that met the levels, a second: over the session where it was measured as a whole, otherwise from the first
    /// that was submitted to the last token. None where that is no time at all.
    pub fn rate(&self, session: &Session) -> Option<Quantity> {
        let span = self.span.map(|(first, last)| last - first);
        let duration = session.measurement.as_ref().map(|measured| measured.wall_time).or(span)?;
        Quantity::exact(self.met as f64, "{request}", Source::Counted)
            .per(duration as f64 * 1e-9, "{request}/s")
    }
}

impl Metrics for Goodput {
    fn observe(&mut self, trial: Trial) -> Result<()> {
        self.count(&trial);
        Ok(())
    }

    fn derive(&mut self, _: &ModelInfo, session: &Session) -> Result<Vec<Metric>> {
        Ok(self.rate(session).map(|rate| rate.named("request_goodput")).into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{request::Request, warmup::fixtures::completion};

    /// A sequence that was submitted and had its tokens at these times, ms.
    fn served(submitted: u64, tokens: &[u64]) -> Completion {
        Completion {
            submitted: submitted * 1_000_000,
            token_times: tokens.iter().map(|at| at * 1_000_000).collect(),
            ..completion(tokens.len())
        }
    }

    #[test]
    fn a_level_is_met_at_its_very_value_and_all_have_to_be() {
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
    fn goodput_is_what_met_its_levels_over_the_time_from_first_to_last() {
        let mut goodput = Goodput::new(ServiceLevels { ttft: Some(10.0), ..Default::default() });
        assert!(goodput.rate(&Session::default()).is_none(), "nothing was asked");
        for (submitted, tokens) in [(100, [105, 110]), (300, [311, 320]), (500, [510, 600])] {
            let completions = vec![served(submitted, &tokens)];
            goodput.count(&Trial::batched(0, Request::tokens([0]), completions));
        }
        // Two of three, from 100 ms to 600 ms.
        let rate = goodput.rate(&Session::default()).expect("half a second");
        assert!((rate.value - 4.0).abs() < 1e-12 && rate.unit == "{request}/s");
    }
}
