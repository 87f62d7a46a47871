//! Latency, throughput and energy of groups of requests.
//!
//! TTFT, ITL, TPOT and E2EL are defined as in vLLM's benchmark: TPOT = (E2EL - TTFT) / (n - 1).

use crate::{
    activity::Activity,
    distribution::{Distribution, Samples},
    energy::{DomainRecord, per_token},
    energy_sums::{EnergySum, EnergySums},
    generation::{GenerationRecord, SequenceRecord},
    group_key::GroupKey,
    model::UsedAdapter,
};
use llem_quantity::{Quantity, ReadingRecord, Source};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Returns the tokens per second, or `None` if there were no tokens or no time passed.
pub(crate) fn token_rate(tokens: u64, time_ns: u64) -> Option<Quantity> {
    (tokens > 0 && time_ns > 0)
        .then(|| Quantity::exact(tokens as f64 / seconds(time_ns), "{token}/s", Source::Derived))
}

/// A summary of the requests with one label to one model in one phase.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct RequestGroup {
    /// The names of the open phases, joined by `/`.
    pub phase: String,
    /// The label that the requests of the group share.
    pub label: String,
    /// The model's number. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<u64>,
    /// Number of static requests, plus the number of sequences of continuous batches.
    pub requests: u64,
    /// The work of all requests together. Its `requests` counts sequences.
    pub activity: Activity,
    /// The adapters of the requests, each once.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub adapters: BTreeSet<UsedAdapter>,
    /// Time to first token, s.
    pub ttft_s: Option<Distribution>,
    /// Inter-token latency, s: one value for each gap of each sequence.
    pub itl_s: Option<Distribution>,
    /// Time per output token after the first, s: one value for each sequence.
    pub tpot_s: Option<Distribution>,
    /// End-to-end latency, s.
    pub e2el_s: Option<Distribution>,
    /// Prompt tokens per second of prefill.
    pub prefill_rate: Option<Quantity>,
    /// Tokens after the first per second of decode.
    pub decode_rate: Option<Quantity>,
    /// Operations of prefill per prompt token, FLOP, estimated from the model's shape.
    #[serde(default)]
    pub flops_per_input_token: Option<Quantity>,
    /// Operations of decode per token that decode generated (all but the first of each sequence), FLOP, estimated from the
    /// model's shape.
    #[serde(default)]
    pub flops_per_output_token: Option<Quantity>,
    /// Energy of the requests, J. For sequences of continuous batches, the sum of their shares.
    pub energy: ReadingRecord,
    /// The domains that `energy` covers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub energy_covers: Vec<DomainRecord>,
    /// The processor's part of `energy`, J.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_cpu: Option<ReadingRecord>,
    /// The accelerators' part of `energy`, J. Absent if none did the work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_accelerators: Option<ReadingRecord>,
    /// Energy of prompt processing, J. For sequences of continuous batches, the sum of their shares of steps that processed
    /// their prompts. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_prefill: Option<ReadingRecord>,
    /// Energy of decoding, J. For sequences of continuous batches, the sum of their shares of steps in which they generated.
    /// Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_decode: Option<ReadingRecord>,
    /// Energy of the requests per generated token, J/{token}.
    pub energy_per_output_token: ReadingRecord,
    /// Energy of prompt processing per prompt token, J/{token}. Absent in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefill_energy_per_input_token: Option<ReadingRecord>,
    /// Energy of decoding per token that decode generated (all but the first of each sequence), J/{token}. Absent in older
    /// records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode_energy_per_output_token: Option<ReadingRecord>,
    /// The distribution of the sequences' shares of the energy, J.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub energy_per_sequence_j: Option<Distribution>,
}

/// The samples of a group of requests while the run goes on.
#[derive(Debug, Default)]
pub(crate) struct RequestSamples {
    requests: u64,
    activity: Activity,
    adapters: BTreeSet<UsedAdapter>,
    energy: EnergySums,
    /// Shares of the sequences in the energy, J.
    shares: Samples,
    ttft: Samples,
    itl: Samples,
    tpot: Samples,
    e2el: Samples,
    /// Number of tokens that decode generated: all but the first of each sequence.
    decoded: u64,
}

