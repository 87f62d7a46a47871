//! Sampling against transformers' logits processors, a naive form of OpenAI's penalties, and closed forms.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{
    LogitsRow, Sampler, Sampling, argmax,
    logits_processors::LogitsProcessors,
    sampler::filter_tokens,
    selection::{RankedToken, SoftmaxWeights},
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

/// Reads one part of the file that `tests/fixtures/make-sampling` wrote.
pub(crate) fn fixture(part: &str) -> Vec<Value> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let text = std::fs::read_to_string(folder.join("sampling.json")).unwrap();
    let mut whole: Value = serde_json::from_str(&text).unwrap();
    match whole[part].take() {
        Value::Array(parts) => parts,
        other => panic!("{part} is {other}"),
    }
}

/// Reads token ids from a JSON array.
pub(crate) fn ids(value: &Value) -> Vec<u32> {
    value.as_array().unwrap().iter().map(|id| id.as_u64().unwrap() as u32).collect()
}

/// Reads the options of a case. `temperature` is used if the case has none.
pub(crate) fn sampling(options: &Value, temperature: f32) -> Sampling {
    let number = |name: &str| options[name].as_f64().map(|number| number as f32);
    let bias = options["logit_bias"].as_array().into_iter().flatten();
    let bias =
        bias.map(|pair| (pair[0].as_u64().unwrap() as u32, pair[1].as_f64().unwrap() as f32));
    Sampling {
        temperature: number("temperature").unwrap_or(temperature),
        top_k: options["top_k"].as_u64().map(|k| k as usize),
        top_p: number("top_p"),
        min_p: number("min_p"),
        repetition_penalty: number("repetition_penalty").unwrap_or(1.0),
        logit_bias: bias.collect(),
        ..Sampling::default()
    }
}

/// Returns the tokens that the options leave of a row after bias and penalties, with their probabilities, by id.
fn left(options: &Sampling, row: &[f32]) -> Vec<(u32, f64)> {
    let top = row[argmax(row).unwrap() as usize];
    let weights = SoftmaxWeights { top, temperature: options.temperature };
    let all = || (0..).zip(row).map(|(id, &logit)| RankedToken::new(id, logit)).collect();
    let kept = filter_tokens(options, weights, row).unwrap_or_else(all);
    let sum = weights.sum(&kept);
    let mut left: Vec<(u32, f64)> =
        kept.iter().map(|token| (token.id(), weights.weight(token.logit()) / sum)).collect();
    left.retain(|&(_, share)| share > 0.0);
    left.sort_by_key(|&(id, _)| id);
    left
}

#[test]
fn what_is_left_of_a_row_is_what_transformers_leaves() {
    let cases = fixture("rows");
    assert!(cases.len() >= 14, "{} cases", cases.len());
    for case in cases {
        let (options, generated) = (sampling(&case["options"], 1.0), ids(&case["generated"]));
        options.check(64).unwrap();
        let mut processors = LogitsProcessors::new(&options, &ids(&case["prompt"]));
        generated.iter().for_each(|&token| processors.record(token));
        let fewest = case["options"]["min_new_tokens"].as_u64().unwrap_or(0) as usize;
        let eos = ids(&case["eos"]);
        let forbidden: &[u32] = if generated.len() < fewest { &eos } else { &[] };
        let row = case["row"].as_array().unwrap().iter();
        let row: Vec<f32> = row.map(|logit| logit.as_f64().unwrap() as f32).collect();
        let ours = left(&options, processors.apply(&row, &[forbidden]));
        let theirs = case["left"].as_array().unwrap();
        let named = |one: &Value| (one[0].as_u64().unwrap() as u32, one[1].as_f64().unwrap());
        let theirs: Vec<(u32, f64)> = theirs.iter().map(named).collect();
        let of_ids = |left: &[(u32, f64)]| left.iter().map(|one| one.0).collect::<Vec<_>>();
        assert_eq!(of_ids(&ours), of_ids(&theirs), "{}", case["options"]);
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!((ours.1 - theirs.1).abs() < 1e-6, "{ours:?} {theirs:?} {}", case["options"]);
        }
    }
}

