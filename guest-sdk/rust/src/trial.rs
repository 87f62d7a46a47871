//! A request that was run, and what can be read off it, in the field's terms.

use crate::{
    Error, Result,
    bindings::trials,
    completion::{Completion, Generation},
    quantity::{Quantity, Reading, Source},
    request::Request,
};
use std::rc::Rc;

const NS: f64 = 1e-9;

/// One request that was run.
#[derive(Clone, Debug)]
pub struct Trial {
    /// Zero-based position among its phase's requests.
    pub index: u32,
    /// What was asked.
    pub request: Request,
    /// What came of it.
    pub ran: Ran,
    on_host: Option<Rc<trials::Trial>>,
}

/// How a request was run, and what came of it.
#[derive(Clone, Debug)]
pub enum Ran {
    /// By itself: its times and its energy are its own.
    Alone(Box<Generation>),
    /// In a continuous batch, in company: what became of each of its prompts, in order.
    Batched(Vec<Completion>),
}

impl Trial {
    /// One that was run by itself.
    pub fn alone(index: u32, request: Request, generation: Generation) -> Self {
        Self { index, request, ran: Ran::Alone(Box::new(generation)), on_host: None }
    }

    /// One that was run in a continuous batch.
    pub fn batched(index: u32, request: Request, completions: Vec<Completion>) -> Self {
        Self { index, request, ran: Ran::Batched(completions), on_host: None }
    }

    /// The same, with the host's own trial beside it.
    pub(crate) fn held_by(mut self, on_host: trials::Trial) -> Self {
        self.on_host = Some(Rc::new(on_host));
        self
    }

    /// The same, without the host's own trial, so that the host can forget it.
    pub(crate) fn let_go(&mut self) {
        self.on_host = None;
    }

    /// The host's own trial, which the standard runner hands to policies; otherwise none.
    pub fn on_host(&self) -> Option<&trials::Trial> {
        self.on_host.as_deref()
    }

    /// What became of its prompts, in order.
    pub fn completions(&self) -> &[Completion] {
        match &self.ran {
            Ran::Alone(generation) => &generation.completions,
            Ran::Batched(completions) => completions,
        }
    }

    /// What came of it as a whole. Fails where it ran in a continuous batch, in which no times and energy are its own.
    pub fn generation(&self) -> Result<&Generation> {
        match &self.ran {
            Ran::Alone(generation) => Ok(generation),
            Ran::Batched(_) => Err(Error::from(format!(
                "request '{}' ran in a continuous batch, where no times and energy are its own: its completions and \
                 the session's measurement tell what there is",
                self.request.label
            ))),
        }
    }

    /// When it began, or was submitted, ns since the run began.
    pub fn began(&self) -> u64 {
        match &self.ran {
            Ran::Alone(generation) => generation.measurement.started,
            Ran::Batched(completions) => {
                completions.iter().map(|one| one.submitted).min().unwrap_or_default()
            }
        }
    }

    /// When it ended, ns since the run began.
    pub fn ended(&self) -> u64 {
        match &self.ran {
            Ran::Alone(generation) => {
                generation.measurement.started + generation.measurement.wall_time
            }
            Ran::Batched(completions) => {
                let last = |one: &Completion| one.token_times.last().copied();
                completions.iter().filter_map(last).max().unwrap_or_else(|| self.began())
            }
        }
    }

    /// How long it took, waiting included, s.
    pub fn seconds(&self) -> f64 {
        self.ended().saturating_sub(self.began()) as f64 * NS
    }

    /// Time to first token of each sequence, s.
    pub fn ttft(&self) -> Vec<f64> {
        self.completions().iter().filter_map(Completion::ttft).collect()
    }

    /// Inter-token latencies of all sequences, s.
    pub fn itl(&self) -> Vec<f64> {
        let gaps = |one: &Completion| {
            let times = one.token_times.clone();
            (1..times.len()).map(move |index| (times[index] - times[index - 1]) as f64 * NS)
        };
        self.completions().iter().flat_map(gaps).collect()
    }

    /// Tokens generated.
    pub fn output_tokens(&self) -> u64 {
        self.completions().iter().map(|one| one.tokens.len() as u64).sum()
    }

    /// Tokens that decode made: all but the first of each sequence, which is prefill's. A sequence that ended before its
    /// first token has none to leave out.
    fn decoded_tokens(&self) -> u64 {
        self.completions().iter().map(|one| one.tokens.len().saturating_sub(1) as u64).sum()
    }

    /// Prompt tokens per second of prefill; none where nothing was timed, or not by itself.
    pub fn prefill_rate(&self) -> Option<Quantity> {
        let generation = self.generation().ok()?;
        rate(generation.measurement.activity.prompt_tokens, generation.prefill_time)
    }

    /// Tokens after each sequence's first per second of decode; none where there was no decode, or not by itself.
    pub fn decode_rate(&self) -> Option<Quantity> {
        rate(self.decoded_tokens(), self.generation().ok()?.decode_time)
    }

