//! Sampling against a plain implementation that sorts everything, and draws against exact probabilities.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use super::{
    Sampler, Sampling, argmax,
    sampler::filter_tokens,
    selection::{RankedToken, SoftmaxWeights, find_most_likely},
};
use crate::cpu::threads::Team;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Returns the tokens and weights that the options leave, the most likely first, by sorting all tokens.
fn reference(options: &Sampling, row: &[f32]) -> Vec<(u32, f64)> {
    let mut order: Vec<u32> = (0..row.len() as u32).collect();
    order.sort_by(|&a, &b| row[b as usize].total_cmp(&row[a as usize]).then(a.cmp(&b)));
    order.truncate(options.top_k.unwrap_or(order.len()));
    let top = row[order[0] as usize];
    let weight = |id: u32| f64::from((row[id as usize] - top) / options.temperature).exp();
    let mut left: Vec<(u32, f64)> = order.into_iter().map(|id| (id, weight(id))).collect();
    if let Some(p) = options.top_p {
        let enough = f64::from(p) * left.iter().map(|(_, weight)| weight).sum::<f64>();
        let mut reached = 0.0;
        let count = left.iter().take_while(|(_, weight)| {
            let is_kept = reached < enough;
            reached += weight;
            is_kept
        });
        let count = count.count().max(1);
        left.truncate(count);
    }
    left
}

fn logits(random: &mut ChaCha8Rng, count: usize, spread: f32) -> Vec<f32> {
    (0..count).map(|_| (random.random::<f32>() - 0.5) * spread).collect()
}

/// Makes options with each combination of top-k and top-p that rules tokens out.
fn options(random: &mut ChaCha8Rng, count: usize) -> Vec<Sampling> {
    let k = random.random_range(1..=count);
    let p = random.random_range(0.01..0.999);
    [(Some(k), None), (Some(1), None), (None, Some(p)), (None, Some(1e-6)), (Some(k), Some(p))]
        .map(|(top_k, top_p)| Sampling {
            temperature: random.random_range(0.1..3.0),
            top_k,
            top_p,
            ..Sampling::default()
        })
        .to_vec()
}

#[test]
fn what_is_left_is_what_sorting_everything_leaves() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    for round in 0..120 {
        let count = [1, 2, 5, 64, 65, 300, 2_000, 9_000][round % 8];
        let spread = [1e-3, 4.0, 40.0][round / 8 % 3];
        let mut row = logits(&mut random, count, spread);
        if round % 2 == 1 {
            // Many equal logits, among them both zeros, and tokens that are ruled out.
            for logit in &mut row {
                *logit = (*logit / spread * 6.0).round();
                if *logit == -3.0 {
                    *logit = f32::NEG_INFINITY;
                }
            }
        }
        for options in options(&mut random, count) {
            let top = row[argmax(&row).unwrap() as usize];
            if top == f32::NEG_INFINITY {
                continue;
            }
            let weights = SoftmaxWeights { top, temperature: options.temperature };
            let mut ours = filter_tokens(&options, weights, &row)
                .unwrap_or_else(|| find_most_likely(&row, count));
            ours.sort_unstable_by(|a, b| b.cmp(a));
            let ours: Vec<u32> = ours.into_iter().map(RankedToken::id).collect();
            let theirs: Vec<u32> =
                reference(&options, &row).into_iter().map(|(id, _)| id).collect();
            assert_eq!(ours, theirs, "{options:?} of {count} logits");
        }
    }
}

#[test]
fn a_draw_goes_from_the_most_likely_to_the_least() {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    for count in [3, 100, 5_000] {
        let row = logits(&mut random, count, 8.0);
        for options in options(&mut random, count) {
            if options.top_p.is_none() && options.top_k == Some(count) {
                continue; // All tokens are left. These are drawn in the order of their ids.
            }
            let left = reference(&options, &row);
            let mut sampler = Sampler::new(&options, 3, &[]);
            let mut numbers = ChaCha8Rng::seed_from_u64(options.seed);
            numbers.set_stream(3);
            for _ in 0..50 {
                let mut rest =
                    numbers.random::<f64>() * left.iter().map(|(_, weight)| weight).sum::<f64>();
                let theirs = left.iter().find(|(_, weight)| {
                    rest -= weight;
                    rest < 0.0
                });
                assert_eq!(sampler.choose(&row, &[]).unwrap(), theirs.unwrap().0, "{options:?}");
            }
        }
    }
}

/// Asserts that Pearson's statistic of counts against probabilities is below the value that one in ten thousand
/// exceeds (Wilson and Hilferty's approximation).
fn assert_distributed(counts: &[usize], probabilities: &[f64], what: &str) {
    let draws = counts.iter().sum::<usize>() as f64;
    let statistic: f64 = counts
        .iter()
        .zip(probabilities)
        .filter(|&(_, &probability)| probability > 0.0)
        .map(|(&count, &probability)| {
            (count as f64 - draws * probability).powi(2) / (draws * probability)
        })
        .sum();
    for (count, probability) in counts.iter().zip(probabilities) {
        assert!(*probability > 0.0 || *count == 0, "{what}: drew what is left out");
    }
    let possible = probabilities.iter().filter(|&&probability| probability > 0.0).count();
    let freedom = (possible - 1).max(1) as f64;
    let spread = 2.0 / (9.0 * freedom);
    let limit = freedom * (1.0 - spread + 3.719 * spread.sqrt()).powi(3);
    assert!(statistic < limit, "{what}: {statistic} is not below {limit}");
}