/// OpenAI's formula, word by word: `mu[j] -> mu[j] - c[j] * alpha_frequency - float(c[j] > 0) * alpha_presence`, where
/// `c[j]` counts how often token j was sampled before.
#[test]
fn frequency_and_presence_penalties_are_openais() {
    const VOCAB: usize = 120;
    let mut random = ChaCha8Rng::seed_from_u64(21);
    for (frequency, presence, repetition) in
        [(0.4, 0.0, 1.0), (0.0, 0.9, 1.0), (0.25, 0.5, 1.0), (-0.5, -0.2, 1.0), (0.3, 0.4, 1.5)]
    {
        let options = Sampling {
            frequency_penalty: frequency,
            presence_penalty: presence,
            repetition_penalty: repetition,
            ..Sampling::default()
        };
        options.check(VOCAB).unwrap();
        // Tokens of the prompt count for the repetition penalty only.
        let prompt = [0, 1, 1, 1];
        let mut sampler = Sampler::new(&options, 0, &prompt);
        let mut generated: Vec<u32> = Vec::new();
        let mut repeated = 0;
        for _ in 0..200 {
            let row: Vec<f32> = (0..VOCAB).map(|_| 3.0 * random.random::<f32>() - 1.0).collect();
            let naive: Vec<f64> = (0..VOCAB as u32)
                .map(|id| {
                    let count = generated.iter().filter(|&&token| token == id).count();
                    let mut logit = f64::from(row[id as usize]);
                    if count > 0 || prompt.contains(&id) {
                        let penalty = f64::from(repetition);
                        logit = if logit > 0.0 { logit / penalty } else { logit * penalty };
                    }
                    let is_there = if count > 0 { 1.0 } else { 0.0 };
                    logit - count as f64 * f64::from(frequency) - is_there * f64::from(presence)
                })
                .collect();
            let best = (0..VOCAB).max_by(|&a, &b| naive[a].total_cmp(&naive[b])).unwrap();
            let chosen = sampler.choose(&row, &[]).unwrap();
            // Rounding may decide between two logits that are nearly equal.
            assert!(naive[best] - naive[chosen as usize] < 1e-4, "{options:?}");
            repeated += usize::from(chosen != argmax(&row).unwrap());
            generated.push(chosen);
        }
        assert!(repeated > 10, "{options:?} changed {repeated} choices");
    }
}

#[test]
fn a_bias_of_minus_infinity_rules_a_token_out() {
    let options = Sampling {
        temperature: 1.0,
        logit_bias: [(1, f32::NEG_INFINITY), (2, 1.0), (2, 1.0)].into(),
        ..Sampling::default()
    };
    options.check(3).unwrap();
    let mut processors = LogitsProcessors::new(&options, &[]);
    let row = [0.0, f32::INFINITY, 0.5];
    assert_eq!(processors.apply(&row, &[]), [0.0, f32::NEG_INFINITY, 2.5]);
    let mut sampler = Sampler::new(&options, 0, &[]);
    assert!((0..300).all(|_| sampler.choose(&[0.0, 9.0, 0.5], &[]).unwrap() != 1));
}

