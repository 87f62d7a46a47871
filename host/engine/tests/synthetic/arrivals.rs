//! Arrivals at a batch of a synthetic host, whose clock moves only with passes and waits, so that no machine is too slow for a
//! time that a test names.

use crate::{alone, load};
use llem_clock::now;
use llem_engine::{
    Batch, BatchOptions, BatchStep, Control, EndedSequence, FinishReason, Model, Prompt, Request,
    RunOutcome, Until,
};
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);

fn open(model: &mut Model, options: BatchOptions) -> Batch {
    Batch::open(model, BatchOptions { max_tokens: Some(128), ..options }).unwrap()
}

fn request(prompt: Vec<u32>, max_new_tokens: usize) -> Request {
    Request {
        prompts: vec![Prompt::Tokens(prompt)],
        max_new_tokens,
        ignore_eos: true,
        ..Request::default()
    }
}

/// Returns nine tokens that differ for each index.
fn prompt(index: usize) -> Vec<u32> {
    (0..9).map(|position| 3 + index as u32 * 9 + position).collect()
}

#[test]
fn scheduled_sequences_are_taken_in_at_their_times_and_in_their_order() {
    let _alone = alone();
    let (mut model, _) = load(1);
    let options = BatchOptions { max_sequences: 1, ..Default::default() };
    let mut batch = open(&mut model, options);
    let start = now() + 20 * MS;
    // The arrivals are out of order, and three are at the same time.
    let offsets = [60, 20, 40, 20, 0, 20];
    let arrivals: Vec<Instant> = offsets.iter().map(|&ms| start + ms * MS).collect();
    for (index, &arrival) in arrivals.iter().enumerate() {
        batch.submit(&model, &request(prompt(index), 3), now(), Some(arrival)).unwrap();
    }
    let status = batch.status();
    assert_eq!((status.scheduled, status.waiting, status.running), (6, 0, 0));
    assert!(status.waiting_bytes >= 6 * 9 * 4);
    assert!(!batch.is_empty());
    let early = batch.step(&mut model, &|| false).unwrap();
    assert!(early.scheduled.is_empty() && early.finished < start, "nothing has arrived");
    batch.cancel(2).unwrap();
    assert!(batch.cancel(2).is_err());
    let mut ended: Vec<EndedSequence> = Vec::new();
    batch.drain(&mut model, &Control::default(), |step| ended.extend(step.ended)).unwrap();
    ended.sort_by_key(|one| (one.admission.admitted, one.completion.started));
    let order: Vec<u64> = ended.iter().map(|one| one.sequence).collect();
    assert_eq!(order, [2, 4, 1, 3, 5, 0], "and the cancelled one was never taken in");
    assert_eq!(ended[0].completion.finish, FinishReason::Cancelled);
    assert_eq!(ended[0].admission.admitted, None);
    // A prompt takes 9 ms and each of two steps 10 ms. An arrival during them is admitted at the end of its pass, and starts
    // when those before it have ended.
    let times = [(0, 0), (29, 29), (29, 58), (29, 87), (67, 116)];
    for (one, (admitted, started)) in ended[1..].iter().zip(times) {
        let index = one.sequence as usize;
        assert_eq!(one.admission.arrival, arrivals[index]);
        assert_eq!(one.admission.admitted, Some(start + admitted * MS));
        assert_eq!(one.completion.started, Some(start + started * MS));
        let alone = model.generate(request(prompt(index), 3), &Control::default()).unwrap();
        assert_eq!(one.completion.tokens, alone.completions[0].tokens);
    }
    assert!(batch.is_empty());
    assert_eq!(batch.status().waiting_bytes, 0);
}

/// Runs a batch and returns how it ended, and the numbers of tokens and of ended sequences in each step.
fn run(batch: &mut Batch, model: &mut Model, until: Until) -> (RunOutcome, Vec<usize>, Vec<usize>) {
    let mut steps: Vec<BatchStep> = Vec::new();
    let control = Control::default();
    let outcome = batch.run_until(model, &control, until, |step| steps.push(step)).unwrap();
    let tokens = steps.iter().map(|step| step.tokens.len()).collect();
    (outcome, tokens, steps.iter().map(|step| step.ended.len()).collect())
}

#[test]
fn running_until_something_ends_when_it_has_come() {
    let _alone = alone();
    let (mut model, _) = load(1);
    let mut batch = open(&mut model, BatchOptions { prefill_chunk: 4, ..Default::default() });
    assert_eq!(run(&mut batch, &mut model, Until::NextEnd).0, RunOutcome::Idle);
    let far = now() + Duration::from_secs(600);
    assert_eq!(run(&mut batch, &mut model, Until::Time(far)).0, RunOutcome::Idle);
    assert!(now() < far, "there is nothing to wait for");

    // Ten prompt tokens in chunks of four, and three generated tokens.
    batch.submit(&model, &request(vec![3; 10], 3), now(), None).unwrap();
    let until_token = run(&mut batch, &mut model, Until::NextToken);
    assert_eq!(until_token, (RunOutcome::Reached, vec![0, 0, 1], vec![0, 0, 0]));
    let until_end = run(&mut batch, &mut model, Until::NextEnd);
    assert_eq!(until_end, (RunOutcome::Reached, vec![1, 1], vec![0, 1]));

    // Nothing runs before the time comes, and nothing runs after it.
    let (at, after) = (now() + 15 * MS, now() + 40 * MS);
    batch.submit(&model, &request(vec![3; 3], 1), now(), Some(after)).unwrap();
    assert_eq!(run(&mut batch, &mut model, Until::Time(at)), (RunOutcome::Reached, vec![], vec![]));
    assert_eq!(now(), at, "it waited to the time and no longer");
    assert_eq!(run(&mut batch, &mut model, Until::NextEnd).0, RunOutcome::Reached);
    assert_eq!(now(), after + 3 * MS);
}
