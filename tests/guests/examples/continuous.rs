//! Lets sequences join and leave a continuous batch, and compares the tokens of each with its tokens alone.

use llem_sdk::{meter, prelude::*};
use std::collections::BTreeMap;
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("continuous", "0.1.0", "Compares sequences of a continuous batch with each alone.")
}

const NEW_TOKENS: u32 = 10;
/// Prompt lengths: one token, exactly one chunk, several chunks, and lengths between them.
const LENGTHS: [u32; 7] = [40, 1, 150, 16, 7, 300, 33];

fn prompt(length: u32, vocabulary: u32) -> Prompt {
    Prompt::Tokens((0..length).map(|index| (index * index + 3 * length) % vocabulary).collect())
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let vocabulary = model.info().vocab_size;
    let request = |prompts: &[u32]| {
        let prompts = prompts.iter().map(|&length| prompt(length, vocabulary));
        Request::from_prompts(prompts).label("batch").max_new_tokens(NEW_TOKENS).ignore_eos()
    };
    let options = BatchOptions::new(3).max_tokens(320).prefill_chunk(16);
    let batch = model.open_batch(options)?;
    let reserved = batch.status();
    check(reserved.kv_bytes > 0 && reserved.kv_capacity >= 3 * 320, "KV memory is reserved")?;

    // Two sequences start. After some steps five more are submitted: one of them runs and four wait.
    let mut names = batch.submit(&request(&LENGTHS[..2]), None)?;
    let mut streamed: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
    let mut ended = BTreeMap::new();
    let window = Window::open("steps")?;
    for step in 0..300 {
        if step == 4 {
            names.extend(batch.submit(&request(&LENGTHS[2..]), Some(meter::now()))?);
            check(batch.status().waiting == 4, "four wait")?;
        }
        if step == 6 {
            // Cancels a running and a waiting sequence, which must not affect the others.
            let extra = batch.submit(&request(&[5]), None)?;
            batch.cancel(extra[0])?;
            check(batch.cancel(999).is_err(), "an unknown sequence cannot be cancelled")?;
        }
        let result = batch.step()?;
        check(result.prompt_tokens <= 16, "prompts run in chunks")?;
        for token in result.tokens {
            streamed.entry(token.sequence).or_default().push(token.token);
        }
        for end in result.ended {
            ended.insert(end.sequence, end);
        }
        if names.len() == 7 && ended.len() == 8 {
            break;
        }
    }
    check(batch.drain()?.is_empty(), "nothing was left")?;
    let measured = window.close()?;
    check(
        measured.activity.output_tokens == 7 * u64::from(NEW_TOKENS),
        "the window counts its tokens",
    )?;
    check(
        measured.activity.prompt_tokens == LENGTHS.iter().map(|&length| u64::from(length)).sum(),
        "the window counts its prompts",
    )?;

    for (name, length) in names.iter().zip(LENGTHS) {
        let alone = model.generate(&request(&[length]))?.completions.remove(0);
        let together = &ended[name];
        if alone.tokens != together.tokens || streamed[name] != together.tokens {
            return Err(format!(
                "a prompt of {length} tokens gave {:?} in company, {:?} as streamed and {:?} alone",
                together.tokens, streamed[name], alone.tokens
            )
            .into());
        }
        check(together.token_times[0] >= together.submitted, "tokens come after submission")?;
    }

    let strict = model.open_batch(BatchOptions::new(1).max_tokens(64).refuse_when_full())?;
    strict.submit(&request(&[2]), None)?;
    let refused = strict.submit(&request(&[2]), None);
    check(is_refused(refused, ErrorCode::LimitReached), "a full batch refuses")?;
    let too_long = strict.submit(&request(&[60]), None);
    check(is_refused(too_long, ErrorCode::InvalidArgument), "too long a sequence")?;
    check(strict.drain()?.len() == 1, "what was taken in is run")?;
    // An arrival that is an hour ahead has not come however slow the machine is.
    let never = strict.submit(&request(&[2]), Some(meter::now() + 3_600_000_000_000))?;
    check(strict.status().scheduled == 1, "what is to arrive is scheduled")?;
    strict.cancel(never[0])?;
    check(strict.drain()?.len() == 1, "what was cancelled does not arrive")?;
    let later = meter::now() + 50_000_000;
    strict.submit(&request(&[2]), Some(later))?;
    let arrived = strict.drain()?.remove(0);
    check(
        arrived.submitted == later && arrived.admitted >= Some(later),
        "it is taken up at its time",
    )?;
    Ok(())
}
