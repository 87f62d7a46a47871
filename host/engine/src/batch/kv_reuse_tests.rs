#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::super::{Batch, BatchOptions, FinishReason, WhenFull, test_models::*};
use crate::{
    Control, DType, Error, LoadOptions, Model, Request, Split, adapters::AdapterSelection,
};
use std::time::Instant;

/// Models with plain attention, with windows shorter than the prompts, with learned positions, and on several ranks.
const MODELS: [(&str, [usize; 3]); 8] = [
    ("synthetic:tiny", [1, 1, 1]),
    ("families/mistral", [1, 1, 1]),
    ("families/gemma2", [1, 1, 1]),
    ("families/gpt2-odd", [1, 1, 1]),
    ("synthetic:tiny", [2, 1, 1]),
    ("synthetic:tiny", [1, 2, 1]),
    ("families/mistral", [2, 2, 1]),
    ("synthetic:tiny", [1, 1, 2]),
];

fn models() -> impl Iterator<Item = (String, Model)> {
    MODELS.iter().map(|&(name, [tensor, pipeline, data])| {
        let split = Split::new(tensor, pipeline, data);
        (format!("{name} on {split}"), model(name, split))
    })
}

fn holding(prompts: &[impl AsRef<[u32]>], max_new_tokens: usize) -> Request {
    Request { hold: true, ..request(prompts, max_new_tokens) }
}

fn open(model: &mut Model, max_sequences: usize, prefix_cache: bool) -> Batch {
    // The chunks cut prompts.
    let options = BatchOptions {
        max_sequences,
        max_tokens: Some(96),
        prefill_chunk: 13,
        prefix_cache,
        ..Default::default()
    };
    Batch::open(model, options).unwrap()
}

#[test]
fn turns_appended_to_a_held_sequence_equal_one_long_prompt() {
    for (what, mut model) in models() {
        let mut batch = open(&mut model, 2, false);
        let mut context = tokens(1, 21);
        let (mut name, first) = served(&mut batch, &mut model, &holding(&[&context], 6));
        assert_eq!(first.tokens, alone(&mut model, request(&[&context], 6)), "{what}");
        context.extend(first.tokens);
        for turn in 2..5 {
            let new = tokens(turn, 7);
            let cached = context.len() - 1;
            let next = holding(&[&new], 6);
            let submitted =
                batch.submit_after(&model, name, false, &next, Instant::now(), None).unwrap();
            context.extend(new);
            let mut steps = drained(&mut batch, &mut model);
            let rows: Vec<(usize, usize)> = (steps.iter().flat_map(|step| &step.scheduled))
                .filter(|rows| rows.prompt)
                .map(|rows| (rows.past, rows.new))
                .collect();
            assert_eq!(rows, [(cached, 8)], "{what}: the last token and the new prompt are run");
            let done = ended(&mut steps).remove(0);
            assert_eq!(
                done.completion.tokens,
                alone(&mut model, request(&[&context], 6)),
                "{what}"
            );
            assert_eq!((done.completion.cached_tokens, done.completion.prompt_tokens), (cached, 8));
            assert_eq!((submitted.name, submitted.prompt_tokens), (done.sequence, 8));
            assert_ne!(submitted.name, name);
            assert!(batch.release(name).is_err(), "it is used up");
            name = submitted.name;
            context.extend(done.completion.tokens);
        }
        assert_eq!((batch.status().held, batch.status().kv_used), (1, context.len() - 1));
        batch.release(name).unwrap();
        assert_eq!((batch.status().held, batch.status().kv_used), (0, 0));
    }
}

