//! What is run to score requests and texts: windows that each fit the model's context.

use super::score_request::ScoreRequest;
use std::{borrow::Cow, ops::Range};

/// All windows of a call in one list, so that short ones share forward passes whatever they belong to.
pub(crate) struct Windows<'a> {
    /// The windows.
    pub requests: Cow<'a, [ScoreRequest]>,
    /// For each request or text, those that make it up.
    pub parts: Vec<Range<usize>>,
}

impl<'a> Windows<'a> {
    /// Each request is a window.
    pub fn of_requests(requests: &'a [ScoreRequest]) -> Self {
        let parts = (0..requests.len()).map(|index| index..index + 1).collect();
        Self { requests: Cow::Borrowed(requests), parts }
    }

    /// Each text falls into as many windows as it takes; an empty one into none.
    pub fn of_texts(texts: &[Vec<u32>], prefix: u32, context: usize) -> Self {
        let (mut requests, mut parts) = (Vec::new(), Vec::with_capacity(texts.len()));
        for text in texts {
            let first = requests.len();
            requests.extend(of_text(text, prefix, context));
            parts.push(first..requests.len());
        }
        Self { requests: Cow::Owned(requests), parts }
    }
}

/// The requests whose likelihoods make up the likelihood of a text of any length: every token is scored once,
/// with as much before it as the context holds, and the first after `prefix` (lm-evaluation-harness,
/// `lm_eval/utils.py`, `get_rolling_token_windows` with a context of 1 and `make_disjoint_window`).
fn of_text(tokens: &[u32], prefix: u32, context: usize) -> Vec<ScoreRequest> {
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

    /// What lm-evaluation-harness 0.4.13 yields for ten tokens, prefix 99 and a context of 4.
    #[test]
    fn windows_of_a_text_are_those_of_lm_eval() {
        let tokens: Vec<u32> = (0..10).collect();
        let windows: Vec<_> = of_text(&tokens, 99, 4)
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
        let windows = Windows::of_texts(&texts, 99, 4);
        assert_eq!(windows.parts, [0..3, 3..3, 3..4]);
        let last = &windows.requests[3];
        assert_eq!((&last.context[..], &last.continuation[..]), (&[99][..], &[7][..]));
    }
}
