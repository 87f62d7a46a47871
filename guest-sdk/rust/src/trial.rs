//! What can be read off a trial, in the field's terms.

use crate::bindings::{Quantity, Source, Trial};

const NS: f64 = 1e-9;

impl Trial {
    /// When it ended, ns since the run began.
    pub fn ended(&self) -> u64 {
        let measurement = &self.generation.measurement;
        measurement.started + measurement.wall_time
    }

    /// How long it took, s.
    pub fn seconds(&self) -> f64 {
        self.generation.measurement.wall_time as f64 * NS
    }

    /// Time to first token of each sequence, s.
    pub fn ttft(&self) -> Vec<f64> {
        let completions = self.generation.completions.iter();
        completions
            .filter_map(|completion| {
                Some((completion.token_times.first()? - completion.submitted) as f64 * NS)
            })
            .collect()
    }

    /// Inter-token latencies of all sequences, s.
    pub fn itl(&self) -> Vec<f64> {
        let completions = self.generation.completions.iter();
        completions
            .flat_map(|completion| {
                completion.token_times.windows(2).map(|pair| (pair[1] - pair[0]) as f64 * NS)
            })
            .collect()
    }

    /// Tokens generated.
    pub fn output_tokens(&self) -> u64 {
        self.generation.measurement.activity.output_tokens
    }

    /// Tokens that decode made: all but the first of each sequence, which is prefill's. A sequence that ended before its
    /// first token has none to leave out.
    fn decoded_tokens(&self) -> u64 {
        let completions = self.generation.completions.iter();
        let first = completions.filter(|completion| !completion.tokens.is_empty()).count();
        self.output_tokens().saturating_sub(first as u64)
    }

    /// Prompt tokens per second of prefill; none where nothing was timed.
    pub fn prefill_rate(&self) -> Option<Quantity> {
        let tokens = self.generation.measurement.activity.prompt_tokens;
        rate(tokens, self.generation.prefill_time)
    }

    /// Tokens after each sequence's first per second of decode; none where there was no decode.
    pub fn decode_rate(&self) -> Option<Quantity> {
        rate(self.decoded_tokens(), self.generation.decode_time)
    }

    /// Energy of prompt processing per prompt token, or the reason why there is none.
    pub fn prefill_joules_per_token(&self) -> Result<Quantity, String> {
        let measurement = &self.generation.measurement;
        let energy = measurement.energy_prefill.clone()?;
        per_token(&energy, measurement.activity.prompt_tokens, "no prompt was run")
    }

    /// Energy of decode per token that it made (all but each sequence's first), or the reason why there is none.
    pub fn decode_joules_per_token(&self) -> Result<Quantity, String> {
        let energy = self.generation.measurement.energy_decode.clone()?;
        per_token(&energy, self.decoded_tokens(), "no token was decoded")
    }

    /// Energy of each sequence, J: its share of the steps that it took part in; or the reason why it is not known.
    pub fn joules_per_sequence(&self) -> Vec<Result<Quantity, String>> {
        self.generation.completions.iter().map(|completion| completion.energy.clone()).collect()
    }

    /// Energy per generated token, or the reason why there is none.
    pub fn joules_per_output_token(&self) -> Result<Quantity, String> {
        let energy = self.generation.measurement.energy_total.clone()?;
        per_token(&energy, self.output_tokens(), "no token was generated")
    }
}

fn per_token(energy: &Quantity, tokens: u64, nothing: &str) -> Result<Quantity, String> {
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
    use crate::{
        bindings::{Completion, FinishReason},
        warmup::fixtures::lasting,
    };

    fn completion(tokens: usize) -> Completion {
        Completion {
            prompt_tokens: 10,
            tokens: vec![0; tokens],
            text: None,
            finish: FinishReason::Length,
            submitted: 0,
            token_times: vec![0; tokens],
            adapter: None,
            energy: Err(String::new()),
        }
    }

    #[test]
    fn a_sequence_without_tokens_takes_none_from_the_others() {
        let mut trial = lasting(&[2.0]).remove(0);
        trial.generation.completions = [5, 0, 0].map(completion).into();
        trial.generation.decode_time = 2_000_000_000;
        let measurement = &mut trial.generation.measurement;
        measurement.activity.output_tokens = 5;
        measurement.energy_decode = Ok(Quantity::exact(8.0, "J", Source::Derived));
        let energy = trial.decode_joules_per_token().expect("four tokens were decoded");
        assert_eq!((energy.value, &energy.unit[..]), (2.0, "J/{token}"));
        assert_eq!(trial.decode_rate().expect("four tokens in two seconds").value, 2.0);
    }
}