#[test]
fn forks_go_apart_and_leave_the_held_sequence_as_it_is() {
    for (what, mut model) in models() {
        let mut batch = open(&mut model, 8, false);
        let prompt = tokens(1, 37);
        let (held, first) = served(&mut batch, &mut model, &holding(&[&prompt], 5));
        let context = [prompt, first.tokens].concat();
        let suffixes = [tokens(2, 4), tokens(2, 4), tokens(3, 9), Vec::new()];
        // They run at the same time, three as forks and the last one in place. If there are two replicas, each has
        // four caches.
        for (index, suffix) in suffixes.iter().enumerate() {
            let next = request(&[suffix], 8);
            let fork = index < 3;
            batch.submit_after(&model, held, fork, &next, Instant::now(), None).unwrap();
        }
        let ended = ended(&mut drained(&mut batch, &mut model));
        for (one, suffix) in ended.iter().zip(&suffixes) {
            let whole = [&context[..], suffix].concat();
            let expected = alone(&mut model, request(&[whole], 8));
            assert_eq!(one.completion.tokens, expected, "{what}");
            assert_eq!(one.completion.cached_tokens, context.len() - 1, "{what}");
            assert_eq!(one.completion.prompt_tokens, suffix.len() + 1, "{what}");
        }
        assert_eq!(ended[0].completion.tokens, ended[1].completion.tokens, "{what}");
        assert_eq!(ended.len(), 4);
    }
}

/// In bf16, half of a cache's bytes are keys in blocks, and the cache is of another kind than in f32.
#[test]
fn caches_of_two_bytes_are_copied_too() {
    for dtype in [DType::Bf16, DType::F16] {
        let source = "synthetic:tiny".parse().unwrap();
        let mut model =
            Model::load(&LoadOptions { dtype: Some(dtype), ..LoadOptions::new(source) }).unwrap();
        let mut batch = open(&mut model, 2, false);
        let (held, first) = served(&mut batch, &mut model, &holding(&[tokens(1, 37)], 5));
        let next = request(&[tokens(2, 3)], 20);
        let whole = [tokens(1, 37), first.tokens, tokens(2, 3)].concat();
        batch.submit_after(&model, held, true, &next, Instant::now(), None).unwrap();
        let forked = ended(&mut drained(&mut batch, &mut model)).remove(0).completion;
        batch.submit_after(&model, held, false, &next, Instant::now(), None).unwrap();
        let in_place = ended(&mut drained(&mut batch, &mut model)).remove(0).completion;
        assert_eq!(forked.tokens, in_place.tokens);
        assert_eq!(forked.tokens, alone(&mut model, request(&[whole], 20)));
    }
}

/// The cached part is the longest common prefix without the prompt's last token.
fn common(prompt: &[u32], held: &[u32]) -> usize {
    let same = prompt.iter().zip(held).take_while(|(ours, theirs)| ours == theirs).count();
    same.min(prompt.len() - 1)
}

#[test]
fn a_prefix_cache_changes_no_token_and_finds_what_was_run() {
    for (what, mut model) in models() {
        if what.ends_with(&Split::new(1, 1, 2).to_string()) {
            // What a prompt finds depends on the replica to which it comes.
            continue;
        }
        let mut batch = open(&mut model, 3, true);
        let system = tokens(1, 30);
        let mut seen: Vec<Vec<u32>> = Vec::new();
        let (mut queries, mut hits) = (0, 0);
        // There are no more prompts than caches, so no cached prompt is lost.
        for (suffix, count) in [(2, 5), (3, 9), (2, 5)] {
            let prompt = [&system[..], &tokens(suffix, count)].concat();
            let (_, done) = served(&mut batch, &mut model, &request(&[&prompt], 6));
            let found = seen.iter().map(|held| common(&prompt, held)).max().unwrap_or(0);
            assert_eq!(done.cached_tokens, found, "{what}");
            assert_eq!(done.prompt_tokens, prompt.len() - found, "{what}");
            assert_eq!(done.tokens, alone(&mut model, request(&[&prompt], 6)), "{what}");
            queries += prompt.len() as u64;
            hits += found as u64;
            let status = batch.status();
            assert_eq!((status.prefix_queries, status.prefix_hits), (queries, hits), "{what}");
            // The sequence took over the cache with its prefix in place.
            if found > 0 {
                seen.clear();
            }
            seen.push([&prompt[..], &done.tokens[..5]].concat());
        }
        assert_eq!(hits, 60, "{what}: the first thirty tokens, twice");
    }
}

