//! Tests of what a request can set about the choice of tokens, against transformers, torch, and other ways to compute
//! the same numbers.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::*;
use crate::{
    Batch, FinishReason, LoadOptions, Split,
    batch::{BatchOptions, BatchStep, TokenLogProbabilities},
    sampling::{
        LogitsRow, argmax,
        parity_tests::{fixture, ids, sampling},
    },
    score::ScoreRequest,
};
use serde_json::Value;

/// The fixture that transformers ran. Its vocabulary has 200 tokens and its context 256.
fn load(split: Split) -> Model {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/fixtures/llama/tied");
    let dtype = Some(crate::DType::F32);
    Model::load(&LoadOptions { split, dtype, ..LoadOptions::new(folder.parse().unwrap()) }).unwrap()
}

fn prompt(seed: u32, length: u32) -> Vec<u32> {
    (0..length).map(|place| (seed * 31 + place * 17) % 190 + 2).collect()
}

fn request(prompts: &[Vec<u32>], max_new_tokens: usize) -> Request {
    let prompts = prompts.iter().cloned().map(Prompt::Tokens).collect();
    Request { prompts, max_new_tokens, ignore_eos: true, ..Request::default() }
}

fn generate(model: &mut Model, request: &Request) -> Vec<Completion> {
    let generation = model.generate(request.clone(), &Control::default()).unwrap();
    assert!(generation.failure.is_none(), "{:?}", generation.failure);
    generation.completions
}

fn open(model: &mut Model, prefill_chunk: usize) -> Batch {
    let options = BatchOptions { max_sequences: 3, prefill_chunk, ..Default::default() };
    Batch::open(model, options).unwrap()
}

fn submit(batch: &mut Batch, model: &Model, request: &Request) -> Vec<u64> {
    let submitted = batch.submit(model, request, llem_clock::now(), None).unwrap();
    submitted.iter().map(|one| one.name).collect()
}

fn step(batch: &mut Batch, model: &mut Model) -> BatchStep {
    batch.step(model, &|| false).unwrap()
}

/// Generates in a continuous batch that runs prompts in chunks.
fn generate_in_batch(model: &mut Model, request: &Request) -> Vec<Completion> {
    let mut batch = open(model, 5);
    submit(&mut batch, model, request);
    let mut ended = Vec::new();
    batch.drain(model, &Control::default(), |step| ended.extend(step.ended)).unwrap();
    ended.sort_by_key(|one| one.sequence);
    ended.into_iter().map(|one| one.completion).collect()
}

fn assert_close(ours: &[TokenLogProbabilities], theirs: &Value) {
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(ours.len(), theirs["chosen"].as_array().unwrap().len());
    for (place, ours) in ours.iter().enumerate() {
        assert!((ours.chosen - number(&theirs["chosen"][place])).abs() < 1e-4, "token {place}");
        let top = theirs["top"][place].as_array().unwrap();
        assert_eq!(ours.top.len(), top.len());
        for (ours, theirs) in ours.top.iter().zip(top) {
            assert_eq!(u64::from(ours.0), theirs[0].as_u64().unwrap(), "token {place}");
            assert!((ours.1 - number(&theirs[1])).abs() < 1e-4, "token {place}");
        }
    }
}

#[test]
fn tokens_and_log_probabilities_are_those_of_transformers() {
    let cases = fixture("generations");
    assert!(cases.len() >= 5);
    for split in [Split::new(1, 1, 1), Split::new(2, 1, 1), Split::new(1, 2, 1)] {
        let mut model = load(split);
        for case in &cases {
            let options = &case["options"];
            let asked = Request {
                sampling: sampling(options, 0.0),
                // The end tokens that transformers was given are stop tokens of the request here.
                stop_tokens: options["eos"]
                    .as_array()
                    .map_or_else(Arc::default, |_| ids(&options["eos"]).into()),
                min_new_tokens: options["min_new_tokens"].as_u64().unwrap_or(0) as usize,
                log_probabilities: Some(5),
                ..request(&[ids(&case["prompt"])], 24)
            };
            for completions in [generate(&mut model, &asked), generate_in_batch(&mut model, &asked)]
            {
                let completion = &completions[0];
                assert_eq!(completion.tokens, ids(&case["tokens"]), "{split} {options}");
                assert_close(&completion.log_probabilities, case);
                let is_short = completion.tokens.len() < 24;
                let reason = if is_short { FinishReason::Stop } else { FinishReason::Length };
                assert_eq!(completion.finish, reason);
            }
        }
    }
}

#[test]
fn only_the_chosen_ones_are_told_with_zero_and_none_without() {
    let mut model = load(Split::default());
    let asked = request(&[prompt(1, 9)], 4);
    assert!(generate(&mut model, &asked)[0].log_probabilities.is_empty());
    let told = generate(&mut model, &Request { log_probabilities: Some(0), ..asked });
    assert_eq!(told[0].log_probabilities.len(), 4);
    assert!(told[0].log_probabilities.iter().all(|one| one.top.is_empty() && one.chosen < 0.0));
}

