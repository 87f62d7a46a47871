//! Log-likelihoods of given continuations, as lm-evaluation-harness defines them: `loglikelihood`
//! ([`run`]) and `loglikelihood_rolling` ([`rolling_windows`]).

use crate::{
    Control, Error, Result,
    adapters::{Adapted, AdapterId},
    families::Shape,
    generate::PREFILL_ROWS,
    layers::Segment,
    parallel::Replica,
    sampling::argmax,
};
use candle_core::Tensor;

/// A continuation whose likelihood is asked.
#[derive(Clone, Debug)]
pub struct ScoreRequest {
    /// What comes before; at least one token.
    pub context: Vec<u32>,
    /// What is scored; at least one token.
    pub continuation: Vec<u32>,
}

/// The likelihood of a continuation.
#[derive(Clone, Debug)]
pub struct Score {
    /// Natural logarithm of each continuation token's probability given all before it.
    pub log_likelihoods: Vec<f64>,
    /// Whether greedy decoding would have produced exactly the continuation.
    pub is_greedy: bool,
}

/// Tokens whose keys and values are held at a time. Requests beyond it are scored after.
const WAVE_TOKENS: usize = 4 * PREFILL_ROWS;

/// Refuses requests that cannot be scored before any is.
pub(crate) fn check(requests: &[ScoreRequest], shape: &Shape) -> Result<()> {
    let each = |(index, request)| check_one(index, request, shape.vocab, shape.context);
    requests.iter().enumerate().try_for_each(each)
}

/// Scores requests, which have been checked, on one replica.
pub(crate) fn run(
    replica: &mut Replica,
    requests: &[ScoreRequest],
    adapter: Option<&Adapted>,
    control: &Control<'_>,
) -> Result<Vec<Score>> {
    let adapter = adapter.and_then(|adapted| Some(adapted.attached()?.id));
    let mut scores = Vec::with_capacity(requests.len());
    let mut left = requests;
    while !left.is_empty() {
        let mut tokens = 0;
        let fits = left.iter().take_while(|request| {
            tokens += request.context.len() + request.continuation.len();
            tokens <= WAVE_TOKENS
        });
        let (wave, rest) = left.split_at(fits.count().max(1));
        scores.extend(run_wave(replica, wave, adapter, control)?);
        left = rest;
    }
    Ok(scores)
}

/// The requests whose likelihoods make up that of a text of any length: every token is scored once,
/// with as much before it as the context holds, and the first after `prefix` (lm-evaluation-harness,
/// `lm_eval/utils.py`, `get_rolling_token_windows` with a context of 1 and `make_disjoint_window`).
pub fn rolling_windows(tokens: &[u32], prefix: u32, context: usize) -> Vec<ScoreRequest> {
    let first = context.min(tokens.len());
    if first == 0 {
        return Vec::new();
    }
    let start = ScoreRequest { context: vec![prefix], continuation: tokens[..first].to_vec() };
    let mut windows = vec![start];
    let mut scored = first;
    while scored < tokens.len() {
        let end = tokens.len().min(scored + context);
        windows.push(ScoreRequest {
            context: tokens[end - context - 1..scored].to_vec(),
            continuation: tokens[scored..end].to_vec(),
        });
        scored = end;
    }
    windows
}