#[test]
fn a_prefix_is_copied_from_a_sequence_that_runs_on() {
    for (what, mut model) in models() {
        if what.ends_with(&Split::new(1, 1, 2).to_string()) {
            continue;
        }
        let mut batch = open(&mut model, 3, true);
        let prompt = tokens(1, 40);
        batch.submit(&model, &request(&[&prompt], 30), Instant::now(), None).unwrap();
        // Three chunks and one token.
        let mut steps: Vec<_> =
            (0..5).map(|_| batch.step(&mut model, &|| false).unwrap()).collect();
        let longer = [&prompt[..], &[steps[3].tokens[0].token], &tokens(2, 8)].concat();
        let prompts = [prompt.clone(), longer];
        batch.submit(&model, &request(&prompts, 30), Instant::now(), None).unwrap();
        steps.extend(drained(&mut batch, &mut model));
        let ended = ended(&mut steps);
        assert_eq!(ended[1].completion.cached_tokens, 39, "{what}");
        assert_eq!(ended[2].completion.cached_tokens, 41, "{what}");
        let expected = [prompt.clone(), prompt.clone(), prompts[1].clone()];
        for (one, prompt) in ended.iter().zip(expected) {
            assert_eq!(one.completion.tokens, alone(&mut model, request(&[prompt], 30)), "{what}");
        }
    }
}

#[test]
fn a_prefix_of_another_adapter_is_not_taken_over() {
    let mut model = model("synthetic:tiny", Split::default());
    model.attach(&"synthetic:rank=4".parse().unwrap(), Some("one"), 1).unwrap();
    let mut batch = open(&mut model, 4, true);
    let prompt = tokens(1, 30);
    let with = |name: Option<&str>| Request {
        adapters: AdapterSelection::Same(name.map(str::to_owned)),
        ..holding(&[&prompt], 4)
    };
    for (name, cached) in [(None, 0), (Some("one"), 0), (Some("one"), 29), (None, 29)] {
        let (held, done) = served(&mut batch, &mut model, &with(name));
        assert_eq!(done.cached_tokens, cached);
        assert_eq!(done.tokens, alone(&mut model, Request { hold: false, ..with(name) }));
        let other = if name.is_some() { None } else { Some("one") };
        let refused = batch.submit_after(&model, held, false, &with(other), Instant::now(), None);
        let refused = refused.unwrap_err().to_string();
        assert!(refused.starts_with(&format!("sequence {held} ran with")), "{refused}");
    }
    // The logits of every row are requested, so every row is run.
    let logits = Request { keep_logits: true, hold: false, ..with(None) };
    batch.release(0).unwrap();
    let (_, done) = served(&mut batch, &mut model, &logits);
    assert_eq!((done.cached_tokens, done.logits.len()), (0, 33 * 512));
}

/// Many random prompts with shared prefixes go through few caches, with held and forked sequences among them.
#[test]
fn caches_that_change_hands_never_mix_sequences() {
    let mut model = model("synthetic:tiny", Split::new(1, 1, 2));
    let mut batch = open(&mut model, 5, true);
    let prefixes: Vec<Vec<u32>> = (0..3).map(|seed| tokens(seed, 25)).collect();
    let mut expected = Vec::new();
    let mut steps = Vec::new();
    for index in 0..40_u64 {
        let cut = 5 + (index as usize * 7) % 20;
        let prefix = &prefixes[index as usize % 3][..cut];
        let prompt = [prefix, &tokens(100 + index % 4, 1 + index as usize % 5)].concat();
        let max_new_tokens = 2 + index as usize % 9;
        let one = request(&[&prompt], max_new_tokens);
        batch.submit(&model, &one, Instant::now(), None).unwrap();
        if index % 7 == 3 {
            batch.cancel(index).unwrap();
        }
        expected.push(one);
        for _ in 0..index % 4 {
            steps.push(batch.step(&mut model, &|| false).unwrap());
        }
    }
    steps.extend(drained(&mut batch, &mut model));
    assert!(batch.status().prefix_hits > 200, "{:?}", batch.status());
    let ended = ended(&mut steps);
    assert_eq!(ended.len(), 40);
    for (one, request) in ended.into_iter().zip(expected) {
        if one.completion.finish != FinishReason::Cancelled {
            assert_eq!(one.completion.tokens, alone(&mut model, request), "{}", one.sequence);
        }
    }
}

