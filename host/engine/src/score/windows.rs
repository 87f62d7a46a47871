//! The windows that requests and texts are scored in. Each window fits the model's context.

use super::score_request::ScoreRequest;
use std::{borrow::Cow, ops::Range};

/// All windows of a call in one list, so that short windows of different requests or texts share forward passes.
pub(crate) struct Windows<'a> {
    pub requests: Cow<'a, [ScoreRequest]>,
    /// For each request or text, the windows that it consists of.
    pub parts: Vec<Range<usize>>,
}

impl<'a> Windows<'a> {
    /// Makes a window of each request.
    pub(crate) fn from_requests(requests: &'a [ScoreRequest]) -> Self {
        let parts = (0..requests.len()).map(|index| index..index + 1).collect();
        Self { requests: Cow::Borrowed(requests), parts }
    }

    /// Splits each text into windows. An empty text has none.
    pub(crate) fn from_texts(texts: &[Vec<u32>], prefix: u32, context: usize) -> Self {
        let (mut requests, mut parts) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            let first = requests.len();
            requests.extend(split_text(text, prefix, context));
            parts.push(first..requests.len());
        }
        Self { requests: Cow::Owned(requests), parts }
    }
}

/// Splits a text of any length into requests whose log-likelihoods add up to the text's. Every token is scored once,
/// with as many tokens before it as the context has room for. The first token is scored after `prefix`
/// (lm-evaluation-harness, `lm_eval/utils.py`, `get_rolling_token_windows` with a context of 1 and
/// `make_disjoint_window`).
fn split_text(tokens: &[u32], prefix: u32, context: usize) -> Vec<ScoreRequest> {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The windows that lm-evaluation-harness 0.4.13 yields for ten tokens, prefix 99 and a context of 4.
    #[test]
    fn windows_of_a_text_are_those_of_lm_eval() {
        let tokens: Vec<u32> = (0..10).collect();
        let windows: Vec<_> = split_text(&tokens, 99, 4)
            .into_iter()
            .map(|window| (window.context, window.continuation))
            .collect();
        let expected = vec![
            (vec![99], vec![0, 1, 2, 3]),
            (vec![3], vec![4, 5, 6, 7]),
            (vec![5, 6, 7], vec![8, 9]),
        ];
        assert_eq!(windows, expected);
    }

    #[test]
    fn texts_share_one_list_of_windows() {
        let texts = [(0..10).collect(), Vec::new(), vec![7]];
        let windows = Windows::from_texts(&texts, 99, 4);
        assert_eq!(windows.parts, [0..3, 3..3, 3..4]);
        let last = &windows.requests[3];
        assert_eq!((&last.context[..], &last.continuation[..]), (&[99][..], &[7][..]));
    }
}
