//! Chooses the most likely tokens itself, and compares them with the host's greedy request.

use llem_sdk::prelude::*;
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("guest-sampler", "0.1.0", "Chooses the most likely token itself.").integer(
        "new-tokens",
        12,
        "tokens of each sequence",
    )
}

const LENGTHS: [u32; 4] = [3, 40, 1, 17];

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let vocabulary = model.info().vocab_size;
    let new_tokens: u32 = parameter("new-tokens")?;
    let request = |length: u32| {
        let prompt: Vec<u32> = (0..length).map(|at| (at * at + 3 * length) % vocabulary).collect();
        Request::from_tokens(prompt).label("chosen").max_new_tokens(new_tokens).ignore_eos()
    };
    let options = BatchOptions::new(3).max_tokens(64 + new_tokens).prefill_chunk(16);
    let batch = model.open_batch(options)?;
    let mut sequences = Vec::new();
    for length in LENGTHS {
        sequences.extend(batch.submit(&request(length).script_chooses(), None)?);
    }
    // A sequence whose tokens the host chooses, in the same steps.
    let other = batch.submit(&request(9), None)?[0];
    let mut ended = Vec::new();
    while ended.len() < sequences.len() + 1 {
        let progress = batch.run_until_end()?;
        let mut chosen = 0;
        for &sequence in &sequences {
            let Ok(logits) = batch.logits(sequence) else { continue };
            let most = logits.top(1).remove(0);
            check(logits.all()[most.token as usize] == most.logit, "logits are by token")?;
            batch.choose(sequence, most.token)?;
            chosen += 1;
        }
        check(chosen > 0 || !progress.ended.is_empty(), "something goes on")?;
        ended.extend(progress.ended);
    }
    for (sequence, length) in sequences.iter().chain([&other]).zip(LENGTHS.into_iter().chain([9])) {
        let greedy = model.generate(&request(length))?.completions.remove(0).tokens;
        let chosen = ended.iter().find(|one| one.sequence == *sequence).map(|one| &one.tokens);
        if chosen != Some(&greedy) {
            let what = format!("of {length} tokens: {chosen:?} were chosen, {greedy:?} are greedy");
            return Err(what.into());
        }
    }
    let alone = model.generate(&request(3).script_chooses());
    check(is_refused(alone, ErrorCode::InvalidArgument), "a static batch does not wait for choices")
}
