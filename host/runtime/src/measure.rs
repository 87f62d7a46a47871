//! The measured work itself: on the engine's thread, bracketed there by the meter, so that no guest
//! instruction falls between a reading and what it measures. And what is kept of it.
//!
//! ```text
//! prepare │ read counters │ clock: tokenize, prefill, decode │ read counters │ detokenize │ records
//! ```

use crate::{
    batch_energy,
    bindings::{
        engine::{self, FinishReason},
        types,
    },
    energy_shares::{self, Phase, SequenceTally},
    holdings::During,
    host::types::reading,
    measurement::Communication,
    state::Run,
};
use llem_engine::{
    Completion, Control, Generation, Info, Model, Prompt, Request, Sampling,
    batch::{ScheduledTokens, Step},
    chat::Message,
    flops::{Counted, Logits},
    shares::{self, Rows},
};
use llem_meter::Span;
use llem_record::event::{
    Activity, EstimatedFlops, RequestTimes, SequenceEnergy, SequenceRecord, SequenceTimes,
    UsedAdapter,
};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// A request that was served and measured.
pub struct Measured {
    /// The stream of random numbers that its first sequence drew from.
    pub first_stream: u64,
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
    asked: &engine::Request,
) -> llem_engine::Result<Measured> {
    let began = Instant::now();
    let request = as_engine(run, asked);
    let first_stream = request.sampling.first_stream;
    let most = request.prompts.len() as u64 * request.max_new_tokens as u64;
    let observer = run.output.observer();
    observer.request(&asked.label, most);
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
    Ok(Measured { first_stream, generation, span, times, communication: [before, after] })
}

/// A script's request as the engine takes it. Sequences of a run whose script gives no seed draw from streams of their
/// own, numbered in the order in which they are asked for.
pub fn as_engine(run: &Run, request: &engine::Request) -> Request {
    let prompt = |prompt: &engine::Prompt| match prompt {
        engine::Prompt::Text(text) => Prompt::Text(text.clone()),
        engine::Prompt::Tokens(tokens) => Prompt::Tokens(tokens.clone()),
        engine::Prompt::Chat(turns) => Prompt::Chat(turns.iter().cloned().map(message).collect()),
    };
    let first_stream = run.next_streams(request.prompts.len());
    let sampling = |chosen: types::Sampling| Sampling {
        temperature: chosen.temperature,
        top_k: chosen.top_k.map(|k| k as usize),
        top_p: chosen.top_p,
        repetition_penalty: chosen.repetition_penalty,
        seed: chosen.seed.unwrap_or(run.seed),
        first_stream: if chosen.seed.is_some() { 0 } else { first_stream },
    };
    Request {
        prompts: request.prompts.iter().map(prompt).collect(),
        max_new_tokens: request.max_new_tokens as usize,
        ignore_eos: request.ignore_eos,
        stop: request.stop.clone(),
        sampling: request.sampling.map_or_else(Sampling::default, sampling),
        keep_logits: false,
        adapters: request.adapters.clone(),
    }
}

/// A turn as the engine takes it.
pub fn message(message: engine::Message) -> Message {
    Message { role: message.role, content: message.content }
}

