//! Calls each function of `batches`, with good arguments and with bad ones.

use llem_sdk::{
    bindings::{
        batches::{Batch, BatchOptions},
        meter::now,
        models::{LoadOptions, Model},
        requests::Request,
    },
    prelude::{About, ErrorCode, Result},
};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("every-batch-function", "0.1.0", "Does everything that a batch can.")
}

const NONE: u64 = u64::MAX;
/// An hour, ns.
const HOUR: u64 = 3_600_000_000_000;

fn request(new_tokens: u32) -> Request {
    let request = Request::new("batch");
    request.add_tokens(&[1, 2, 3]);
    request.set_max_new_tokens(new_tokens);
    request.set_ignores_eos(true);
    request
}

fn run() -> Result<()> {
    options()?;
    let model = Model::load(&LoadOptions::new())?;
    refused_options(&model)?;
    let options = BatchOptions::new(3);
    options.set_max_tokens(Some(64));
    let batch = model.open_batch(&options)?;
    steps(&batch)?;
    until(&batch)?;
    choices(&batch)?;
    unknown(&batch)
}

/// Checks that getters return what was set, and that a copy is independent.
fn options() -> Result<()> {
    let options = BatchOptions::new(5);
    check(options.max_sequences() == 5 && options.max_tokens().is_none(), "as constructed")?;
    check(options.prefill_chunk() == 512 && options.max_rows().is_none(), "512 rows of prompt")?;
    check(!options.refuses_when_full() && !options.prefix_cache(), "it waits, and caches nothing")?;
    options.set_max_tokens(Some(7));
    options.set_prefill_chunk(9);
    options.set_max_rows(Some(11));
    options.set_refuses_when_full(true);
    options.set_prefix_cache(true);
    let copy = options.copy();
    options.set_max_tokens(None);
    check(copy.max_tokens() == Some(7) && options.max_tokens().is_none(), "a copy stays")?;
    check(copy.prefill_chunk() == 9 && copy.max_rows() == Some(11), "with its rows")?;
    check(copy.refuses_when_full() && copy.prefix_cache(), "and all else")
}

/// A change that makes options invalid.
type Set = fn(&BatchOptions);

fn refused_options(model: &Model) -> Result<()> {
    let cases: [(&str, u32, Set); 4] = [
        ("no sequences", 0, |_| ()),
        ("a chunk of no rows", 1, |options| options.set_prefill_chunk(0)),
        ("fewer rows than sequences", 4, |options| options.set_max_rows(Some(3))),
        ("sequences of no tokens", 1, |options| options.set_max_tokens(Some(0))),
    ];
    for (what, sequences, set) in cases {
        let options = BatchOptions::new(sequences);
        options.set_max_tokens(Some(16));
        set(&options);
        check(is_refused(model.open_batch(&options), ErrorCode::InvalidArgument), what)?;
    }
    Ok(())
}

/// Checks steps and their progress.
fn steps(batch: &Batch) -> Result<()> {
    check(batch.step()?.steps() == 0, "nothing is there to run")?;
    check(batch.kv_capacity() >= 3 * 64 && batch.kv_bytes() > 0, "memory is reserved")?;
    check(batch.kv_used() == 0, "and none of it used")?;
    let names = batch.submit(&request(3), None)?;
    check(names.len() == 1, "a name a prompt")?;
    let first = batch.step()?;
    check(first.steps() == 1 && first.prompt_tokens() == 3, "a step runs the prompt")?;
    check(first.tokens().len() == 1 && first.tokens()[0].sequence == names[0], "and one token")?;
    check(first.started() <= first.tokens()[0].at, "the token comes after the step began")?;
    check(first.tokens()[0].at <= first.finished(), "and before it is at an end")?;
    check(batch.running() == 1 && batch.waiting() == 0 && batch.scheduled() == 0, "one runs")?;
    check(batch.kv_used() >= 3, "its tokens are in the cache")?;
    batch.cancel(names[0])?;
    let ended = batch.step()?.ended();
    check(ended.len() == 1 && ended[0].finish() == "cancelled", "the next step tells it")?;
    check(ended[0].sequence() == names[0] && ended[0].tokens().len() == 1, "with its token")?;
    let _ = batch.sequence_energy(names[0])?;
    check(batch.prefix_queries() == 0 && batch.prefix_hits() == 0, "no prefix was looked for")
}