#[test]
fn held_memory_is_told_and_whoever_asks_for_what_is_not_held_is_refused() {
    let mut model = model("synthetic:tiny", Split::default());
    let mut batch = open(&mut model, 2, false);
    let one = holding(&[tokens(1, 10)], 3);
    let (first, _) = served(&mut batch, &mut model, &one);
    let (second, _) = served(&mut batch, &mut model, &one);
    let after = |batch: &mut Batch, model: &Model, name, fork| {
        batch.submit_after(model, name, fork, &one, Instant::now(), None)
    };
    assert!(matches!(after(&mut batch, &model, 9, true), Err(Error::NotFound(_))));
    let two = holding(&[tokens(1, 3), tokens(2, 3)], 3);
    assert!(batch.submit_after(&model, first, true, &two, Instant::now(), None).is_err());
    // The continued sequence would be longer than a sequence may be.
    let long = request(&[tokens(1, 80)], 10);
    let refused = batch.submit_after(&model, first, false, &long, Instant::now(), None);
    assert!(refused.unwrap_err().to_string().contains("come to 103 tokens"));
    assert_eq!(batch.status().held, 2, "what was refused has used nothing up");

    // A fork needs memory of its own, and all memory is held.
    let fork = after(&mut batch, &model, first, true).unwrap();
    let refused = batch.drain(&mut model, &Control::default(), |_| ()).unwrap_err();
    assert!(matches!(&refused, Error::Full(reason) if reason.contains("held by 2")), "{refused}");
    for refused in [batch.release(first), after(&mut batch, &model, first, false).map(drop)] {
        let refused = refused.unwrap_err().to_string();
        assert!(refused.contains("still to be forked"), "{refused}");
    }
    assert!(after(&mut batch, &model, fork.name, true).is_err(), "it waits");
    batch.release(second).unwrap();
    let done = ended(&mut drained(&mut batch, &mut model)).remove(0);
    assert_eq!((done.sequence, done.completion.cached_tokens), (fork.name, 12));

    // A continuation that is cancelled before it starts gives its memory back.
    let later = Instant::now() + std::time::Duration::from_secs(600);
    let next = batch.submit_after(&model, first, false, &one, Instant::now(), Some(later)).unwrap();
    assert_eq!((batch.status().scheduled, batch.status().kv_used), (1, 12 + 25));
    assert!(batch.submit_after(&model, first, true, &one, Instant::now(), None).is_err());
    batch.cancel(next.name).unwrap();
    let done = ended(&mut drained(&mut batch, &mut model)).remove(0);
    assert_eq!(done.completion.finish, FinishReason::Cancelled);
    assert!(done.admission.admitted.is_none());
    assert_eq!((batch.status().held, batch.status().kv_used), (1, 25), "the fork's");
    let (_, done) = served(&mut batch, &mut model, &request(&[tokens(1, 10)], 3));
    assert_eq!(done.tokens.len(), 3);
    // A static request has no memory to hold.
    assert!(model.prepare(one).is_err());
}

#[test]
fn held_memory_is_not_given_to_others() {
    let mut model = model("synthetic:tiny", Split::default());
    let options =
        BatchOptions { max_sequences: 1, when_full: WhenFull::Refuse, ..Default::default() };
    let mut batch = Batch::open(&mut model, options).unwrap();
    let one = holding(&[tokens(1, 10)], 3);
    let (held, _) = served(&mut batch, &mut model, &one);
    let submitted = batch.submit(&model, &one, Instant::now(), None);
    assert!(matches!(submitted, Err(Error::Full(_))));
    let forked = batch.submit_after(&model, held, true, &one, Instant::now(), None);
    assert!(matches!(forked, Err(Error::Full(_))));
    batch.submit_after(&model, held, false, &one, Instant::now(), None).unwrap();
}