/// The log-probabilities of given tokens are equal to their scores, and a sequence ends only with its list.
#[test]
fn given_tokens_are_fed_and_scored() {
    let mut model = load(Split::default());
    let eos = model.info().eos[0];
    let prompts = [prompt(1, 7), prompt(2, 12), prompt(3, 3)];
    let mut given = vec![prompt(4, 9), prompt(5, 1), prompt(6, 6)];
    given[0][2] = eos;
    given[2][1] = 50;
    let asked = Request {
        given: given.clone(),
        log_probabilities: Some(3),
        ignore_eos: false,
        stop_tokens: [50].into(),
        ..request(&prompts, 9)
    };
    let scored: Vec<ScoreRequest> = prompts
        .iter()
        .zip(&given)
        .map(|(context, given)| ScoreRequest {
            context: context.clone(),
            continuation: given.clone(),
        })
        .collect();
    let scoring = model.score(&scored, &Control::default(), &|_, _| {}).unwrap();
    for completions in [generate(&mut model, &asked), generate_in_batch(&mut model, &asked)] {
        for ((completion, given), score) in completions.iter().zip(&given).zip(&scoring.scores) {
            assert_eq!(&completion.tokens, given);
            assert_eq!(completion.finish, FinishReason::Length);
            assert_eq!(completion.token_times.len(), given.len());
            let ours = completion.log_probabilities.iter().map(|one| one.chosen);
            let theirs = &score.as_ref().unwrap().log_likelihoods;
            assert_eq!(theirs.len(), given.len());
            for (ours, theirs) in ours.zip(theirs) {
                assert!((ours - theirs).abs() < 1e-5, "{ours} {theirs}");
            }
        }
    }
    // Without log-probabilities no token is chosen and no logits are read, but the rows are the same.
    let plain = Request { log_probabilities: None, ..asked };
    let mut batch = open(&mut model, 5);
    submit(&mut batch, &model, &plain);
    let (mut rows, mut logits, mut tokens) = (0, 0, 0);
    batch
        .drain(&mut model, &Control::default(), |step| {
            rows += step.scheduled.iter().map(|one| one.new).sum::<usize>();
            logits += step.scheduled.iter().map(|one| one.logits).sum::<usize>();
            tokens += step.tokens.len();
        })
        .unwrap();
    // As in generation, the last token of each sequence is not run.
    assert_eq!((rows, logits, tokens), (22 + 16 - 3, 16, 16));
}

#[test]
fn the_greedy_tokens_given_have_the_logits_of_the_greedy_run() {
    for split in [Split::default(), Split::new(1, 2, 1), Split::new(1, 1, 2)] {
        let mut model = load(split);
        let keep_logits = true;
        let asked = Request { keep_logits, ..request(&[prompt(1, 9), prompt(8, 4)], 6) };
        let greedy = generate(&mut model, &asked);
        let given = greedy.iter().map(|completion| completion.tokens.clone()).collect();
        for (ours, theirs) in generate(&mut model, &Request { given, ..asked }).iter().zip(&greedy)
        {
            assert_eq!(ours.tokens, theirs.tokens, "{split}");
            assert_eq!(ours.logits, theirs.logits, "{split}");
        }
    }
}

#[test]
fn a_prompt_alone_is_run_without_a_token() {
    for split in [Split::default(), Split::new(2, 1, 1), Split::new(1, 2, 1)] {
        let mut model = load(split);
        let prompts = [prompt(1, 9), prompt(2, 256)];
        let alone = Request { keep_logits: true, ..request(&prompts, 0) };
        let completions = generate(&mut model, &alone);
        for completion in &completions {
            assert_eq!((completion.finish, completion.tokens.len()), (FinishReason::Length, 0));
            assert!(completion.started.is_some() && completion.token_times.is_empty());
            assert_eq!(completion.logits.len(), completion.prompt_tokens * 200);
        }
        let longer =
            generate(&mut model, &Request { keep_logits: true, ..request(&prompts[..1], 1) });
        assert_eq!(completions[0].logits, longer[0].logits, "{split}");
    }
}