/// Checks the calls that run several steps.
fn until(batch: &Batch) -> Result<()> {
    let name = batch.submit(&request(4), None)?[0];
    let token = batch.run_until_token()?;
    check(!token.tokens().is_empty() && token.ended().is_empty(), "until a token")?;
    let end = batch.run_until_end()?;
    check(end.ended().len() == 1 && end.ended()[0].sequence() == name, "until an end")?;
    check(end.steps() >= 3, "the other tokens took steps")?;
    // An arrival that is an hour ahead has not come however slow the machine is.
    let never = batch.submit(&request(1), Some(now() + HOUR))?[0];
    check(batch.scheduled() == 1 && batch.running() == 0, "what is to come is scheduled")?;
    let before = batch.run_until(now() + 10_000_000)?;
    check(before.steps() == 0 && batch.scheduled() == 1, "it does not come before its time")?;
    batch.cancel(never)?;
    check(batch.step()?.ended().len() == 1, "one that is cancelled is told")?;
    let due = now() + 30_000_000;
    batch.submit(&request(1), Some(due))?;
    let after = batch.run_until(due + HOUR)?;
    check(after.ended().len() == 1 && now() < due + HOUR, "it runs until nothing is left")?;
    check(after.ended()[0].submitted() == due, "its latencies count from its arrival")?;
    check(after.started() >= due && now() >= due, "and it came no earlier")?;
    let past = now() - 5_000_000;
    batch.submit(&request(1), Some(past))?;
    check(batch.drain()?[0].submitted() == past, "an arrival may be past")?;
    let never = batch.submit(&request(1), Some(u64::MAX))?[0];
    batch.cancel(never)?;
    check(batch.scheduled() == 0, "what is to come can be cancelled")?;
    check(batch.step()?.ended().len() == 1, "and is told")
}

/// Checks logits and the choice of a token.
fn choices(batch: &Batch) -> Result<()> {
    let request = request(1);
    request.set_script_chooses(true);
    let name = batch.submit(&request, None)?[0];
    batch.run_until_end()?;
    let logits = batch.logits(name)?;
    let all = logits.all();
    let top = logits.top(u32::MAX);
    check(top.len() == all.len(), "as many as there are")?;
    check(top.windows(2).all(|pair| pair[0].logit >= pair[1].logit), "the likeliest first")?;
    let sum: f64 = top.iter().map(|one| one.log_probability.exp()).sum();
    check((sum - 1.0).abs() < 1e-6, "probabilities add up to 1")?;
    let entropy: f64 = top.iter().map(|one| -one.log_probability.exp() * one.log_probability).sum();
    check((logits.entropy() - entropy).abs() < 1e-6, "the entropy is theirs")?;
    let some = logits.of_tokens(&[5, 2])?;
    check(some[0].token == 5 && some[0].logit == all[5] && some[1].logit == all[2], "those")?;
    let outside = logits.of_tokens(&[u32::MAX]);
    check(is_refused(outside, ErrorCode::InvalidArgument), "none outside the vocabulary")?;
    check(
        is_refused(batch.choose(name, u32::MAX), ErrorCode::InvalidArgument),
        "none can be chosen outside the vocabulary",
    )?;
    batch.choose(name, 7)?;
    check(logits.all() == all, "logits stay when the sequence goes on")?;
    let ended = batch.drain()?;
    check(ended.len() == 1 && ended[0].tokens() == [7], "what was chosen is its token")?;
    check(is_refused(batch.logits(name), ErrorCode::NotFound), "then it waits no more")
}

/// Checks that ids of no sequence are refused.
fn unknown(batch: &Batch) -> Result<()> {
    check(is_refused(batch.cancel(NONE), ErrorCode::NotFound), "cancel")?;
    check(is_refused(batch.release(NONE), ErrorCode::NotFound), "release")?;
    check(is_refused(batch.logits(NONE), ErrorCode::NotFound), "logits")?;
    check(is_refused(batch.choose(NONE, 1), ErrorCode::NotFound), "choose")?;
    check(is_refused(batch.sequence_energy(NONE), ErrorCode::NotFound), "sequence-energy")?;
    let after = batch.submit_after(NONE, true, &request(1), None);
    check(is_refused(after, ErrorCode::NotFound), "submit-after")?;
    let long = batch.submit(&request(1000), None);
    check(is_refused(long, ErrorCode::InvalidArgument), "more tokens than a sequence may have")
}
