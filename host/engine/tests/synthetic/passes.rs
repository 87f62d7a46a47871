//! Passes of a synthetic host: their times, their energies and their tokens.

use crate::{alone, load};
use llem_engine::{Batch, BatchOptions, Completion, Control, Prompt, Request};
use std::time::Duration;

fn request(prompts: &[&[u32]]) -> Request {
    Request {
        prompts: prompts.iter().map(|prompt| Prompt::Tokens(prompt.to_vec())).collect(),
        max_new_tokens: 5,
        ignore_eos: true,
        ..Request::default()
    }
}

fn tokens(completions: &[Completion]) -> Vec<Vec<u32>> {
    completions.iter().map(|completion| completion.tokens.clone()).collect()
}

#[test]
fn passes_take_the_given_time_and_energy() {
    let (_alone, clock) = alone();
    let began = clock.now();
    let (mut model, work) = load(1);
    assert_eq!(llem_clock::elapsed(began), Duration::from_secs(2));
    assert_eq!(model.info().load_time, Duration::from_secs(2));
    let generation = model.generate(request(&[&[1, 2, 3], &[4; 7]]), &Control::default()).unwrap();
    assert_eq!(generation.prefill_time(), Duration::from_millis(10));
    assert_eq!(generation.decode_time(), Duration::from_millis(40));
    let drawn: Vec<f64> = work.take().iter().map(|work| work.joules).collect();
    assert_eq!(drawn, [1.0, 1.0, 1.0, 1.0, 1.0], "10 prompt tokens, then two rows for each step");
}

#[test]
fn tokens_depend_on_the_seed_and_the_prompt_alone() {
    let _alone = alone();
    let (mut model, _) = load(1);
    let prompts: [&[u32]; 2] = [&[1, 2, 3], &[9; 40]];
    let mut generate = |prompts: &[&[u32]]| {
        tokens(&model.generate(request(prompts), &Control::default()).unwrap().completions)
    };
    let together = generate(&prompts);
    assert_eq!([generate(&prompts[..1]), generate(&prompts[1..])].concat(), together);
    assert_ne!(together[0], together[1]);
    // A prompt that is cut into chunks goes on in the same way.
    let options = BatchOptions { max_sequences: 2, prefill_chunk: 16, ..BatchOptions::default() };
    let mut batch = Batch::open(&mut model, options).unwrap();
    batch.submit(&model, &request(&prompts), llem_clock::now(), None).unwrap();
    let mut ended = Vec::new();
    batch.drain(&mut model, &Control::default(), |step| ended.extend(step.ended)).unwrap();
    ended.sort_by_key(|one| one.sequence);
    let ended: Vec<Completion> = ended.into_iter().map(|one| one.completion).collect();
    assert_eq!(tokens(&ended), together);
    let (mut other, _) = load(2);
    let other = other.generate(request(&prompts), &Control::default()).unwrap();
    assert_ne!(tokens(&other.completions), together);
}

#[test]
fn an_idle_batch_jumps_to_the_next_arrival() {
    let _alone = alone();
    let (mut model, _) = load(1);
    let mut batch =
        Batch::open(&mut model, BatchOptions { max_sequences: 2, ..BatchOptions::default() })
            .unwrap();
    let began = llem_clock::now();
    let arrival = began + Duration::from_secs(3600);
    batch.submit(&model, &request(&[&[1; 10]]), began, Some(arrival)).unwrap();
    let mut ended = Vec::new();
    batch.drain(&mut model, &Control::default(), |step| ended.extend(step.ended)).unwrap();
    let times = &ended[0].completion.token_times;
    assert_eq!(times[0] - arrival, Duration::from_millis(10));
    assert_eq!(times[4] - times[0], Duration::from_millis(40));
}
