#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::super::{
    BatchOptions, BatchStep, EndedSequence, FinishReason, RunOutcome, Until, test_models::*,
};
use super::*;
use crate::{Control, Split};
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

const MS: Duration = Duration::from_millis(1);

fn open(model: &mut Model, options: BatchOptions) -> Batch {
    Batch::open(model, BatchOptions { max_tokens: Some(128), ..options }).unwrap()
}

/// Runs one step.
fn step(batch: &mut Batch, model: &mut Model) -> BatchStep {
    batch.step(model, &|| false).unwrap()
}

#[test]
fn an_arrival_that_lies_behind_is_taken_in_at_once() {
    let mut model = model("synthetic:tiny", Split::default());
    let mut batch = open(&mut model, BatchOptions::default());
    let arrival = Instant::now().checked_sub(50 * MS).unwrap();
    let one = request(&[tokens(1, 9)], 3);
    let submitted = Instant::now();
    batch.submit(&model, &one, submitted, Some(arrival)).unwrap();
    batch.submit(&model, &one, submitted, None).unwrap();
    assert_eq!((batch.status().scheduled, batch.status().running), (0, 2));
    let ended = ended(&mut drained(&mut batch, &mut model));
    assert_eq!([ended[0].admission.arrival, ended[1].admission.arrival], [arrival, submitted]);
    for one in ended {
        assert_eq!(one.completion.submitted, submitted);
        assert!(one.admission.admitted.unwrap() >= submitted && !one.admission.due_in_step);
    }
}

/// A pass with prompt tokens takes 50 ms and any other pass takes 7 ms, so that some sequences arrive during a step
/// and some do not.
#[test]
fn an_arrival_says_whether_a_step_held_it_up() {
    let mut model = model("synthetic:fixed-latency", Split::default());
    let mut batch = open(&mut model, BatchOptions::default());
    let start = Instant::now() + 5 * MS;
    for index in 0..9 {
        let arrival = start + index * 33 * MS;
        let one = request(&[tokens(u64::from(index), 9)], 3);
        batch.submit(&model, &one, Instant::now(), Some(arrival)).unwrap();
    }
    let mut steps = drained(&mut batch, &mut model);
    let spans: Vec<_> = steps.iter().map(|step| (step.started, step.finished)).collect();
    let mut held_up = 0;
    for EndedSequence { admission, .. } in ended(&mut steps) {
        let of = spans.iter().find(|(began, ended)| (*began..=*ended).contains(&admission.arrival));
        assert_eq!(admission.due_in_step, of.is_some());
        if let Some((_, ended)) = of {
            held_up += 1;
            assert!(admission.admitted.unwrap() >= *ended);
        }
    }
    assert!(held_up > 0, "nine times 33 ms are not all between passes of 50 ms");
}

#[test]
fn waiting_for_an_arrival_ends_when_it_is_asked_to() {
    let mut model = model("synthetic:tiny", Split::default());
    let mut batch = open(&mut model, BatchOptions::default());
    let far = Instant::now() + Duration::from_secs(600);
    batch.submit(&model, &request(&[tokens(1, 3)], 1), Instant::now(), Some(far)).unwrap();
    let stop = AtomicBool::new(false);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            std::thread::sleep(30 * MS);
            stop.store(true, Ordering::Relaxed);
        });
        let control = Control { cancelled: &|| stop.load(Ordering::Relaxed), progress: &|_| () };
        batch.run_until(&mut model, &control, Until::NextToken, |_| ()).unwrap()
    });
    assert_eq!((outcome, batch.status().scheduled), (RunOutcome::Cancelled, 1));
    let ended = batch.end_all(FinishReason::Interrupted);
    assert_eq!((ended.len(), ended[0].completion.finish), (1, FinishReason::Interrupted));
    assert!(batch.is_empty());
}

