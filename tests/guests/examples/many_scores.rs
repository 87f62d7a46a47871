//! Scores many requests, or texts, in one call.

use llem_sdk::{ScoreRequest, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("many-scores", "0.1.0", "Scores many requests in one call.")
        .integer("requests", 50_000, "how many")
        .boolean("rolling", false, "whole texts instead of continuations")
}

/// The lengths of a context and of a continuation, in tokens.
const CONTEXT: u32 = 40;
const CONTINUATION: u32 = 24;

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let requests: u32 = parameter("requests")?;
    let vocabulary = model.info().vocab_size;
    let tokens = |from: u32, count: u32| -> Vec<u32> {
        (from..from + count).map(|index| (index * 31 + 7) % vocabulary).collect()
    };
    let _phase = Phase::begin("measure")?;
    let scores = if parameter("rolling")? {
        let texts: Vec<Vec<u32>> = (0..requests).map(|index| tokens(index, CONTINUATION)).collect();
        model.score_rolling(&texts, 1)?
    } else {
        let request = |index: u32| ScoreRequest {
            context: tokens(index, CONTEXT),
            continuation: tokens(index + CONTEXT, CONTINUATION),
        };
        model.score(&(0..requests).map(request).collect::<Vec<_>>())?
    };
    if scores.scores.len() != requests as usize {
        return Err(format!("{} scores of {requests} requests", scores.scores.len()).into());
    }
    Ok(())
}
