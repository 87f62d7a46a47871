//! Trials: measured requests, with their latencies, rates and energies.

use crate::{
    Error, Result,
    bindings::trials,
    completion::{Completion, Generation},
    quantity::{Quantity, Reading, Source},
    request::Request,
};
use std::rc::Rc;

/// One nanosecond, in seconds.
const NS: f64 = 1e-9;

/// One request that was run, and its result.
///
/// ```
/// use llem_sdk::{Completion, Request, Trial};
///
/// let completion = Completion::from_token_times(1_000_000, &[3_000_000, 7_000_000]);
/// let trial = Trial::from_completions(0, Request::from_text("hello"), vec![completion]);
/// assert_eq!(trial.ttft(), [2e-3]);
/// assert_eq!(trial.output_tokens(), 2);
/// // In a continuous batch a request has no energy of its own.
/// assert!(trial.joules_per_output_token().is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Trial {
    /// The zero-based position among the requests of its phase.
    pub index: u32,
    /// The request that was run.
    pub request: Request,
    /// The result of the request.
    pub outcome: TrialOutcome,
    /// The host's resource of this trial, if there is one.
    resource: Option<Rc<trials::Trial>>,
}

/// The result of a request that ran alone or in a continuous batch.
#[derive(Clone, Debug)]
pub enum TrialOutcome {
    /// The request ran alone, so that its times and energy are known.
    Alone(Box<Generation>),
    /// The request ran in a continuous batch: the completions of its prompts, in order.
    Batched(Vec<Completion>),
}

impl Trial {
    /// Creates the trial of a request that ran alone.
    pub fn from_generation(index: u32, request: Request, generation: Generation) -> Self {
        Self { index, request, outcome: TrialOutcome::Alone(Box::new(generation)), resource: None }
    }

    /// Creates the trial of a request that ran in a continuous batch.
    pub fn from_completions(index: u32, request: Request, completions: Vec<Completion>) -> Self {
        Self { index, request, outcome: TrialOutcome::Batched(completions), resource: None }
    }

    /// Adds the host's resource of this trial.
    pub(crate) fn with_resource(mut self, resource: trials::Trial) -> Self {
        self.resource = Some(Rc::new(resource));
        self
    }

    /// Drops the host's resource of this trial, so that the host can free it.
    pub(crate) fn drop_resource(&mut self) {
        self.resource = None;
    }

    /// Returns the host's resource of this trial. Only the standard runner has it, to pass it to policies that are
    /// components.
    pub fn resource(&self) -> Option<&trials::Trial> {
        self.resource.as_deref()
    }

    /// Returns the completions of the prompts, in order.
    pub fn completions(&self) -> &[Completion] {
        match &self.outcome {
            TrialOutcome::Alone(generation) => &generation.completions,
            TrialOutcome::Batched(completions) => completions,
        }
    }

    /// Returns the result of a request that ran alone. Fails if it ran in a continuous batch, where a request has no
    /// times and energy of its own.
    pub fn generation(&self) -> Result<&Generation> {
        match &self.outcome {
            TrialOutcome::Alone(generation) => Ok(generation),
            TrialOutcome::Batched(_) => Err(Error::from(format!(
                "request '{}' ran in a continuous batch, where no times and energy are its own: its completions and \
                 the session's measurement tell what there is",
                self.request.label
            ))),
        }
    }

    /// Returns when the request began or, in a continuous batch, was submitted, in ns since the run began.
    pub fn began(&self) -> u64 {
        match &self.outcome {
            TrialOutcome::Alone(generation) => generation.measurement.started,
            TrialOutcome::Batched(completions) => {
                completions.iter().map(|one| one.submitted).min().unwrap_or_default()
            }
        }
    }

    /// Returns when the request ended, in ns since the run began.
    pub fn ended(&self) -> u64 {
        match &self.outcome {
            TrialOutcome::Alone(generation) => {
                generation.measurement.started + generation.measurement.wall_time
            }
            TrialOutcome::Batched(completions) => {
                let last = |one: &Completion| one.token_times.last().copied();
                completions.iter().filter_map(last).max().unwrap_or_else(|| self.began())
            }
        }
    }

    /// Returns how long the request took, including waiting, in seconds.
    pub fn seconds(&self) -> f64 {
        self.ended().saturating_sub(self.began()) as f64 * NS
    }

    /// Returns the time to first token of each sequence, in seconds.
    pub fn ttft(&self) -> Vec<f64> {
        self.completions().iter().filter_map(Completion::ttft).collect()
    }

