//! Trials with given latencies, and a model, for tests without a host.

use crate::{
    completion::{Completion, Generation},
    devices::Dtype,
    load_options::{Parallelism, Rank},
    measurement::{Activity, Course, Measurement},
    model_info::ModelInfo,
    policy::{WarmupPolicy, WarmupStep},
    request::Request,
    trial::{Trial, TrialOutcome},
};

/// Creates a completion with ten prompt tokens and this many generated tokens, all of them at time zero.
pub(crate) fn completion(tokens: usize) -> Completion {
    Completion { prompt_tokens: 10, ..Completion::from_token_times(0, &vec![0; tokens]) }
}

/// Creates a static batch of one sequence from its beginning and length in ns.
pub(crate) fn generation(started: u64, wall_time: u64) -> Generation {
    let unknown = || Err("no meter in this test".to_owned());
    let measurement = Measurement {
        label: String::new(),
        started,
        wall_time,
        warnings: Vec::new(),
        energy: Vec::new(),
        energy_total: unknown(),
        energy_covers: Vec::new(),
        energy_cpu: unknown(),
        energy_accelerators: unknown(),
        energy_prefill: unknown(),
        energy_decode: unknown(),
        energy_mixed: unknown(),
        energy_outside: unknown(),
        energy_per_output_token: unknown(),
        energy_above_idle: unknown(),
        devices_used: 1,
        energy_imbalance: unknown(),
        segments: Vec::new(),
        activity: Activity { requests: 1, decode_time: wall_time, ..Activity::default() },
        ranks: Vec::new(),
        courses: Vec::new(),
        throttled: Vec::new(),
        memory_peaks: Vec::new(),
    };
    let completions = vec![completion(1)];
    Generation { completions, prefill_time: 0, decode_time: wall_time, measurement }
}

/// Creates trials of these lengths in seconds, one right after the other.
pub(crate) fn trials_lasting(seconds: &[f64]) -> Vec<Trial> {
    let mut now = 1_000;
    let trial = |(index, seconds): (usize, &f64)| {
        let wall_time = (seconds * 1e9) as u64;
        let generation = generation(now, wall_time);
        now += wall_time;
        Trial::from_generation(index as u32, Request::from_tokens([0]), generation)
    };
    seconds.iter().enumerate().map(trial).collect()
}

/// Creates trials of equal length in seconds, with a GPU that has these temperatures in Cel at their ends.
pub(crate) fn trials_heating(seconds: f64, temperatures: &[f64]) -> Vec<Trial> {
    let mut trials = trials_lasting(&vec![seconds; temperatures.len()]);
    let mut previous = temperatures.first().copied().unwrap_or_default();
    for (trial, &last) in trials.iter_mut().zip(temperatures) {
        let TrialOutcome::Alone(generation) = &mut trial.outcome else { continue };
        generation.measurement.courses.push(Course {
            device: "cuda:0".to_owned(),
            reading: "temperature".to_owned(),
            unit: "Cel".to_owned(),
            first: previous,
            last,
            min: previous.min(last),
            max: previous.max(last),
            mean: (previous + last) / 2.0,
        });
        previous = last;
    }
    trials
}

/// Creates a dense model on this many ranks, whose decode steps read 900 of its 1000 bytes of weights.
pub(crate) fn model(ranks: usize) -> ModelInfo {
    let rank = Rank {
        device: "cpu".to_owned(),
        first_layer: 0,
        layers: 1,
        weight_bytes: 1000 / ranks as u64,
    };
    ModelInfo {
        source: String::new(),
        architecture: String::new(),
        digest: String::new(),
        parameters: 250,
        parameters_without_embeddings: 240,
        weight_bytes: 1000,
        decode_weight_bytes: 900,
        dtype: Dtype::F32,
        kv_dtype: Dtype::F32,
        quantization: None,
        device: "cpu".to_owned(),
        threads: 1,
        parallelism: Parallelism::new(ranks as u32, 1, 1),
        ranks: vec![rank; ranks],
        context_length: 64,
        vocab_size: 10,
        layers: 1,
        hidden_size: 1,
        intermediate_size: Some(1),
        heads: 1,
        kv_heads: 1,
        head_size: 1,
        experts: 0,
        experts_per_token: 0,
        expert_size: None,
        has_tied_embeddings: false,
        attention_windows: vec![None],
        kv_bytes_per_token: 10,
        eos_tokens: Vec::new(),
        has_tokenizer: false,
        load_time: 0,
    }
}

/// Returns after how many of the given trials a policy is done.
pub(crate) fn runs_until_done(policy: &mut impl WarmupPolicy, trials: &[Trial]) -> Option<usize> {
    (0..=trials.len()).find(|&runs| matches!(policy.next(&trials[..runs]), Ok(WarmupStep::Done(_))))
}