impl RequestSamples {
    /// Adds a static request.
    pub(crate) fn add(&mut self, generation: &GenerationRecord) {
        self.requests += 1;
        self.activity.add(&generation.window.activity);
        self.energy.add(&generation.window);
        generation.sequences.iter().for_each(|sequence| self.add_of_sequence(sequence));
    }

    /// Adds a sequence of a continuous batch. It has no rates of its own, because it shares its steps with others.
    pub(crate) fn add_sequence(&mut self, sequence: &SequenceRecord) {
        self.requests += 1;
        self.activity.add(&Activity {
            requests: 1,
            prompt_tokens: u64::from(sequence.prompt_tokens),
            output_tokens: sequence.tokens.len() as u64,
            ..Activity::default()
        });
        self.energy.add_share(sequence.energy.as_ref());
        self.add_of_sequence(sequence);
    }

    fn add_of_sequence(&mut self, sequence: &SequenceRecord) {
        self.adapters.extend(sequence.adapter.clone());
        let share = sequence.energy.as_ref().and_then(|energy| energy.share.reading().ok());
        self.shares.extend(share.map(|share| share.value));
        let (Some(first), Some(last)) = (sequence.token_ns.first(), sequence.token_ns.last())
        else {
            return;
        };
        self.ttft.add(seconds(first.saturating_sub(sequence.submitted_ns)));
        self.e2el.add(seconds(last.saturating_sub(sequence.submitted_ns)));
        self.itl.extend(
            sequence.token_ns.windows(2).map(|pair| seconds(pair[1].saturating_sub(pair[0]))),
        );
        let after_first = sequence.token_ns.len() as u64 - 1;
        if after_first > 0 {
            self.tpot.add(seconds(last.saturating_sub(*first)) / after_first as f64);
        }
        self.decoded += after_first;
    }

    /// Returns the summary of the group.
    pub(crate) fn summarise(&self, key: &GroupKey) -> RequestGroup {
        let energy = self.energy.total.total("no request");
        let activity = &self.activity;
        let each = per_token(&energy, activity.output_tokens, "no token was generated");
        let of_phase = |sum: &EnergySum, tokens: u64, nothing: &str| {
            let energy = sum.known()?.reading();
            Some((&per_token(&energy, tokens, nothing)).into())
        };
        let flops_per = |flops: f64, tokens: u64| {
            (tokens > 0 && flops > 0.0)
                .then(|| Quantity::exact(flops / tokens as f64, "FLOP/{token}", Source::Analytic))
        };
        let flops = self.activity.flops_estimated;
        RequestGroup {
            phase: key.phase.clone(),
            label: key.label.clone(),
            model: key.model,
            requests: self.requests,
            activity: self.activity,
            adapters: self.adapters.clone(),
            ttft_s: self.ttft.distribution(),
            itl_s: self.itl.distribution(),
            tpot_s: self.tpot.distribution(),
            e2el_s: self.e2el.distribution(),
            prefill_rate: token_rate(self.activity.prompt_tokens, self.activity.prefill_ns),
            decode_rate: token_rate(self.decoded, self.activity.decode_ns),
            flops_per_input_token: flops_per(flops.prefill, self.activity.prompt_tokens),
            flops_per_output_token: flops_per(flops.decode, self.decoded),
            energy: (&energy).into(),
            energy_covers: self.energy.covers(),
            energy_cpu: self.energy.cpu.known(),
            energy_accelerators: self.energy.accelerators.known(),
            energy_prefill: self.energy.prefill.known(),
            energy_decode: self.energy.decode.known(),
            energy_per_output_token: (&each).into(),
            prefill_energy_per_input_token: of_phase(
                &self.energy.prefill,
                activity.prompt_tokens,
                "no prompt was run",
            ),
            decode_energy_per_output_token: of_phase(
                &self.energy.decode,
                self.decoded,
                "no token was decoded",
            ),
            energy_per_sequence_j: self.shares.distribution(),
        }
    }
}

fn seconds(ns: u64) -> f64 {
    ns as f64 * 1e-9
}
