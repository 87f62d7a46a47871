//! Continues a conversation turn by turn, forks it, and runs prompts with a common prefix. Compares the tokens with
//! reused keys and values to the tokens without them.

use llem_sdk::prelude::*;
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("conversation", "0.1.0", "Goes on from where a sequence ended.")
}

const NEW_TOKENS: u32 = 6;

fn request(prompt: &[u32]) -> Request {
    Request::from_tokens(prompt).label("turn").max_new_tokens(NEW_TOKENS).ignore_eos()
}

/// Runs the batch until the sequence of this id has ended, and returns its completion.
fn ended(batch: &Batch, sequence: u64) -> Result<Completion> {
    let ended = batch.drain()?.into_iter().find(|one| one.sequence == sequence);
    ended.ok_or_else(|| "the sequence has not ended".into())
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let alone = |prompt: &[u32]| -> Result<Vec<u32>> {
        Ok(model.generate(&request(prompt))?.completions.remove(0).tokens)
    };
    let (first, second): (Vec<u32>, Vec<u32>) = ((1..30).collect(), (40..50).collect());
    let batch = model.open_batch(BatchOptions::new(4).max_tokens(128))?;

    let opening = batch.submit(&request(&first).holds_cache(), None)?[0];
    let said = ended(&batch, opening)?.tokens;
    check(said == alone(&first)?, "the first turn is as it is alone")?;
    let all = [&first[..], &said, &second].concat();
    let forks = [
        batch.submit_after(opening, true, &request(&second), None)?,
        batch.submit_after(opening, true, &request(&second), None)?,
    ];
    let both = batch.drain()?;
    check(both.len() == 2, "both ways are gone")?;
    for fork in forks {
        let Some(one) = both.iter().find(|one| one.sequence == fork) else {
            return Err("a way has another name than it was given".into());
        };
        check(one.tokens == alone(&all)?, "a turn after another is as the whole is")?;
        // The last generated token is not in the cache. It runs with the prompt.
        let cached = (first.len() + said.len() - 1) as u32;
        check(one.cached_tokens == cached, "what was there is told")?;
        check(one.prompt_tokens == second.len() as u32 + 1, "what was run is told")?;
    }
    let last = batch.submit_after(opening, false, &request(&second), None)?;
    check(ended(&batch, last)?.tokens == alone(&all)?, "the last way too")?;
    let gone = batch.submit_after(opening, false, &request(&second), None);
    check(is_refused(gone, ErrorCode::NotFound), "the cache is used up")?;

    let held = batch.submit(&request(&first).holds_cache(), None)?[0];
    batch.drain()?;
    batch.release(held)?;
    check(is_refused(batch.release(held), ErrorCode::NotFound), "it is released once")?;
    let several = Request::from_prompts([&first, &second].map(|one| Prompt::Tokens(one.clone())));
    let refused = model.generate(&several.holds_cache());
    check(is_refused(refused, ErrorCode::InvalidArgument), "a static batch holds no cache")?;

    let batch = model.open_batch(BatchOptions::new(2).max_tokens(128).prefix_cache())?;
    let mut hits = Vec::new();
    for prompt in [&first[..], &all, &first] {
        let sequence = batch.submit(&request(prompt), None)?[0];
        let one = ended(&batch, sequence)?;
        check(one.tokens == alone(prompt)?, "a prefix changes nothing")?;
        check(
            one.cached_tokens + one.prompt_tokens == prompt.len() as u32,
            "every token of the prompt was there or was run",
        )?;
        hits.push(one.cached_tokens);
    }
    check(hits[0] == 0 && hits[1] >= first.len() as u32 - 1 && hits[2] > 0, "prefixes are found")?;
    let status = batch.status();
    check(status.prefix_hits == hits.iter().map(|&hit| u64::from(hit)).sum(), "hits are counted")?;
    let queries = 2 * first.len() + all.len();
    check(status.prefix_queries == queries as u64, "and what was looked for")
}
