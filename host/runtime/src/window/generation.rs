//! Generates on the engine's thread. The meter is read there too, so that no guest instruction falls between a reading
//! and the work that it measures.
//!
//! ```text
//! prepare │ read counters │ clock: tokenize, prefill, decode │ read counters │ detokenize │ records
//! ```

use super::communication_times::CommunicationTimes;
use crate::{
    energy_shares::{self, SequenceTally, StepPhase},
    run::RunContext,
    usage_history::Usage,
};
use llem_engine::{
    Completion, Control, Generation, Model, ModelInfo, Request, SequenceRows, flops::FlopCounter,
    sequence_operations, step_shares,
};
use llem_meter::ClosedWindow;
use llem_quantity::{Cause, Unavailable};
use llem_record::{Activity, EstimatedFlops, RequestTimes, SequenceEnergy};
use std::{collections::BTreeMap, time::Duration};

/// A request that was served and measured.
pub(crate) struct MeasuredGeneration {
    pub generation: Generation,
    /// The meter's span, from just before the request's clock started to just after it stopped.
    pub span: ClosedWindow,
    /// The time that each part of serving took.
    pub times: RequestTimes,
    /// The time that the ranks of a split model had spent in communication, before and after.
    pub communication: [CommunicationTimes; 2],
}

/// Serves a request on the engine's thread, in this order: everything that can be done before, read the counters, run
/// the request with its clock, read the counters again, detokenize.
pub(crate) fn generate(
    model: &mut Model,
    run: &RunContext,
    label: &str,
    request: Request,
) -> llem_engine::Result<MeasuredGeneration> {
    let began = llem_clock::now();
    let most = request.prompts.len() as u64 * request.max_new_tokens as u64;
    let observer = run.output.observer();
    observer.request(label, most);
    let control = Control {
        cancelled: &|| run.stop.is_requested(),
        progress: &|generated| observer.tokens(generated as u64),
    };
    let is_split = model.info().ranks.len() > 1;
    let prepared = model.prepare(request)?;
    let before = CommunicationTimes::read(model)?;
    model.synchronize()?;
    let ready = llem_clock::now();
    let window = run.meter().open_with_curves();
    let opened = llem_clock::now();
    let generation = model.run(prepared, &control);
    let ended = llem_clock::now();
    if is_split {
        // The leading rank has its last token, but the others may still work, and their work belongs to the request. If
        // a rank has failed, nothing is waited for.
        let _ = model.synchronize();
    }
    let span = run.meter().close(window);
    // If a rank has failed, the times are not known any more.
    let after = CommunicationTimes::read(model).unwrap_or_default();
    let closed = llem_clock::now();
    let mut generation = generation?;
    let detokenized = model.detokenize_all(&mut generation.completions);
    generation.failure = generation.failure.take().or(detokenized.err());
    let ns = |time: Duration| time.as_nanos() as u64;
    let times = RequestTimes {
        total_ns: ns(llem_clock::elapsed(began)),
        prepare_ns: ns(ready - began),
        meter_ns: ns((opened - ready) + (closed - ended)),
        tokenize_ns: ns(generation.tokenize_time()),
        prefill_ns: ns(generation.prefill_time()),
        decode_ns: ns(generation.decode_time()),
        detokenize_ns: ns(generation.detokenize_time()),
    };
    Ok(MeasuredGeneration { generation, span, times, communication: [before, after] })
}

/// The requests, tokens, times and operations of a generation.
pub(crate) fn activity(info: &ModelInfo, generation: &Generation) -> Activity {
    let completions = &generation.completions;
    let flops = |completion: &Completion| {
        let counted = FlopCounter::new(&info.shape, completion.adapter.as_ref());
        let (prompt, output) = (completion.prompt_tokens, completion.tokens.len());
        let (prefill, decode) = counted.generation(prompt, output, completion.prompt_logits);
        [prefill.total(), decode.total()]
    };
    let flops = completions.iter().map(flops);
    let [prefill, decode] = flops.fold([0.0; 2], |sum, one| [sum[0] + one[0], sum[1] + one[1]]);
    Activity {
        requests: completions.len() as u64,
        prompt_tokens: completions.iter().map(|completion| completion.prompt_tokens as u64).sum(),
        output_tokens: completions.iter().map(|completion| completion.tokens.len() as u64).sum(),
        prefill_ns: generation.prefill_time().as_nanos() as u64,
        decode_ns: generation.decode_time().as_nanos() as u64,
        flops_estimated: EstimatedFlops::new(prefill, decode, 0.0),
        ..Activity::default()
    }
}