#[test]
fn prompt_logits_say_for_which_positions_the_head_is_computed() {
    let mut model = load(Split::default());
    for (prompt_logits, expected) in
        [(LogitPositions::Last, [0, 0, 1]), (LogitPositions::All, [5, 5, 2])]
    {
        let asked = Request { prompt_logits, ..request(&[prompt(1, 12)], 0) };
        assert_eq!(generate(&mut model, &asked)[0].finish, FinishReason::Length);
        let mut batch = open(&mut model, 5);
        submit(&mut batch, &model, &asked);
        let steps: Vec<BatchStep> = (0..3).map(|_| step(&mut batch, &mut model)).collect();
        let logits: Vec<usize> = steps.iter().map(|step| step.scheduled[0].logits).collect();
        assert_eq!(logits, expected, "{prompt_logits:?}");
        assert!(steps.iter().all(|step| step.tokens.is_empty() && !step.scheduled[0].sampled));
        let completion = &steps[2].ended[0].completion;
        assert_eq!(completion.finish, FinishReason::Length);
        assert_eq!(completion.prompt_logits.rows(12), logits.iter().sum::<usize>());
        assert!(batch.is_empty());
    }
}

/// The caller chooses the most likely token, at any pace, next to sequences that do not wait for it.
#[test]
fn a_caller_that_takes_the_most_likely_gets_the_greedy_tokens() {
    for split in [Split::default(), Split::new(2, 1, 1), Split::new(1, 2, 1), Split::new(1, 1, 2)] {
        let mut model = load(split);
        let prompts = [prompt(1, 9), prompt(2, 14)];
        let greedy = Request { log_probabilities: Some(2), ..request(&prompts, 8) };
        let expected = generate(&mut model, &greedy);
        let mut batch = open(&mut model, 5);
        let others = submit(&mut batch, &model, &request(&[prompt(3, 4)], 30));
        let asked = Request { caller_chooses: true, ..greedy };
        let names = submit(&mut batch, &model, &asked);
        let (mut told, mut ended) = (Vec::new(), Vec::new());
        for round in 0.. {
            let step = step(&mut batch, &mut model);
            told.extend(step.tokens);
            ended.extend(step.ended);
            if batch.is_empty() {
                break;
            }
            assert_eq!(step.awaiting, batch.awaiting());
            // The second sequence gets a token only in every third step.
            for &name in step.awaiting.iter().filter(|&&name| name == names[0] || round % 3 == 0) {
                let row = batch.logits(name).unwrap();
                assert_eq!(LogitsRow::new(&row).unwrap().top(1)[0].token, argmax(&row).unwrap());
                batch.choose(&model, name, argmax(&row).unwrap()).unwrap();
            }
        }
        for (name, expected) in names.iter().zip(&expected) {
            let done = ended.iter().find(|one| one.sequence == *name).unwrap();
            assert_eq!(done.completion.tokens, expected.tokens, "{split}");
            assert_eq!(done.completion.log_probabilities, expected.log_probabilities);
            assert_eq!(done.completion.finish, FinishReason::Length);
            let told: Vec<u32> =
                told.iter().filter(|one| one.sequence == *name).map(|one| one.token).collect();
            assert_eq!(told, expected.tokens, "each token is told once");
        }
        let other = ended.iter().find(|one| one.sequence == others[0]).unwrap();
        assert_eq!(other.completion.tokens.len(), 30);
    }
}

#[test]
fn what_waits_for_its_caller_stands_still() {
    let mut model = load(Split::default());
    let mut batch = open(&mut model, 64);
    let stop_tokens: Arc<[u32]> = [9].into();
    let asked = Request {
        caller_chooses: true,
        stop_tokens,
        min_new_tokens: 2,
        ..request(&[prompt(1, 9), prompt(2, 5)], 8)
    };
    let names = submit(&mut batch, &model, &asked);
    assert!(batch.logits(names[0]).is_err(), "nothing has been run");
    let first = step(&mut batch, &mut model);
    assert_eq!((first.scheduled.len(), first.tokens.len()), (2, 0));
    assert_eq!(first.awaiting, names);
    let used = batch.status().kv_used;
    let idle = step(&mut batch, &mut model);
    assert!(idle.scheduled.is_empty() && idle.ended.is_empty());
    assert_eq!((idle.awaiting, batch.status().kv_used), (names.clone(), used));
    let error = batch.drain(&mut model, &Control::default(), |_| {}).unwrap_err();
    assert!(error.is_input() && error.to_string().starts_with("sequences 0, 1 wait"), "{error}");

    for (token, reason) in [
        (200, "token 200 is chosen for sequence 0, but the vocabulary ends at 199"),
        (9, "token 9 would end sequence 0 after 0 of at least 2 tokens (min-new-tokens)"),
    ] {
        let error = batch.choose(&model, names[0], token).unwrap_err().to_string();
        assert!(error.starts_with(reason), "{error}");
        assert!(batch.logits(names[0]).is_ok(), "it still waits");
    }
    assert!(batch.choose(&model, 7, 3).is_err());
    batch.choose(&model, names[0], 3).unwrap();
    let again = batch.choose(&model, names[0], 3).unwrap_err().to_string();
    assert_eq!(again, "no sequence 0 of this batch waits for a token to be chosen");
    batch.cancel(names[1]).unwrap();
    assert!(batch.logits(names[1]).is_err());

    let second = step(&mut batch, &mut model);
    assert_eq!(second.tokens.iter().map(|one| one.token).collect::<Vec<_>>(), [3]);
    assert_eq!(second.ended[0].completion.finish, FinishReason::Cancelled);
    batch.choose(&model, names[0], 4).unwrap();
    step(&mut batch, &mut model);
    batch.choose(&model, names[0], 9).unwrap();
    let last = step(&mut batch, &mut model);
    assert!(last.scheduled.is_empty() && batch.is_empty());
    assert_eq!(last.ended[0].completion.tokens, [3, 4, 9]);
    assert_eq!(last.ended[0].completion.finish, FinishReason::Stop);
    assert_eq!(last.tokens[0].finish, Some(FinishReason::Stop));
}