fn run_wave(
    replica: &mut Replica,
    requests: &[ScoreRequest],
    adapter: Option<AdapterId>,
    control: &Control<'_>,
) -> Result<Vec<Score>> {
    let joined: Vec<Vec<u32>> = requests
        .iter()
        .map(|request| [&request.context[..], &request.continuation].concat())
        .collect();
    // The last token predicts nothing that is asked, so it is never run.
    let inputs: Vec<&[u32]> = joined.iter().map(|tokens| &tokens[..tokens.len() - 1]).collect();
    let capacities: Vec<usize> = inputs.iter().map(|tokens| tokens.len()).collect();
    replica.reserve(&capacities)?;
    let mut scores: Vec<Score> =
        requests.iter().map(|_| Score { log_likelihoods: Vec::new(), is_greedy: true }).collect();

    for pass in passes(&inputs) {
        if (control.cancelled)() {
            return Err(Error::Unsupported("scoring was interrupted".to_owned()));
        }
        let segments: Vec<Segment<'_>> = pass
            .iter()
            .map(|piece| Segment {
                slot: piece.slot,
                past: piece.from,
                tokens: &inputs[piece.slot][piece.from..piece.to],
                adapter,
            })
            .collect();
        if segments.is_empty() {
            continue;
        }
        let mut wanted = Vec::new();
        let mut start = 0;
        for piece in &pass {
            let first = piece.scored_from(requests);
            wanted.extend(
                (start + first - piece.from) as u32..(start + piece.to - piece.from) as u32,
            );
            start += piece.to - piece.from;
        }
        let Some(logits) = replica.pass(None, &segments, &wanted, control.cancelled)? else {
            continue;
        };
        let mut start = 0;
        for piece in &pass {
            let first = piece.scored_from(requests);
            let targets = &joined[piece.slot][first + 1..=piece.to];
            if !targets.is_empty() {
                let logits = logits.narrow(0, start, targets.len())?;
                add(&mut scores[piece.slot], &logits, targets)?;
            }
            start += targets.len();
        }
    }
    Ok(scores)
}

fn check_one(index: usize, request: &ScoreRequest, vocab: usize, context: usize) -> Result<()> {
    let length = request.context.len() + request.continuation.len();
    let tokens = request.context.iter().chain(&request.continuation);
    let refuse = |message: String| Err(Error::Invalid(format!("score request {index}: {message}")));
    if request.context.is_empty() || request.continuation.is_empty() {
        return refuse("context and continuation need at least one token each".to_owned());
    }
    if length > context + 1 {
        return refuse(format!("{length} tokens do not fit the model's context of {context}"));
    }
    if let Some(token) = tokens.into_iter().find(|&&token| token as usize >= vocab) {
        return refuse(format!(
            "token {token} is beyond the vocabulary, which ends at {}",
            vocab - 1
        ));
    }
    Ok(())
}

/// Adds the scores of `targets`, each predicted by the row of logits in its place.
fn add(score: &mut Score, logits: &Tensor, targets: &[u32]) -> Result<()> {
    let logits: Vec<Vec<f32>> = logits.to_vec2()?;
    for (row, &target) in logits.iter().zip(targets) {
        let best = argmax(row)?;
        let top = f64::from(row[best as usize]);
        // log softmax in f64: log p = x - max - ln sum exp(x - max)
        let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - top).exp()).sum();
        score.log_likelihoods.push(f64::from(row[target as usize]) - top - sum.ln());
        score.is_greedy &= best == target;
    }
    Ok(())
}

/// A part of a request's tokens.
struct Piece {
    slot: usize,
    from: usize,
    to: usize,
}

impl Piece {
    /// The first of its tokens after which a token is scored.
    fn scored_from(&self, requests: &[ScoreRequest]) -> usize {
        self.from.max(requests[self.slot].context.len() - 1).min(self.to)
    }
}

/// Cuts requests into forward passes of at most [`PREFILL_ROWS`] rows each.
fn passes(inputs: &[&[u32]]) -> Vec<Vec<Piece>> {
    let mut passes = vec![Vec::new()];
    let mut room = PREFILL_ROWS;
    for (slot, input) in inputs.iter().enumerate() {
        let mut from = 0;
        while from < input.len() {
            if room == 0 {
                passes.push(Vec::new());
                room = PREFILL_ROWS;
            }
            let to = input.len().min(from + room);
            room -= to - from;
            if let Some(pass) = passes.last_mut() {
                pass.push(Piece { slot, from, to });
            }
            from = to;
        }
    }
    passes
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What lm-evaluation-harness 0.4.13 yields for ten tokens, prefix 99 and a context of 4.
    #[test]
    fn rolling_windows_are_those_of_lm_eval() {
        let tokens: Vec<u32> = (0..10).collect();
        let windows: Vec<_> = rolling_windows(&tokens, 99, 4)
            .into_iter()
            .map(|window| (window.context, window.continuation))
            .collect();
        let expected = vec![
            (vec![99], vec![0, 1, 2, 3]),
            (vec![3], vec![4, 5, 6, 7]),
            (vec![5, 6, 7], vec![8, 9]),
        ];
        assert_eq!(windows, expected);
        assert!(rolling_windows(&[], 99, 4).is_empty());
    }
}