#[test]
fn draws_follow_the_exact_probabilities() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    let row = logits(&mut random, 24, 5.0);
    for (top_k, top_p) in
        [(None, None), (Some(7), None), (None, Some(0.8)), (Some(12), Some(0.7)), (None, Some(1.0))]
    {
        let options = Sampling { temperature: 0.7, top_k, top_p, ..Sampling::default() };
        let mut probabilities = vec![0.0; row.len()];
        let left = reference(&options, &row);
        let sum: f64 = left.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in left {
            probabilities[id as usize] = weight / sum;
        }
        let mut sampler = Sampler::new(&options, 0, &[]);
        let mut counts = vec![0; row.len()];
        for _ in 0..40_000 {
            counts[sampler.choose(&row, &[]).unwrap() as usize] += 1;
        }
        assert_distributed(&counts, &probabilities, &format!("top-k {top_k:?}, top-p {top_p:?}"));
    }
}

// There are more tokens than one thread sums or one sort takes. They are counted by groups of ids.
#[test]
fn draws_of_a_large_vocabulary_follow_the_exact_probabilities() {
    const GROUPS: usize = 32;
    let mut random = ChaCha8Rng::seed_from_u64(6);
    let row = logits(&mut random, 20_000, 3.0);
    for (top_k, top_p) in [(None, None), (Some(9_000), None), (None, Some(0.9))] {
        let options = Sampling { temperature: 1.3, top_k, top_p, ..Sampling::default() };
        let group = |id: u32| id as usize * GROUPS / row.len();
        let mut probabilities = vec![0.0; GROUPS];
        let left = reference(&options, &row);
        let sum: f64 = left.iter().map(|(_, weight)| weight).sum();
        for (id, weight) in left {
            probabilities[group(id)] += weight / sum;
        }
        let mut sampler = Sampler::new(&options, 0, &[]);
        let mut counts = vec![0; GROUPS];
        for _ in 0..3_000 {
            counts[group(sampler.choose(&row, &[]).unwrap())] += 1;
        }
        assert_distributed(&counts, &probabilities, &format!("top-k {top_k:?}, top-p {top_p:?}"));
    }
}

fn all_options() -> Vec<Sampling> {
    let of = |top_k, top_p| Sampling { temperature: 0.9, top_k, top_p, ..Sampling::default() };
    vec![of(None, None), of(Some(3), None), of(None, Some(0.9)), of(Some(3), Some(0.9))]
}

#[test]
fn infinite_logits_are_chosen_or_ruled_out() {
    let (high, low) = (f32::INFINITY, f32::NEG_INFINITY);
    for options in all_options() {
        let draws = |row: &[f32]| -> Vec<u32> {
            let mut sampler = Sampler::new(&options, 0, &[]);
            let mut drawn: Vec<u32> = (0..200).map(|_| sampler.choose(row, &[]).unwrap()).collect();
            drawn.sort_unstable();
            drawn.dedup();
            drawn
        };
        assert_eq!(draws(&[low, 1.0, low, 1.0]), [1, 3]);
        assert_eq!(draws(&[3.0, high, low, high]), [1, 3]);
        assert!(draws(&[low; 5]).len() > 1, "nothing is more likely than the rest");
        assert_eq!(draws(&[low]), [0]);
    }
}

#[test]
fn a_row_with_nan_is_an_error() {
    for options in all_options() {
        let mut sampler = Sampler::new(&options, 0, &[]);
        let error = sampler.choose(&[1.0, f32::NAN, 2.0], &[]).unwrap_err().to_string();
        assert!(error.contains("not a number"), "{error}");
    }
}

#[test]
fn tokens_that_are_there_are_made_less_likely_once() {
    let row = [2.0, 1.5, -1.0, -1.2];
    let options = Sampling { repetition_penalty: 2.0, ..Sampling::default() };
    let mut sampler = Sampler::new(&options, 0, &[7_000_000, 0, 0, 0]);
    let chosen: Vec<u32> = (0..3).map(|_| sampler.choose(&row, &[]).unwrap()).collect();
    // Token 0 has the logit 1.0 from the start. Token 1 has 0.75 after it was chosen, and token 0 still has 1.0.
    assert_eq!(chosen, [1, 0, 0]);
    assert_eq!(row, [2.0, 1.5, -1.0, -1.2], "the row itself stays");
    let mut negative = Sampler::new(&options, 0, &[2]);
    assert_eq!(negative.choose(&[f32::NEG_INFINITY, -3.0, -1.0, -1.9], &[]).unwrap(), 3);
}

#[test]
fn what_is_drawn_does_not_depend_on_the_threads() {
    let mut random = ChaCha8Rng::seed_from_u64(9);
    let row = logits(&mut random, 100_000, 6.0);
    for options in all_options() {
        let draws = || {
            let mut sampler = Sampler::new(&options, 1, &[]);
            (0..10).map(|_| sampler.choose(&row, &[]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(Team::Alone.work(draws), draws());
    }
}

#[test]
fn each_stream_draws_by_itself() {
    let row = [0.0; 1000];
    let draws = |first_stream, index| {
        let options = Sampling { temperature: 1.0, first_stream, ..Sampling::default() };
        let mut sampler = Sampler::new(&options, index, &[]);
        (0..8).map(|_| sampler.choose(&row, &[]).unwrap()).collect::<Vec<_>>()
    };
    assert_ne!(draws(0, 0), draws(1, 0));
    assert_eq!(draws(0, 5), draws(5, 0), "stream 5 either way");
    assert_eq!(draws(u64::MAX, 1), draws(0, 0));
}

#[test]
fn a_ranked_token_keeps_its_logit() {
    for logit in [0.0, -0.0, 1.5, -1.5, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE] {
        let ranked = RankedToken::new(12, logit);
        assert_eq!((ranked.id(), ranked.logit().to_bits()), (12, logit.to_bits()));
    }
}
