//! The measured work itself: on the engine's thread, bracketed there by the meter, so that no guest
//! instruction falls between a reading and what it measures.
//!
//! ```text
//! prepare │ read counters │ clock: tokenize, prefill, decode │ read counters │ detokenize │ records
//! ```

use super::communication::Communication;
use crate::{
    energy_shares::{self, Phase, SequenceTally},
    holdings::During,
    run::Run,
};
use llem_engine::{
    Completion, Control, Generation, Info, Model, Request,
    flops::Counted,
    shares::{self, Rows},
};
use llem_meter::Span;
use llem_record::event::{Activity, EstimatedFlops, RequestTimes, SequenceEnergy};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A request that was served and measured.
pub struct Measured {
    /// What came of it.
    pub generation: Generation,
    /// What was metered from just before its clock started to just after it stopped.
    pub span: Span,
    /// What serving it took.
    pub times: RequestTimes,
    /// What the ranks of a split model had spent in communication before and after.
    pub communication: [Communication; 2],
}

/// Serves a request on the engine's thread. All that can be done before is done; counters are read; the request's clock
/// runs; counters are read again; then text is made.
pub fn generate(
    model: &mut Model,
    run: &Run,
    label: &str,
    request: Request,
) -> llem_engine::Result<Measured> {
    let began = Instant::now();
    let most = request.prompts.len() as u64 * request.max_new_tokens as u64;
    let observer = run.output.observer();
    observer.request(label, most);
    let control = Control {
        cancelled: &|| run.stop.is_requested(),
        progress: &|generated| observer.tokens(generated as u64),
    };
    let is_split = model.info().ranks.len() > 1;
    let prepared = model.prepare(request)?;
    let before = Communication::of(model)?;
    model.synchronize()?;
    let ready = Instant::now();
    let window = run.meter().follow();
    let opened = Instant::now();
    let generation = model.run(prepared, &control);
    let ended = Instant::now();
    if is_split {
        // The rank that leads has its last token; what the others still do belongs to it. Of ranks of
        // which one has failed, nothing is waited for.
        let _ = model.synchronize();
    }
    let span = run.meter().close(window);
    // Ranks of which one has failed tell nothing any more.
    let after = Communication::of(model).unwrap_or_default();
    let closed = Instant::now();
    let mut generation = generation?;
    let detokenized = model.detokenize_all(&mut generation.completions);
    generation.failure = generation.failure.take().or(detokenized.err());
    let ns = |time: Duration| time.as_nanos() as u64;
    let times = RequestTimes {
        total_ns: ns(began.elapsed()),
        prepare_ns: ns(ready - began),
        meter_ns: ns((opened - ready) + (closed - ended)),
        tokenize_ns: ns(generation.tokenize_time()),
        prefill_ns: ns(generation.prefill_time()),
        decode_ns: ns(generation.decode_time()),
        detokenize_ns: ns(generation.detokenize_time()),
    };
    Ok(Measured { generation, span, times, communication: [before, after] })
}

/// What a generation did.
pub fn activity(info: &Info, generation: &Generation) -> Activity {
    let completions = &generation.completions;
    let flops = |completion: &Completion| {
        let counted = Counted::new(&info.shape, completion.adapter.as_ref());
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

/// Counts the energy of a request to its phases, and shares it among its sequences.
pub fn share_out(
    run: &Run,
    info: &Info,
    generation: &Generation,
    span: &Span,
    held: &During,
) -> Vec<SequenceEnergy> {
    let steps = steps(info, generation, span);
    let (covers, mut energy) = energy_shares::followed(span, held, &steps);
    if info.split.data > 1 {
        let reason = "replicas run prefill and decode at the same time, and energy is that of all";
        energy = Err(reason.to_owned());
    }
    let mut sequences: BTreeMap<u64, SequenceTally> = BTreeMap::new();
    {
        let phases = &mut run.work.done().energy;
        energy_shares::share_out(&energy, &covers, &steps, phases, &mut sequences);
    }
    let total = held.total(span).energy;
    let names = 0..generation.completions.len() as u64;
    names
        .map(|name| {
            let mut sequence = sequences.remove(&name).unwrap_or_default();
            // Of what is not known as a whole no part is.
            if let Err(reason) = &total {
                sequence.lose(reason);
            }
            sequence.record()
        })
        .collect()
}

/// A static request's steps, which fill all of its span: prefill as one, then a step for each token of the longest
/// sequence, in which those took part that have it.
fn steps(info: &Info, generation: &Generation, span: &Span) -> Vec<energy_shares::Step> {
    let completions = &generation.completions;
    let step = |phase, from, to, rows: Vec<(u64, Rows<'_>)>| {
        let (names, rows): (Vec<u64>, Vec<Rows<'_>>) = rows.into_iter().unzip();
        let shares = shares::of_step(info, &rows, &shares::operations(info, &rows));
        let is_prompt = phase == Phase::Prefill;
        let named = names.into_iter().zip(shares);
        let sequences = named.map(|(name, share)| (name, is_prompt, share)).collect();
        energy_shares::Step { phase, from, to, sequences }
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
            (name, Rows { new, past, logits, adapter })
        });
        rows.collect::<Vec<_>>()
    };
    let longest = completions.iter().map(|completion| completion.tokens.len()).max().unwrap_or(0);
    let end = span.started + span.wall;
    let decodes = longest > 1;
    let prefilled = if decodes { generation.prefilled.min(end) } else { end };
    let mut steps = vec![step(Phase::Prefill, span.started, prefilled, rows(0))];
    let mut from = prefilled;
    for token in 1..longest {
        let times = completions.iter().filter_map(|completion| completion.token_times.get(token));
        let last = times.max().copied().unwrap_or(from);
        let to = if token + 1 == longest { end } else { last.clamp(from, end) };
        steps.push(step(Phase::Decode, from, to, rows(token)));
        from = to;
    }
    steps
}