#[test]
fn what_is_out_of_range_is_refused_by_name() {
    let bias = |token, bias| Sampling { logit_bias: [(token, bias)].into(), ..Sampling::default() };
    for (options, name) in [
        (Sampling { min_p: Some(1.1), ..Sampling::default() }, "min-p 1.1"),
        (Sampling { min_p: Some(f32::NAN), ..Sampling::default() }, "min-p NaN"),
        (Sampling { frequency_penalty: 2.5, ..Sampling::default() }, "frequency-penalty 2.5"),
        (Sampling { presence_penalty: f32::NAN, ..Sampling::default() }, "presence-penalty NaN"),
        (bias(10, 1.0), "logit-bias names token 10, but the vocabulary ends at 9"),
        (bias(1, f32::NAN), "logit-bias NaN of token 1"),
        (bias(1, f32::INFINITY), "logit-bias inf of token 1"),
    ] {
        let error = options.check(10).unwrap_err();
        assert!(error.is_input() && error.to_string().starts_with(name), "{error}");
    }
    for min_p in [0.0, 1.0] {
        Sampling { min_p: Some(min_p), ..bias(9, -1e30) }.check(10).unwrap();
    }
}

// By hand: logits ln 1, ln 2, ln 5, all of them 3 higher, are probabilities 1/8, 2/8, 5/8.
#[test]
fn a_row_tells_probabilities_entropy_and_normaliser() {
    let row: Vec<f32> = [1.0, 2.0, 5.0].map(|share: f64| (share.ln() + 3.0) as f32).to_vec();
    let read = LogitsRow::new(&row).unwrap();
    let shares = [0.125, 0.25, 0.625f64];
    for (told, share) in read.of_tokens(&[0, 1, 2]).unwrap().iter().zip(shares) {
        assert!((told.log_probability - share.ln()).abs() < 1e-6, "{told:?}");
        assert_eq!(told.logit, row[told.token as usize]);
    }
    assert!((read.log_sum_exp() - (8f64.ln() + 3.0)).abs() < 1e-6);
    let entropy: f64 = shares.iter().map(|share| -share * share.ln()).sum();
    assert!((read.entropy() - entropy).abs() < 1e-6);
    let error = read.of_tokens(&[0, 3]).unwrap_err().to_string();
    assert_eq!(error, "token 3 is not in the vocabulary, which ends at 2");
    assert!(LogitsRow::new(&[0.0, f32::NAN]).is_err());
}

// Enough logits for many threads, all equal except one.
#[test]
fn a_large_row_has_the_entropy_of_its_closed_form() {
    const COUNT: usize = 150_000;
    let even = vec![-7.5f32; COUNT];
    let read = LogitsRow::new(&even).unwrap();
    assert!((read.entropy() - (COUNT as f64).ln()).abs() < 1e-9);
    assert!((read.log_sum_exp() - ((COUNT as f64).ln() - 7.5)).abs() < 1e-9);
    let mut row = even;
    row[99_999] = 100.0;
    row[3] = 20.0;
    let read = LogitsRow::new(&row).unwrap();
    assert!(read.entropy() < 1e-9);
    let top: Vec<u32> = read.top(4).iter().map(|told| told.token).collect();
    assert_eq!(top, [99_999, 3, 0, 1], "of equal ones the lower ids");
    assert!((read.token(3).unwrap().log_probability + 80.0).abs() < 1e-9);
    assert_eq!(read.top(2 * COUNT).len(), COUNT);
}

#[test]
fn infinite_logits_have_the_probabilities_of_their_limit() {
    let (high, low) = (f32::INFINITY, f32::NEG_INFINITY);
    let probabilities = |row: &[f32]| -> Vec<f64> {
        let read = LogitsRow::new(row).unwrap();
        (0..row.len() as u32).map(|id| read.token(id).unwrap().log_probability.exp()).collect()
    };
    assert_eq!(probabilities(&[low, 0.0, low]), [0.0, 1.0, 0.0]);
    assert_eq!(probabilities(&[high, 0.0, high, low]), [0.5, 0.0, 0.5, 0.0]);
    assert_eq!(probabilities(&[low, low]), [0.5, 0.5]);
    assert_eq!(LogitsRow::new(&[high, 0.0]).unwrap().entropy(), 0.0);
    assert_eq!(LogitsRow::new(&[low, 0.0, 0.0]).unwrap().entropy(), 2f64.ln());
}