    /// Returns the inter-token latencies of all sequences, in seconds.
    pub fn itl(&self) -> Vec<f64> {
        let gaps = |one: &Completion| {
            let times = one.token_times.clone();
            (1..times.len()).map(move |index| (times[index] - times[index - 1]) as f64 * NS)
        };
        self.completions().iter().flat_map(gaps).collect()
    }

    /// Returns the number of generated tokens.
    pub fn output_tokens(&self) -> u64 {
        self.completions().iter().map(|one| one.tokens.len() as u64).sum()
    }

    /// Returns the number of tokens that decode generated: all but the first of each sequence, which comes from
    /// prefill.
    fn decoded_tokens(&self) -> u64 {
        self.completions().iter().map(|one| one.tokens.len().saturating_sub(1) as u64).sum()
    }

    /// Returns the prefill rate in {token}/s, or `None` if no prefill was timed or if the request ran in a continuous
    /// batch.
    pub fn prefill_rate(&self) -> Option<Quantity> {
        let generation = self.generation().ok()?;
        rate(generation.measurement.activity.prompt_tokens, generation.prefill_time)
    }

    /// Returns the decode rate in {token}/s, without the first token of each sequence. Returns `None` if there was no
    /// decode or if the request ran in a continuous batch.
    pub fn decode_rate(&self) -> Option<Quantity> {
        rate(self.decoded_tokens(), self.generation().ok()?.decode_time)
    }

    /// Returns the energy of prefill per prompt token, in J/{token}, or the reason why it is not known.
    pub fn prefill_joules_per_token(&self) -> Reading {
        let measurement = &self.generation().map_err(|error| error.message)?.measurement;
        let energy = measurement.energy_prefill.clone()?;
        per_token(&energy, measurement.activity.prompt_tokens, "no prompt was run")
    }

    /// Returns the energy of decode per token that decode generated, in J/{token}, or the reason why it is not known.
    pub fn decode_joules_per_token(&self) -> Reading {
        let measurement = &self.generation().map_err(|error| error.message)?.measurement;
        let energy = measurement.energy_decode.clone()?;
        per_token(&energy, self.decoded_tokens(), "no token was decoded")
    }

    /// Returns the share of each sequence in the energy of its steps, in J, or the reason why it is not known.
    pub fn joules_per_sequence(&self) -> Vec<Reading> {
        self.completions().iter().map(|completion| completion.energy.clone()).collect()
    }

    /// Returns the total energy per generated token, in J/{token}, or the reason why it is not known.
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
            Some(generation) => {
                Self::from_generation(index, request, Generation::from(&generation))
            }
            None => {
                let completions = from.completions().iter().map(Completion::from).collect();
                Self::from_completions(index, request, completions)
            }
        }
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

/// Groups trials by the labels of their requests, in the order of first appearance.
pub fn group_by_label(trials: &[Trial]) -> Vec<(&str, Vec<&Trial>)> {
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
    use crate::fixtures::{completion, generation, trials_lasting};

    #[test]
    fn a_sequence_without_tokens_does_not_change_the_decode_rate() {
        let mut generation = generation(0, 2_000_000_000);
        generation.completions = [5, 0, 0].map(completion).into();
        generation.decode_time = 2_000_000_000;
        generation.measurement.energy_decode = Ok(Quantity::exact(8.0, "J", Source::Derived));
        let trial = Trial::from_generation(0, Request::from_tokens([0]), generation);
        let energy = trial.decode_joules_per_token().expect("four tokens were decoded");
        assert_eq!((energy.value, &energy.unit[..]), (2.0, "J/{token}"));
        assert_eq!(trial.decode_rate().expect("four tokens in two seconds").value, 2.0);
    }

    #[test]
    fn a_batched_request_has_its_own_latencies_but_no_energy() {
        let mut one = completion(3);
        (one.submitted, one.token_times) = (1_000, vec![2_000, 5_000, 6_000]);
        let trial =
            Trial::from_completions(7, Request::from_tokens([0]).label("one"), vec![one.clone()]);
        assert_eq!((trial.began(), trial.ended()), (1_000, 6_000));
        assert!((trial.ttft()[0] - 1e-6).abs() < 1e-15 && trial.itl().len() == 2);
        assert!((one.tpot().expect("three tokens") - 2e-6).abs() < 1e-15);
        assert!((one.e2el().expect("three tokens") - 5e-6).abs() < 1e-15);
        let reason = trial.joules_per_output_token().expect_err("it has no energy of its own");
        assert!(reason.contains("'one' ran in a continuous batch"), "{reason}");
        assert!(trial.decode_rate().is_none());
        assert!(trials_lasting(&[1.0])[0].generation().is_ok());
    }
}
