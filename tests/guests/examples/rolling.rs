//! Scores a text that is longer than the model's context, as a whole and window by window.

use llem_sdk::{ScoreRequest, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("rolling", "0.1.0", "Scores a long text.")
}

const PREFIX: u32 = 1;

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let (context, vocabulary) = (model.info().context_length as usize, model.info().vocab_size);
    let length = 2 * context + context / 3;
    let text: Vec<u32> = (0..length as u32).map(|index| (index * index + 7) % vocabulary).collect();
    let texts = [text.clone(), Vec::new(), text[..3].to_vec()];
    let scores = model.score_rolling(&texts, PREFIX)?.scores;
    let lengths: Vec<usize> = scores.iter().map(|score| score.log_likelihoods.len()).collect();
    if lengths != [length, 0, 3] {
        return Err(format!("every token is scored once, not {lengths:?}").into());
    }
    // Splits the text into windows, each after as many previous tokens as fit into the context.
    let windows = [
        (vec![PREFIX], &text[..context]),
        (text[context - 1..context].to_vec(), &text[context..2 * context]),
        (text[length - context - 1..2 * context].to_vec(), &text[2 * context..]),
    ];
    let requests = windows.map(|(context, continuation)| ScoreRequest {
        context,
        continuation: continuation.to_vec(),
    });
    let apart = model.score(&requests)?.scores.into_iter();
    let apart: Vec<f64> = apart.flat_map(|score| score.log_likelihoods).collect();
    if apart != scores[0].log_likelihoods {
        return Err("windows scored apart differ from the text".into());
    }
    Ok(())
}
