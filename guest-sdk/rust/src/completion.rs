//! Results of requests: completions, generations and scores.

use crate::{
    bindings::generations,
    measurement::Measurement,
    open_enum::open_enum,
    quantity::{Reading, reading_from},
};

pub use generations::{Score, ScoreRequest, TokenLogProbabilities, TokenLogProbability};

open_enum! {
    /// The reason why a sequence ended.
    FinishReason {
        /// An end-of-sequence token was generated. It is the last token of the sequence.
        Eos = "eos",
        /// The maximum number of tokens was generated, or the given tokens ended.
        Length = "length",
        /// A stop text appeared, or a stop token was generated. The stop token is the last token of the sequence.
        Stop = "stop",
        /// The model's context was full.
        Context = "context",
        /// The run was interrupted.
        Interrupted = "interrupted",
        /// The script cancelled the sequence.
        Cancelled = "cancelled",
    }
}

/// The result of one prompt: its tokens, their times, and the energy that they took.
///
/// ```
/// use llem_sdk::Completion;
///
/// // Submitted at 1 ms, with tokens at 3, 7 and 11 ms.
/// let completion = Completion::from_token_times(1_000_000, &[3_000_000, 7_000_000, 11_000_000]);
/// assert_eq!(completion.ttft(), Some(2e-3));
/// assert_eq!(completion.tpot(), Some(4e-3));
/// assert_eq!(completion.e2el(), Some(10e-3));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Completion {
    /// The sequence's id that [`Batch::submit`](crate::Batch::submit) returned. In a static batch, the index of the
    /// prompt.
    pub sequence: u64,
    /// The number of prompt tokens that were run. Tokens taken from a cache are not included.
    pub prompt_tokens: u32,
    /// The number of tokens before the prompt tokens whose keys and values were already in a cache.
    pub cached_tokens: u32,
    /// The generated tokens.
    pub tokens: Vec<u32>,
    /// The text of the generated tokens. `None` if the model has no tokenizer.
    pub text: Option<String>,
    /// The reason why the sequence ended.
    pub finish: FinishReason,
    /// When the sequence was submitted, or its scheduled arrival, in ns since the run began. TTFT counts from here.
    pub submitted: u64,
    /// When the batch admitted the sequence, in ns since the run began. The delay is `admitted - submitted`. `None` if
    /// the sequence ended before that, and in static batches.
    pub admitted: Option<u64>,
    /// Whether a step was running at the scheduled arrival, so that the sequence had to wait for it.
    pub due_in_step: bool,
    /// When the first pass over tokens of this sequence began, in ns since the run began. `None` if there was no pass.
    pub started: Option<u64>,
    /// When each generated token was on the host, in ns since the run began. It has the length of `tokens`.
    pub token_times: Vec<u64>,
    /// The log-probabilities of each generated token. It has the length of `tokens`, or is empty if the request did not
    /// ask for them.
    pub log_probabilities: Vec<TokenLogProbabilities>,
    /// The adapter that the sequence ran with. `None` means the base weights.
    pub adapter: Option<String>,
    /// The sequence's share of the energy of its steps, in J. In a continuous batch it is not known yet when a sequence
    /// ends. There [`Batch::sequence_energy`](crate::Batch::sequence_energy) returns it.
    pub energy: Reading,
}

/// The result of a static batch. The host measures it from just before the work to just after it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Generation {
    /// One completion for each prompt, in order.
    pub completions: Vec<Completion>,
    /// The time of prompt processing of the whole batch, up to the first sampled tokens, in ns.
    pub prefill_time: u64,
    /// The time from the first sampled tokens to the last token, in ns.
    pub decode_time: u64,
    /// The time and energy of exactly this request.
    pub measurement: Measurement,
}

/// The scores of continuations that were scored together.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scoring {
    /// One score for each continuation, in order.
    pub scores: Vec<Score>,
    /// The time and energy of exactly this scoring.
    pub measurement: Measurement,
}