/// Given tokens take memory while they wait, so they count like prompt tokens.
#[test]
fn given_tokens_that_wait_count_as_waiting() {
    let mut model = load(Split::default());
    let mut batch = open(&mut model, 5);
    submit(&mut batch, &model, &request(&[prompt(1, 9), prompt(2, 9), prompt(3, 9)], 9));
    let asked = request(&[prompt(4, 9)], 9);
    let waiting = |batch: &Batch| batch.status().waiting_bytes;
    let names = submit(&mut batch, &model, &asked);
    let without = waiting(&batch);
    batch.cancel(names[0]).unwrap();
    assert_eq!(waiting(&batch), 0);
    let names = submit(&mut batch, &model, &Request { given: vec![vec![5; 8]], ..asked });
    assert_eq!(waiting(&batch) - without, 8 * 4, "bytes");
    batch.cancel(names[0]).unwrap();
    assert_eq!(waiting(&batch), 0);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let mut model = load(Split::default());
    let asked = request(&[prompt(1, 9)], 4);
    let with = |change: &dyn Fn(&mut Request)| {
        let mut changed = asked.clone();
        change(&mut changed);
        changed
    };
    for (asked, reason) in [
        (with(&|one| one.min_new_tokens = 5), "min-new-tokens 5 must be at most"),
        (with(&|one| one.log_probabilities = Some(21)), "log-probabilities 21 must be at most 20"),
        (
            with(&|one| one.prompt_logits = LogitPositions::All),
            "all prompt logits are computed only",
        ),
        (with(&|one| one.stop_tokens = [3, 200].into()), "stop-tokens holds token 200"),
        (with(&|one| one.given = vec![vec![1]; 2]), "2 lists of given tokens for 1 prompts"),
        (with(&|one| one.given = vec![vec![1; 5]]), "5 tokens are given for prompt 0"),
        (with(&|one| one.given = vec![vec![1, 999]]), "what is given for prompt 0 holds token 999"),
        (with(&|one| one.sampling.logit_bias = [(200, 1.0)].into()), "logit-bias names token 200"),
        (with(&|one| one.prompts = vec![Prompt::Tokens(vec![2; 256])]), "prompt 0 has 256 tokens"),
        (
            with(&|one| one.caller_chooses = true),
            "the caller can choose tokens only in a continuous",
        ),
    ] {
        let error = model.generate(asked, &Control::default()).unwrap_err();
        assert!(error.is_input() && error.to_string().starts_with(reason), "{error}");
    }
    let both = Request { caller_chooses: true, given: vec![vec![1]], ..asked };
    let mut batch = open(&mut model, 5);
    let error = batch.submit(&model, &both, llem_clock::now(), None).unwrap_err().to_string();
    assert!(error.starts_with("tokens are given, so that there is nothing"), "{error}");
}

/// The model's end-of-sequence token, which is always the most likely one here, is chosen as soon as it is allowed.
#[test]
fn end_of_sequence_waits_for_the_fewest_tokens() {
    let mut model = load(Split::default());
    let eos = model.info().eos[0];
    let mut asked = request(&[prompt(1, 9)], 6);
    asked.sampling.logit_bias = [(eos, 1e4)].into();
    for (fewest, ignore_eos, count, reason) in [
        (0, false, 1, FinishReason::Eos),
        (3, false, 4, FinishReason::Eos),
        (6, false, 6, FinishReason::Length),
        (3, true, 6, FinishReason::Length),
    ] {
        asked.ignore_eos = ignore_eos;
        asked.min_new_tokens = fewest;
        let completion = &generate(&mut model, &asked)[0];
        assert_eq!((completion.tokens.len(), completion.finish), (count, reason), "{fewest}");
        let first = completion.tokens.iter().position(|&token| token == eos);
        let allowed = if ignore_eos { 0 } else { fewest };
        assert_eq!(first, (allowed < 6).then_some(allowed));
    }
}
