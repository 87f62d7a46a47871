//! Sampling on a device against a reference that sorts the row.

use crate::support::{device, random};
use llem_compute::{
    Buffer,
    ops::{
        bytes_of,
        sampling::{Draw, SamplingKernel},
    },
};

/// A row of logits and its tokens, the most likely first. Of equally likely tokens the lower id is first.
struct Row {
    logits: Vec<f32>,
    order: Vec<u32>,
}

impl Row {
    fn new(logits: Vec<f32>) -> Self {
        let mut order: Vec<u32> = (0..logits.len() as u32).collect();
        let logit = |id: u32| logits[id as usize];
        order.sort_unstable_by(|&a, &b| logit(b).total_cmp(&logit(a)).then(a.cmp(&b)));
        Self { logits, order }
    }

    /// Returns the token that `host/engine/src/sampling` chooses with a draw.
    fn draw(&self, draw: &Draw) -> u32 {
        let logits = &self.logits;
        let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if draw.temperature == 0.0 {
            return logits.iter().position(|&logit| logit == top).unwrap() as u32;
        }
        let exponent = |id: u32| match logits[id as usize] {
            logit if logit == top => 0.0,
            logit => f64::from((logit - top) / draw.temperature),
        };
        let weight = |id: u32| exponent(id).exp();
        let sum = |ids: &[u32]| ids.iter().map(|&id| weight(id)).sum::<f64>();
        let by_ids: Vec<u32> = (0..logits.len() as u32).collect();
        let mut kept = if is_cut(draw, logits.len()) { &self.order[..] } else { &by_ids[..] };
        kept = &kept[..kept.len().min(draw.top_k as usize)];
        if draw.top_p < 1.0 {
            let enough = f64::from(draw.top_p) * sum(kept);
            let mut reached = 0.0;
            let place = kept.iter().position(|&id| {
                reached += weight(id);
                reached >= enough
            });
            kept = &kept[..place.map_or(kept.len(), |place| place + 1)];
        }
        if draw.min_p > 0.0 {
            let least = f64::from(draw.min_p).ln();
            let place = kept.iter().position(|&id| exponent(id) < least);
            kept = &kept[..place.unwrap_or(kept.len())];
        }
        let target = draw.share * sum(kept);
        let (mut reached, mut last) = (0.0, kept[0]);
        for &id in kept {
            let weight = weight(id);
            reached += weight;
            if weight > 0.0 {
                last = id;
                if reached > target {
                    break;
                }
            }
        }
        last
    }

    /// Returns true if a share that is off by the rounding of a sum can give this token.
    fn is_boundary(&self, draw: &Draw, token: u32) -> bool {
        let place = |token: u32| match is_cut(draw, self.logits.len()) {
            true => self.order.iter().position(|&id| id == token).unwrap(),
            false => token as usize,
        };
        let [first, last] =
            [-1e-11, 1e-11].map(|off| place(self.draw(&Draw { share: draw.share + off, ..*draw })));
        (first..=last).contains(&place(token))
    }
}

/// Returns true if a draw leaves out any of `vocab` tokens.
fn is_cut(draw: &Draw, vocab: usize) -> bool {
    (draw.top_k as usize) < vocab || draw.top_p < 1.0 || draw.min_p > 0.0
}

/// The largest share below 1. It is within rounding of the end of the last token.
const LARGEST: f64 = 1.0 - f64::EPSILON / 2.0;

/// Draws from rows, and compares with the reference. Only the largest share may give other tokens, because it is within
/// rounding of a boundary. No random share is.
fn check(rows: &[Row], draws: &[(u32, Draw)]) {
    let device = device();
    let logits: Vec<f32> = rows.iter().flat_map(|row| row.logits.iter().copied()).collect();
    let logits = Buffer::from_f32(&device, &logits).unwrap();
    let index: Vec<u32> = draws.iter().map(|&(row, _)| row).collect();
    let index = Buffer::from_u32(&device, &index).unwrap();
    let of_draws: Vec<Draw> = draws.iter().map(|&(_, draw)| draw).collect();
    // SAFETY: plain numbers without padding.
    let of_draws = Buffer::from_bytes(&device, unsafe { bytes_of(&of_draws) }).unwrap();
    let out = Buffer::from_u32(&device, &vec![0xdead_beef; draws.len()]).unwrap();
    let vocab = rows[0].logits.len();
    SamplingKernel::new(&device)
        .unwrap()
        .sample(draws.len(), vocab, logits.view(), index.view(), of_draws.view(), out.view())
        .unwrap();
    for (&token, (row, draw)) in out.to_u32().unwrap().iter().zip(draws) {
        let row = &rows[*row as usize];
        let expected = row.draw(draw);
        assert!(
            token == expected || draw.share == LARGEST && row.is_boundary(draw, token),
            "{draw:?} of {vocab} tokens gives {token}, and {expected} is right"
        );
    }
}

