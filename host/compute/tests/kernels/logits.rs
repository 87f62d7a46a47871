//! Summaries of logits against double precision.

use crate::support::{device, random};
use llem_compute::{Buffer, ops::logits::LogitKernels};

/// Returns the first token of the largest logit, whether any logit is NaN, and ln softmax of the target or 0.
fn reference(row: &[f32], target: Option<u32>) -> (u32, bool, f64) {
    let mut best = 0;
    for (id, &logit) in row.iter().enumerate() {
        if logit > row[best] || row[best].is_nan() {
            best = id;
        }
    }
    let has_nan = row.iter().any(|logit| logit.is_nan());
    let Some(target) = target else { return (best as u32, has_nan, 0.0) };
    if has_nan {
        return (best as u32, true, f64::NAN);
    }
    let top = f64::from(row[best]);
    let sum: f64 = row.iter().map(|&logit| (f64::from(logit) - top).exp()).sum();
    (best as u32, false, f64::from(row[target as usize]) - top - sum.ln())
}

/// Runs the kernel, and compares the result with the reference.
fn check(rows: &[Vec<f32>], index: Option<&[u32]>, targets: Option<&[u32]>) {
    let device = device();
    let (vocab, count) = (rows[0].len(), index.map_or(rows.len(), <[u32]>::len));
    let logits = Buffer::from_f32(&device, &rows.concat()).unwrap();
    let [of_index, of_targets] =
        [index, targets].map(|ids| ids.map(|ids| Buffer::from_u32(&device, ids).unwrap()));
    let out = Buffer::from_bytes(&device, &vec![0xff; 16 * count]).unwrap();
    LogitKernels::new(&device)
        .unwrap()
        .find(
            count,
            vocab,
            logits.view(),
            of_index.as_ref().map(Buffer::view),
            of_targets.as_ref().map(Buffer::view),
            out.view(),
        )
        .unwrap();
    let found = out.to_u32().unwrap();
    for (i, found) in found.as_chunks::<4>().0.iter().enumerate() {
        let row = &rows[index.map_or(i, |index| index[i] as usize)];
        let (token, has_nan, likelihood) = reference(row, targets.map(|targets| targets[i]));
        let ours = f64::from_bits(u64::from(found[3]) << 32 | u64::from(found[2]));
        assert_eq!((found[0], found[1]), (token, u32::from(has_nan)), "row {i} of {vocab}");
        let is_close = match likelihood.is_finite() {
            true => (ours - likelihood).abs() <= 1e-12 * likelihood.abs().max(1.0),
            false => ours.to_bits() == likelihood.to_bits() || ours.is_nan() && likelihood.is_nan(),
        };
        assert!(is_close, "row {i} of {vocab}: {ours}, and {likelihood} is right");
    }
}

fn row(seed: u64, vocab: usize, spread: f32) -> Vec<f32> {
    random(seed, vocab).iter().map(|x| x * spread).collect()
}

#[test]
fn rows_of_any_length_are_found() {
    for (seed, vocab) in [1, 2, 31, 512, 513, 5003, 130_003].into_iter().enumerate() {
        let rows: Vec<_> =
            [0.1, 4.0, 60.0].map(|spread| row(seed as u64 + 7, vocab, spread)).to_vec();
        check(&rows, None, None);
        let targets = [0, vocab as u32 - 1, vocab as u32 / 2];
        check(&rows, None, Some(&targets));
        check(&rows, Some(&[2, 0, 2, 1, 1]), None);
        check(&rows, Some(&[2, 1]), Some(&[vocab as u32 / 3, 0]));
    }
}

#[test]
fn the_first_of_equal_ones_is_taken() {
    let mut rows = vec![vec![0.5f32; 1000], vec![-1.0; 1000], vec![-3.0; 1000]];
    rows[1][700] = -0.0;
    rows[1][800] = 0.0;
    rows[2][999] = -2.0;
    rows[2][998] = -2.0;
    rows.push(vec![f32::NEG_INFINITY; 1000]);
    check(&rows, None, None);
    check(&rows, None, Some(&[999, 800, 0, 3]));
}

#[test]
fn what_is_not_a_number_or_has_no_end_spoils_its_row_only() {
    let mut rows: Vec<_> = (0..7).map(|seed| row(seed, 1777, 5.0)).collect();
    rows[0][1776] = f32::NAN;
    rows[1][3] = -f32::NAN;
    rows[2][40] = f32::INFINITY;
    rows[3][41] = f32::NEG_INFINITY;
    check(&rows[..5], None, None);
    check(&rows[..5], None, Some(&[0, 1, 2, 41, 4]));
    check(&rows[4..5], None, None);
    check(&[rows[6].clone()], None, Some(&[1]));
    check(&[rows[2].clone()], None, Some(&[40]));
}