#[test]
fn memory_that_a_scheduled_sequence_will_need_counts_as_taken() {
    let mut model = model("synthetic:tiny", Split::default());
    let options =
        BatchOptions { max_sequences: 2, when_full: WhenFull::Refuse, ..Default::default() };
    let mut batch = open(&mut model, options);
    let far = Some(Instant::now() + Duration::from_secs(600));
    let one = request(&[tokens(1, 3)], 1);
    batch.submit(&model, &one, Instant::now(), far).unwrap();
    batch.submit(&model, &one, Instant::now(), None).unwrap();
    for arrival in [None, far] {
        let refused = batch.submit(&model, &one, Instant::now(), arrival);
        assert!(matches!(refused, Err(Error::Full(_))));
    }
    batch.cancel(0).unwrap();
    batch.submit(&model, &one, Instant::now(), None).unwrap();
}

#[test]
fn a_running_sequence_is_cancelled_once() {
    let mut model = model("synthetic:tiny", Split::default());
    let mut batch = open(&mut model, BatchOptions::default());
    let endless = request(&[tokens(1, 3)], 50);
    batch.submit(&model, &endless, Instant::now(), None).unwrap();
    step(&mut batch, &mut model);
    batch.cancel(0).unwrap();
    assert!(matches!(batch.cancel(0), Err(Error::NotFound(_))));
    let ended = step(&mut batch, &mut model).ended;
    assert_eq!(ended[0].completion.finish, FinishReason::Cancelled);
}

#[test]
fn a_step_has_no_more_rows_than_its_budget_and_no_decode_row_waits() {
    let mut model = model("synthetic:tiny", Split::default());
    let with = |max_rows| BatchOptions {
        max_sequences: 4,
        max_rows: Some(max_rows),
        prefill_chunk: 512,
        ..Default::default()
    };
    assert!(Batch::open(&mut model, with(3)).is_err());
    for budget in [4, 7, 64] {
        let mut batch = open(&mut model, with(budget));
        let prompts: Vec<Vec<u32>> = (0..6).map(|seed| tokens(seed, 20)).collect();
        let all = request(&prompts, 12);
        batch.submit(&model, &all, Instant::now(), None).unwrap();
        let mut steps = drained(&mut batch, &mut model);
        // These sequences have a token and have not ended.
        let mut decoding: Vec<u64> = Vec::new();
        for step in &steps {
            let rows: usize = step.scheduled.iter().map(|rows| rows.new).sum();
            assert!(rows <= budget);
            let decoded: Vec<u64> =
                step.scheduled.iter().filter(|rows| !rows.prompt).map(|rows| rows.name).collect();
            assert_eq!(decoded, decoding);
            let prompt_is_left = step.scheduled.iter().any(|rows| rows.prompt && !rows.sampled);
            assert!(rows == budget || !prompt_is_left, "rows that prompt could have are not left");
            for token in &step.tokens {
                decoding.retain(|&name| name != token.sequence);
                if token.finish.is_none() {
                    decoding.push(token.sequence);
                }
            }
            decoding.sort_unstable();
        }
        for (one, prompt) in ended(&mut steps).into_iter().zip(prompts) {
            assert_eq!(one.completion.tokens, alone(&mut model, request(&[prompt], 12)));
        }
    }
}

/// `cargo test --release -p llem-engine lateness -- --ignored --nocapture` prints how late sequences are admitted:
/// those that arrive while nothing runs, and those that a step delays.
#[test]
#[ignore = "it prints a measurement, of which a busy machine makes another"]
fn lateness_of_scheduled_arrivals() {
    let mut model = model("synthetic:tiny", Split::default());
    let mut batch = open(&mut model, BatchOptions::default());
    let start = Instant::now() + 20 * MS;
    for index in 0..60 {
        let arrival = start + index * 50 * MS;
        let one = request(&[tokens(u64::from(index), 16)], 1);
        batch.submit(&model, &one, Instant::now(), Some(arrival)).unwrap();
    }
    let all = ended(&mut drained(&mut batch, &mut model));
    for due_in_step in [false, true] {
        let mut late: Vec<Duration> = all
            .iter()
            .filter(|one| one.admission.due_in_step == due_in_step)
            .map(|one| one.admission.admitted.unwrap() - one.admission.arrival)
            .collect();
        late.sort_unstable();
        let (median, most) = (late.get(late.len() / 2), late.last());
        println!(
            "due in a step: {due_in_step}: {} arrivals, median {median:?}, most {most:?}",
            late.len()
        );
    }
}