/// Logits of which few are large, as those of a model.
fn peaked(seed: u64, vocab: usize, spread: f32) -> Vec<f32> {
    random(seed, vocab).iter().map(|&x| x * x * x * spread - spread / 3.0).collect()
}

/// Draws from a row with every combination of options.
fn draws(row: u32, vocab: usize, seed: u64, every: usize) -> Vec<(u32, Draw)> {
    let vocab = vocab as u32;
    let mut draws = Vec::new();
    for temperature in [0.0, 0.3, 1.0, 2.5] {
        for top_k in [1, 50, 700, vocab / 2, vocab] {
            for top_p in [1e-6, 0.5, 0.95, 0.9999, 1.0] {
                for min_p in [0.0, 0.05, 1.0] {
                    let top_k = top_k.clamp(1, vocab);
                    draws.push((row, Draw { share: 0.0, temperature, top_k, top_p, min_p }));
                }
            }
        }
    }
    let mut draws: Vec<_> = draws.into_iter().skip(seed as usize % every).step_by(every).collect();
    let shares = random(seed + 1, draws.len());
    for (i, ((_, draw), share)) in draws.iter_mut().zip(shares).enumerate() {
        draw.share = match i % 17 {
            3 => 0.0,
            5 => LARGEST,
            _ => (f64::from(share) + 1.0) / 2.0,
        };
    }
    draws
}

/// Draws from rows of several kinds with every `every`-th combination of options.
fn check_all(vocab: usize, every: usize) {
    let seed = vocab as u64;
    let rows = [
        peaked(seed, vocab, 30.0),
        peaked(seed + 1, vocab, 6.0),
        peaked(seed + 2, vocab, 1e-3),
        // Many equal logits, both zeros among them, and tokens that are ruled out.
        random(seed + 3, vocab)
            .iter()
            .map(|x| if *x < -0.8 { f32::NEG_INFINITY } else { (x * 6.0).round() })
            .collect(),
        vec![1.5; vocab],
        random(seed + 4, vocab)
            .iter()
            .map(|x| if *x < 0.9 { f32::MIN } else { x * 20.0 })
            .collect(),
    ];
    let rows = rows.map(Row::new);
    let draws: Vec<_> = (0..rows.len() as u32)
        .flat_map(|row| draws(row, vocab, seed + u64::from(row), every))
        .collect();
    check(&rows, &draws);
}

#[test]
fn the_cpus_tokens_are_drawn() {
    for vocab in [1, 2, 33, 511, 512, 513, 1000, 5003] {
        check_all(vocab, 4);
    }
}

#[test]
fn the_cpus_tokens_are_drawn_of_large_vocabularies() {
    check_all(32_000, 17);
    check_all(130_003, 37);
}

#[test]
fn rows_without_end_and_rows_that_are_not_numbers() {
    let vocab = 2000;
    let mut rows = vec![peaked(1, vocab, 9.0); 5];
    rows[0][7] = f32::INFINITY;
    rows[0][1999] = f32::INFINITY;
    rows[1] = vec![f32::NEG_INFINITY; vocab];
    rows[2][1998] = f32::NAN;
    rows[3][0] = -f32::NAN;
    let rows: Vec<Row> = rows.into_iter().map(Row::new).collect();
    let finite: Vec<_> =
        [0, 1, 4].into_iter().flat_map(|row| draws(row, vocab, u64::from(row), 2)).collect();
    check(&rows, &finite);

    let device = device();
    let logits: Vec<f32> = rows.iter().flat_map(|row| row.logits.iter().copied()).collect();
    let logits = Buffer::from_f32(&device, &logits).unwrap();
    let index = Buffer::from_u32(&device, &[2, 3, 2, 3]).unwrap();
    let draw = |temperature| Draw { temperature, top_k: 5, top_p: 0.9, ..Draw::default() };
    let draws = [draw(0.0), draw(0.0), draw(1.0), draw(1.0)];
    // SAFETY: plain numbers without padding.
    let draws = Buffer::from_bytes(&device, unsafe { bytes_of(&draws) }).unwrap();
    let out = Buffer::from_u32(&device, &[0; 4]).unwrap();
    let kernels = SamplingKernel::new(&device).unwrap();
    kernels.sample(4, vocab, logits.view(), index.view(), draws.view(), out.view()).unwrap();
    assert_eq!(out.to_u32().unwrap(), [SamplingKernel::NOT_A_NUMBER; 4]);
}