/// Adds the energy of a request to its phases, and divides it among its sequences.
pub(crate) fn share_out(
    run: &RunContext,
    info: &ModelInfo,
    generation: &Generation,
    span: &ClosedWindow,
    held: &Usage,
) -> Vec<SequenceEnergy> {
    let steps = steps(info, generation, span);
    let (covers, mut energy) = energy_shares::span_energy(span, held, &steps);
    if info.split.data > 1 {
        let reason = "replicas run prefill and decode at the same time, and energy is that of all";
        energy = Err(Unavailable::new(Cause::NotSeparable, reason));
    }
    let mut sequences: BTreeMap<u64, SequenceTally> = BTreeMap::new();
    {
        let phases = &mut run.work.totals().energy;
        energy_shares::share_out(&energy, &covers, &steps, phases, &mut sequences);
    }
    let total = held.total(span).energy;
    let names = 0..generation.completions.len() as u64;
    names
        .map(|name| {
            let mut sequence = sequences.remove(&name).unwrap_or_default();
            // If the total is not known, no part of it is.
            if let Err(reason) = &total {
                sequence.mark_unknown(reason);
            }
            sequence.record()
        })
        .collect()
}

/// The steps of a static request, which fill its whole span: prefill as one step, then one step for each token of the
/// longest sequence. A sequence takes part in the steps of its own tokens.
fn steps(
    info: &ModelInfo,
    generation: &Generation,
    span: &ClosedWindow,
) -> Vec<energy_shares::SharedStep> {
    let completions = &generation.completions;
    let step = |phase, from, to, rows: Vec<(u64, SequenceRows<'_>)>| {
        let (names, rows): (Vec<u64>, Vec<SequenceRows<'_>>) = rows.into_iter().unzip();
        let shares = step_shares(info, &rows, &sequence_operations(info, &rows));
        let is_prompt = phase == StepPhase::Prefill;
        let named = names.into_iter().zip(shares);
        let sequences = named.map(|(name, share)| (name, is_prompt, share)).collect();
        energy_shares::SharedStep { phase, from, to, sequences }
    };
    let rows = |token: usize| {
        let took_part = |completion: &&Completion| token == 0 || completion.tokens.len() > token;
        let named = (0..).zip(completions).filter(move |(_, completion)| took_part(completion));
        let rows = named.map(move |(name, completion)| {
            let (prompt, adapter) = (completion.prompt_tokens, completion.adapter.as_ref());
            let (new, past, logits) = match token {
                0 => (prompt, 0, completion.prompt_logits.rows(prompt)),
                _ => (1, prompt + token - 1, 1),
            };
            (name, SequenceRows { new, past, logits, adapter })
        });
        rows.collect::<Vec<_>>()
    };
    let longest = completions.iter().map(|completion| completion.tokens.len()).max().unwrap_or(0);
    let end = span.started + span.wall;
    let decodes = longest > 1;
    let prefilled = if decodes { generation.prefilled.min(end) } else { end };
    let mut steps = vec![step(StepPhase::Prefill, span.started, prefilled, rows(0))];
    let mut from = prefilled;
    for token in 1..longest {
        let times = completions.iter().filter_map(|completion| completion.token_times.get(token));
        let last = times.max().copied().unwrap_or(from);
        let to = if token + 1 == longest { end } else { last.clamp(from, end) };
        steps.push(step(StepPhase::Decode, from, to, rows(token)));
        from = to;
    }
    steps
}