/// What a generation did.
pub fn activity(info: &Info, generation: &Generation) -> Activity {
    let completions = &generation.completions;
    let flops = |completion: &Completion| {
        let counted = Counted::new(&info.shape, completion.adapter.as_ref());
        let (prompt, output) = (completion.prompt_tokens, completion.tokens.len());
        let (prefill, decode) = counted.generation(prompt, output, Logits::Last);
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
        let phases = &mut run.progress().phase_energy;
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
            let (new, past) = if token == 0 { (prompt, 0) } else { (1, prompt + token - 1) };
            (name, Rows { new, past, logits: 1, adapter })
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

/// What a batch's step did, which took these operations, counted to the phase that the step was.
pub fn step_activity(step: &Step, flops: f64) -> Activity {
    let (prompt_tokens, output_tokens) = (prompt_tokens(step), step.tokens.len() as u64);
    let time = (step.finished - step.started).as_nanos() as u64;
    let begun = |tokens: &&ScheduledTokens| tokens.prompt && tokens.past == 0;
    let all = Activity {
        requests: step.scheduled.iter().filter(begun).count() as u64,
        prompt_tokens,
        output_tokens,
        ..Activity::default()
    };
    match batch_energy::phase(step) {
        None => all,
        Some(Phase::Prefill) => Activity {
            prefill_ns: time,
            flops_estimated: EstimatedFlops::new(flops, 0.0, 0.0),
            ..all
        },
        Some(Phase::Decode) => Activity {
            decode_ns: time,
            flops_estimated: EstimatedFlops::new(0.0, flops, 0.0),
            ..all
        },
        Some(Phase::Mixed) => Activity {
            mixed_ns: time,
            mixed_prompt_tokens: prompt_tokens,
            mixed_output_tokens: output_tokens,
            flops_estimated: EstimatedFlops::new(0.0, 0.0, flops),
            ..all
        },
    }
}

/// Prompt tokens that a step ran.
pub fn prompt_tokens(step: &Step) -> u64 {
    step.scheduled.iter().filter(|tokens| tokens.prompt).map(|tokens| tokens.new as u64).sum()
}

/// Sequences as the record keeps them, with the energy of each.
pub fn sequences(
    run: &Run,
    generation: &Generation,
    energies: Vec<SequenceEnergy>,
) -> Vec<SequenceRecord> {
    let submitted = run.clock.at(generation.submitted);
    let pairs = generation.completions.iter().zip(energies);
    pairs.map(|(completion, energy)| sequence(run, completion, submitted, Some(energy))).collect()
}

/// A sequence as the record keeps it; it arrived at `arrival_ns`. The energy of one of a continuous batch is known later.
pub fn sequence(
    run: &Run,
    completion: &Completion,
    arrival_ns: u64,
    energy: Option<SequenceEnergy>,
) -> SequenceRecord {
    SequenceRecord {
        prompt_tokens: completion.prompt_tokens as u32,
        tokens: completion.tokens.clone(),
        finish: completion.finish.to_string(),
        submitted_ns: arrival_ns,
        token_ns: completion.token_times.iter().map(|&time| run.clock.at(time)).collect(),
        times: sequence_times(run, completion, arrival_ns),
        adapter: completion.adapter.as_ref().map(|adapted| UsedAdapter {
            name: adapted.adapter.name.clone(),
            mode: adapted.mode.to_string(),
        }),
        energy,
    }
}

fn sequence_times(run: &Run, completion: &Completion, arrival_ns: u64) -> SequenceTimes {
    let at = |time: Instant| run.clock.at(time);
    let [submitted, tokenized] = [completion.submitted, completion.tokenized].map(at);
    let started = completion.started.map_or(tokenized, at);
    let first = completion.token_times.first().map_or(started, |&time| at(time));
    let last = completion.token_times.last().map_or(first, |&time| at(time));
    SequenceTimes {
        tokenize_ns: tokenized.saturating_sub(submitted),
        queue_ns: submitted.saturating_sub(arrival_ns) + started.saturating_sub(tokenized),
        prefill_ns: first.saturating_sub(started),
        decode_ns: last - first,
        detokenize_ns: completion.detokenize_time.as_nanos() as u64,
    }
}

/// Sequences as the guest sees them.
pub fn completions(
    generation: &Generation,
    sequences: &[SequenceRecord],
) -> Vec<engine::Completion> {
    let pairs = generation.completions.iter().zip(sequences);
    pairs.map(|(completion, sequence)| self::completion(completion, sequence)).collect()
}

/// A sequence as the guest sees it.
pub fn completion(completion: &Completion, sequence: &SequenceRecord) -> engine::Completion {
    engine::Completion {
        prompt_tokens: sequence.prompt_tokens,
        tokens: sequence.tokens.clone(),
        text: completion.text.clone(),
        finish: completion.finish.into(),
        submitted: sequence.submitted_ns,
        token_times: sequence.token_ns.clone(),
        adapter: sequence.adapter.as_ref().map(|adapter| adapter.name.clone()),
        energy: share_seen(sequence.energy.as_ref()),
    }
}

fn share_seen(energy: Option<&SequenceEnergy>) -> types::Reading {
    let energy = energy.ok_or_else(|| "sequence-energy of its batch tells it".to_owned())?;
    reading(energy.share.reading())
}

impl From<llem_engine::FinishReason> for FinishReason {
    fn from(reason: llem_engine::FinishReason) -> Self {
        use llem_engine::FinishReason as Reason;
        match reason {
            Reason::Eos => Self::Eos,
            Reason::Length => Self::Length,
            Reason::Stop => Self::Stop,
            Reason::Context => Self::Context,
            Reason::Interrupted => Self::Interrupted,
            Reason::Cancelled => Self::Cancelled,
        }
    }
}