    /// Energy of prompt processing per prompt token, or the reason why there is none.
    pub fn prefill_joules_per_token(&self) -> Reading {
        let measurement = &self.generation().map_err(|error| error.message)?.measurement;
        let energy = measurement.energy_prefill.clone()?;
        per_token(&energy, measurement.activity.prompt_tokens, "no prompt was run")
    }

    /// Energy of decode per token that it made (all but each sequence's first), or the reason why there is none.
    pub fn decode_joules_per_token(&self) -> Reading {
        let measurement = &self.generation().map_err(|error| error.message)?.measurement;
        let energy = measurement.energy_decode.clone()?;
        per_token(&energy, self.decoded_tokens(), "no token was decoded")
    }

    /// Energy of each sequence, J: its share of the steps that it took part in; or the reason why it is not known.
    pub fn joules_per_sequence(&self) -> Vec<Reading> {
        self.completions().iter().map(|completion| completion.energy.clone()).collect()
    }

    /// Energy per generated token, or the reason why there is none.
    pub fn joules_per_output_token(&self) -> Reading {
        let measurement = &self.generation().map_err(|error| error.message)?.measurement;
        let energy = measurement.energy_total.clone()?;
        per_token(&energy, self.output_tokens(), "no token was generated")
    }
}

impl From<&trials::Trial> for Trial {
    fn from(from: &trials::Trial) -> Self {
        let (index, request) = (from.index(), Request::from(&from.request()));
        match from.generation() {
            Some(generation) => Self::alone(index, request, Generation::from(&generation)),
            None => {
                let completions = from.completions().iter().map(Completion::from).collect();
                Self::batched(index, request, completions)
            }
        }
    }
}

impl Completion {
    /// Time to first token, s; none where there is no token.
    pub fn ttft(&self) -> Option<f64> {
        Some(self.token_times.first()?.saturating_sub(self.submitted) as f64 * NS)
    }

    /// Time per output token after the first, s; none of fewer than two tokens.
    pub fn tpot(&self) -> Option<f64> {
        let (first, last) = (self.token_times.first()?, self.token_times.last()?);
        let gaps = self.token_times.len() - 1;
        (gaps > 0).then(|| last.saturating_sub(*first) as f64 * NS / gaps as f64)
    }

    /// End-to-end latency: to the last token, s; none where there is no token.
    pub fn e2el(&self) -> Option<f64> {
        Some(self.token_times.last()?.saturating_sub(self.submitted) as f64 * NS)
    }
}

fn per_token(energy: &Quantity, tokens: u64, nothing: &str) -> Reading {
    energy.per(tokens as f64, "J/{token}").ok_or_else(|| nothing.to_owned())
}

fn rate(tokens: u64, time: u64) -> Option<Quantity> {
    Quantity::exact(tokens as f64, "{token}", Source::Counted)
        .per(time as f64 * NS, "{token}/s")
        .filter(|rate| rate.value > 0.0)
}

/// Trials by their requests' labels, in the order of first appearance.
pub fn by_label(trials: &[Trial]) -> Vec<(&str, Vec<&Trial>)> {
    let mut groups: Vec<(&str, Vec<&Trial>)> = Vec::new();
    for trial in trials {
        let label = trial.request.label.as_str();
        match groups.iter_mut().find(|(known, _)| *known == label) {
            Some((_, group)) => group.push(trial),
            None => groups.push((label, vec![trial])),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::warmup::fixtures::{completion, generation, lasting};

    #[test]
    fn a_sequence_without_tokens_takes_none_from_the_others() {
        let mut generation = generation(0, 2_000_000_000);
        generation.completions = [5, 0, 0].map(completion).into();
        generation.decode_time = 2_000_000_000;
        generation.measurement.energy_decode = Ok(Quantity::exact(8.0, "J", Source::Derived));
        let trial = Trial::alone(0, Request::tokens([0]), generation);
        let energy = trial.decode_joules_per_token().expect("four tokens were decoded");
        assert_eq!((energy.value, &energy.unit[..]), (2.0, "J/{token}"));
        assert_eq!(trial.decode_rate().expect("four tokens in two seconds").value, 2.0);
    }

    #[test]
    fn in_company_latencies_are_its_own_and_energy_is_not() {
        let mut one = completion(3);
        (one.submitted, one.token_times) = (1_000, vec![2_000, 5_000, 6_000]);
        let trial = Trial::batched(7, Request::tokens([0]).label("one"), vec![one.clone()]);
        assert_eq!((trial.began(), trial.ended()), (1_000, 6_000));
        assert!((trial.ttft()[0] - 1e-6).abs() < 1e-15 && trial.itl().len() == 2);
        assert!((one.tpot().expect("three tokens") - 2e-6).abs() < 1e-15);
        assert!((one.e2el().expect("three tokens") - 5e-6).abs() < 1e-15);
        let reason = trial.joules_per_output_token().expect_err("it has no energy of its own");
        assert!(reason.contains("'one' ran in a continuous batch"), "{reason}");
        assert!(trial.decode_rate().is_none());
        assert!(lasting(&[1.0])[0].generation().is_ok());
    }
}
