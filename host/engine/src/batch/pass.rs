//! One forward pass: which rows take part, and what becomes of their logits.

use super::Sequence;
use crate::{
    Result,
    adapters::{Adapted, AdapterId},
    decoder::Decoder,
    kv_cache::KvCache,
    layers::{AdapterRows, Segment, host},
    sampling,
    tokenizer::Tokenizer,
};
use candle_core::{DType, Tensor};
use std::time::Instant;

/// What sequences run on: a model's parts.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    pub decoder: &'a Decoder,
    pub tokenizer: Option<&'a Tokenizer>,
    pub eos: &'a [u32],
}

/// Which sequences take part in a pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Those with prompt left to run.
    Prefill,
    /// Those that generate.
    Decode,
    /// All: those that generate first, then as much prompt as there is room for.
    Mixed,
}

/// Rows of one sequence in a pass.
#[derive(Clone, Debug)]
pub struct Piece {
    /// The sequence's place among those that were given.
    pub sequence: usize,
    /// Tokens run.
    pub new: usize,
    /// Tokens of it that were in the KV cache before.
    pub past: usize,
    /// Whether they are part of its prompt.
    pub prompt: bool,
    /// Whether a token came of it.
    pub sampled: bool,
    /// What they ran with.
    pub adapter: Option<Adapted>,
}

impl Piece {
    /// The adapter whose factors are multiplied with its rows.
    fn attached(&self) -> Option<AdapterId> {
        Some(self.adapter.as_ref()?.attached()?.id)
    }
}

/// Runs at most `rows` rows and returns what took part; empty where there was nothing to do.
pub(crate) fn run(
    parts: Parts<'_>,
    sequences: &mut [Sequence],
    caches: &mut [KvCache],
    work: Work,
    rows: usize,
) -> Result<Vec<Piece>> {
    let pieces = choose(sequences, work, rows);
    if pieces.is_empty() {
        return Ok(pieces);
    }
    let segments: Vec<Segment<'_>> = pieces
        .iter()
        .map(|piece| {
            let sequence = &sequences[piece.sequence];
            let adapter = piece.attached();
            Segment { slot: sequence.slot, tokens: sequence.next(piece.new), adapter }
        })
        .collect();
    let hidden = parts.decoder.forward(&segments, caches)?;
    drop(segments);
    keep_logits(parts.decoder, sequences, &hidden, &pieces)?;
    sample(parts, sequences, &hidden, &pieces)?;
    Ok(pieces)
}

/// Shares out the rows: decode first, so that running sequences are never held up by a long prompt.
fn choose(sequences: &[Sequence], work: Work, rows: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut room = rows;
    for prompt in [false, true] {
        if (prompt && work == Work::Decode) || (!prompt && work == Work::Prefill) {
            continue;
        }
        for (index, sequence) in sequences.iter().enumerate() {
            if !sequence.is_running() || sequence.is_prefilling() != prompt {
                continue;
            }
            // A step of every running sequence always fits.
            let new = sequence.next(if prompt { room } else { 1 }).len();
            if new > 0 {
                room = room.saturating_sub(new);
                let sampled = sequence.completes_prompt(new);
                let (past, adapter) = (sequence.past(), sequence.adapter.clone());
                pieces.push(Piece { sequence: index, new, past, prompt, sampled, adapter });
            }
        }
    }
    pieces
}

/// Keeps the logits of every row with the sequences that want them.
fn keep_logits(
    decoder: &Decoder,
    sequences: &mut [Sequence],
    hidden: &Tensor,
    pieces: &[Piece],
) -> Result<()> {
    let mut start = 0;
    for piece in pieces {
        if sequences[piece.sequence].keeps_logits() {
            let rows = hidden.narrow(0, start, piece.new)?;
            let adapters = AdapterRows::of([(piece.attached(), piece.new)]);
            let logits = decoder.logits(&rows, &adapters)?.to_dtype(DType::F32)?.flatten_all()?;
            sequences[piece.sequence].keep(&logits.to_vec1::<f32>()?);
        }
        start += piece.new;
    }
    Ok(())
}

/// Chooses a token for each sequence whose last row was run, and stamps it.
fn sample(
    parts: Parts<'_>,
    sequences: &mut [Sequence],
    hidden: &Tensor,
    pieces: &[Piece],
) -> Result<()> {
    let mut rows = Vec::new();
    let mut end = 0;
    for piece in pieces {
        end += piece.new;
        if piece.sampled {
            rows.push(end as u32 - 1);
        }
        sequences[piece.sequence].ran(piece.new);
    }
    if rows.is_empty() {
        return Ok(());
    }
    let all = rows.len() == end;
    let last = if all {
        hidden.clone()
    } else {
        hidden.index_select(&Tensor::new(rows, hidden.device())?, 0)?
    };
    let sampled = pieces.iter().filter(|piece| piece.sampled);
    let adapters = AdapterRows::of(sampled.map(|piece| (piece.attached(), 1)));
    let logits = parts.decoder.logits(&last, &adapters)?.to_dtype(DType::F32)?;
    let chosen: Vec<usize> =
        pieces.iter().filter(|piece| piece.sampled).map(|piece| piece.sequence).collect();
    let greedy = chosen.iter().all(|&index| sequences[index].is_greedy());
    let tokens: Vec<u32> = if greedy && !logits.device().is_cpu() {
        // Only the ids cross to the host, and with them whether any logit was not a number.
        let sums: Vec<f32> = logits.sum(1)?.to_vec1()?;
        if sums.iter().any(|sum| sum.is_nan()) {
            return Err(sampling::not_a_number());
        }
        logits.argmax(1)?.to_vec1()?
    } else {
        let logits = logits.to_device(&candle_core::Device::Cpu)?;
        let width = logits.dim(1)?;
        host::with_slice(&logits, |logits| {
            let rows = logits.chunks_exact(width).zip(&chosen);
            rows.map(|(row, &index)| sequences[index].choose(row)).collect::<Result<_>>()
        })??
    };
    let now = Instant::now();
    for (index, token) in chosen.into_iter().zip(tokens) {
        sequences[index].take(token, now, parts)?;
    }
    Ok(())
}
