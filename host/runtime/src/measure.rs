//! The measured work itself: on the engine's thread, bracketed there by the meter, so that no guest
//! instruction falls between a reading and what it measures. And what is kept of it.

use crate::{
    bindings::{
        engine::{self, FinishReason},
        types,
    },
    state::Run,
};
use llem_engine::{
    Completion, Control, Generation, Info, Model, Request, Sampling,
    adapters::Adapted,
    batch::{Piece, Step},
    chat::Message,
    flops::{Counted, Logits},
    score::ScoreRequest,
};
use llem_meter::Span;
use llem_record::event::{Activity, EstimatedFlops, SequenceRecord, UsedAdapter};
use std::time::{Duration, Instant};

/// What ranks have spent in communication.
type Times = Vec<Result<Duration, String>>;

/// Tokenizes, then generates within a window; also what the ranks of a split model had spent in
/// communication before and after. Runs on the engine's thread.
pub fn generate(
    model: &mut Model,
    run: &Run,
    request: engine::Request,
) -> llem_engine::Result<(String, Generation, Span, [Times; 2])> {
    let label = request.label.clone();
    let request = tokenized(model, request, run.seed)?;
    let most = request.prompts.len() as u64 * request.max_new_tokens as u64;
    let observer = run.output.observer();
    observer.request(&label, most);
    let control = Control {
        cancelled: &|| run.stop.is_requested(),
        progress: &|generated| observer.tokens(generated as u64),
    };
    let is_split = model.info().ranks.len() > 1;
    let times = |model: &mut Model| match is_split {
        true => model.communication_times(),
        false => Ok(Vec::new()),
    };
    let before = times(model)?;
    model.synchronize()?;
    let window = run.meter().open();
    let generation = model.generate(&request, &control);
    if is_split {
        // The rank that leads has its last token; what the others still do belongs to it. Of ranks of
        // which one has failed, nothing is waited for.
        let _ = model.synchronize();
    }
    let span = run.meter().close(window);
    let generation = generation?;
    // Ranks of which one has failed tell nothing any more.
    let after = times(model).unwrap_or_default();
    Ok((label, generation, span, [before, after]))
}

/// A script's request as the engine takes it.
pub fn tokenized(
    model: &Model,
    request: engine::Request,
    seed: u64,
) -> llem_engine::Result<Request> {
    let tokens = |prompt| match prompt {
        engine::Prompt::Text(text) => model.tokenize(&text),
        engine::Prompt::Tokens(tokens) => Ok(tokens),
        engine::Prompt::Chat(turns) => {
            model.tokenize_chat(&turns.into_iter().map(message).collect::<Vec<_>>())
        }
    };
    Ok(Request {
        prompts: request.prompts.into_iter().map(tokens).collect::<llem_engine::Result<_>>()?,
        max_new_tokens: request.max_new_tokens as usize,
        ignore_eos: request.ignore_eos,
        stop: request.stop,
        sampling: request.sampling.map_or_else(Sampling::default, |chosen| sampling(&chosen, seed)),
        keep_logits: false,
        adapters: request.adapters,
    })
}

fn sampling(chosen: &types::Sampling, seed: u64) -> Sampling {
    Sampling {
        temperature: chosen.temperature,
        top_k: chosen.top_k.map(|k| k as usize),
        top_p: chosen.top_p,
        repetition_penalty: chosen.repetition_penalty,
        seed: chosen.seed.unwrap_or(seed),
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
        flops_estimated: EstimatedFlops::new(prefill, decode),
    }
}

/// What scoring does: all of it is prefill, and logits are needed for the continuations only.
pub fn scoring(info: &Info, adapter: Option<&Adapted>, requests: &[ScoreRequest]) -> Activity {
    let counted = Counted::new(&info.shape, adapter);
    let tokens = |request: &ScoreRequest| {
        (request.context.len() + request.continuation.len()).saturating_sub(1)
    };
    let flops = |request: &ScoreRequest| {
        counted.pass(tokens(request), 0, request.continuation.len()).total()
    };
    Activity {
        requests: requests.len() as u64,
        prompt_tokens: requests.iter().map(|request| tokens(request) as u64).sum(),
        flops_estimated: EstimatedFlops::new(requests.iter().map(flops).sum(), 0.0),
        ..Activity::default()
    }
}

/// What a batch's step did: steps that ran any prompt count as prefill.
pub fn step_activity(info: &Info, step: &Step) -> Activity {
    let prompt_tokens = prompt_tokens(step);
    let time = (step.finished - step.started).as_nanos() as u64;
    let (prefill_ns, decode_ns) = if prompt_tokens > 0 { (time, 0) } else { (0, time) };
    let flops = |piece: &Piece| {
        let counted = Counted::new(&info.shape, piece.adapter.as_ref());
        counted.pass(piece.new, piece.past, usize::from(piece.sampled)).total()
    };
    let of = |prompt: bool| {
        step.pieces.iter().filter(|piece| piece.prompt == prompt).map(flops).sum::<f64>()
    };
    let begun = |piece: &&Piece| piece.prompt && piece.past == 0;
    Activity {
        requests: step.pieces.iter().filter(begun).count() as u64,
        prompt_tokens,
        output_tokens: step.tokens.len() as u64,
        prefill_ns,
        decode_ns,
        flops_estimated: EstimatedFlops::new(of(true), of(false)),
    }
}

/// Prompt tokens that a step ran.
pub fn prompt_tokens(step: &Step) -> u64 {
    step.pieces.iter().filter(|piece| piece.prompt).map(|piece| piece.new as u64).sum()
}

/// Sequences as the record keeps them.
pub fn sequences(run: &Run, generation: &Generation, submitted: Instant) -> Vec<SequenceRecord> {
    let submitted = run.clock.at(submitted);
    let sequence = |completion: &Completion| sequence(run, completion, submitted);
    generation.completions.iter().map(sequence).collect()
}

/// A sequence as the record keeps it.
pub fn sequence(run: &Run, completion: &Completion, submitted_ns: u64) -> SequenceRecord {
    SequenceRecord {
        prompt_tokens: completion.prompt_tokens as u32,
        tokens: completion.tokens.clone(),
        finish: completion.finish.to_string(),
        submitted_ns,
        token_ns: completion.token_times.iter().map(|&time| run.clock.at(time)).collect(),
        adapter: completion.adapter.as_ref().map(|adapted| UsedAdapter {
            name: adapted.adapter.name.clone(),
            mode: adapted.mode.to_string(),
        }),
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
    }
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