impl Completion {
    /// Creates the completion of a sequence that was submitted at this time and had its tokens at these times, in ns
    /// since the run began. All other fields are zero or empty. It is meant for tests of policies and metrics, which
    /// have no host.
    pub fn from_token_times(submitted: u64, token_times: &[u64]) -> Self {
        Self {
            sequence: 0,
            prompt_tokens: 0,
            cached_tokens: 0,
            tokens: vec![0; token_times.len()],
            text: None,
            finish: FinishReason::Length,
            submitted,
            admitted: None,
            due_in_step: false,
            started: None,
            token_times: token_times.to_vec(),
            log_probabilities: Vec::new(),
            adapter: None,
            energy: Err("no energy was measured".to_owned()),
        }
    }

    /// Returns the time to first token, in seconds, or `None` if there is no token.
    pub fn ttft(&self) -> Option<f64> {
        Some(seconds(self.token_times.first()?.saturating_sub(self.submitted)))
    }

    /// Returns the mean time per output token after the first, in seconds, or `None` if there are fewer than two
    /// tokens.
    pub fn tpot(&self) -> Option<f64> {
        let (first, last) = (self.token_times.first()?, self.token_times.last()?);
        let gaps = self.token_times.len() - 1;
        (gaps > 0).then(|| seconds(last.saturating_sub(*first)) / gaps as f64)
    }

    /// Returns the end-to-end latency, up to the last token, in seconds, or `None` if there is no token.
    pub fn e2el(&self) -> Option<f64> {
        Some(seconds(self.token_times.last()?.saturating_sub(self.submitted)))
    }
}

impl Generation {
    /// Returns when the batch was submitted and when each step had all its tokens, in ns since the run began.
    ///
    /// A step gives one token to each sequence that has not ended. It is over when the last of them has its token. So
    /// the second time ends prefill, and differences of later ones are the times of decode steps.
    pub fn step_times(&self) -> Vec<u64> {
        let submitted = self.completions.iter().map(|completion| completion.submitted).min();
        let mut times = vec![submitted.unwrap_or(self.measurement.started)];
        for completion in &self.completions {
            for (step, time) in completion.token_times.iter().enumerate() {
                match times.get_mut(step + 1) {
                    Some(latest) => *latest = (*latest).max(*time),
                    None => times.push(*time),
                }
            }
        }
        times
    }
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 * 1e-9
}

impl From<&generations::Completion> for Completion {
    fn from(from: &generations::Completion) -> Self {
        Self {
            sequence: from.sequence(),
            prompt_tokens: from.prompt_tokens(),
            cached_tokens: from.cached_tokens(),
            tokens: from.tokens(),
            text: from.text(),
            finish: from.finish().into(),
            submitted: from.submitted(),
            admitted: from.admitted(),
            due_in_step: from.due_in_step(),
            started: from.started(),
            token_times: from.token_times(),
            log_probabilities: from.log_probabilities(),
            adapter: from.adapter(),
            energy: reading_from(from.energy()),
        }
    }
}

impl From<&generations::Generation> for Generation {
    fn from(from: &generations::Generation) -> Self {
        Self {
            completions: from.completions().iter().map(Completion::from).collect(),
            prefill_time: from.prefill_time(),
            decode_time: from.decode_time(),
            measurement: Measurement::from(&from.measurement()),
        }
    }
}

impl From<&generations::Scoring> for Scoring {
    fn from(from: &generations::Scoring) -> Self {
        Self { scores: from.scores(), measurement: Measurement::from(&from.measurement()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::generation;

    #[test]
    fn a_step_is_over_when_its_last_sequence_has_its_token() {
        let mut generation = generation(5, 100);
        generation.completions = vec![
            Completion::from_token_times(10, &[30, 45, 60]),
            Completion::from_token_times(11, &[31, 44]),
        ];
        assert_eq!(generation.step_times(), [10, 31, 45, 60]);
        generation.completions.clear();
        assert_eq!(generation.step_times(), [5]);
    }
}
