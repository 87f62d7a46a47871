//! Residual sums and norms against double precision.

use crate::support::{
    FORMATS, assert_close, assert_mostly_rounded, assert_rounded, device, poisoned, random,
    rounded, tolerance,
};
use llem_compute::{
    Buffer, ComputeDevice, DType,
    ops::{
        NONE, bytes_of,
        norm::{AddNorm, NormChange, NormKernels, NormWeights},
    },
};
use std::sync::Arc;

const EPS: f32 = 1e-3;

/// The weights of a norm on the host and on the device, and what three adapters put in their place. The first adapter
/// changes nothing, the second the gain, the third the gain and, in a LayerNorm, the bias.
struct Weights {
    layer: bool,
    gains: [Vec<f32>; 3],
    biases: [Vec<f32>; 3],
    on_device: Vec<Buffer>,
    table: Buffer,
}

impl Weights {
    fn new(device: &Arc<dyn ComputeDevice>, seed: u64, width: usize, layer: bool) -> Self {
        let gains = [seed, seed + 1, seed + 2].map(|seed| random(seed, width));
        let biases = [seed + 3, seed + 3, seed + 4].map(|seed| random(seed, width));
        let on_device: Vec<Buffer> =
            gains.iter().chain(&biases).map(|x| Buffer::from_f32(device, x).unwrap()).collect();
        let at = |index: usize| on_device[index].view().address;
        let table = [
            NormChange::default(),
            NormChange { gain: at(1), bias: 0 },
            NormChange { gain: at(2), bias: if layer { at(5) } else { 0 } },
        ];
        // SAFETY: two u64 without padding.
        let table = Buffer::from_bytes(device, unsafe { bytes_of(&table) }).unwrap();
        Self { layer, gains, biases, on_device, table }
    }

    fn view(&self) -> NormWeights<'_> {
        NormWeights {
            gain: self.on_device[0].view(),
            bias: self.layer.then(|| self.on_device[3].view()),
            eps: EPS,
            layer: self.layer,
            changes: Some(self.table.view()),
        }
    }

    fn apply(&self, x: &[f64], adapter: u32) -> Vec<f64> {
        let change = if adapter == NONE { 0 } else { adapter as usize };
        let count = x.len() as f64;
        let mean = if self.layer { x.iter().sum::<f64>() / count } else { 0.0 };
        let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
        let factor = 1.0 / (square + f64::from(EPS)).sqrt();
        let bias =
            |column: usize| if self.layer { self.biases[change][column].into() } else { 0.0 };
        let column = |(column, x): (usize, &f64)| {
            (x - mean) * factor * f64::from(self.gains[change][column]) + bias(column)
        };
        x.iter().enumerate().map(column).collect()
    }
}

struct Case {
    dtype: DType,
    width: usize,
    deltas: usize,
    post: Option<bool>,
    norm: Option<bool>,
    index: Option<Vec<u32>>,
    adapters: Option<Vec<u32>>,
}

const ROWS: usize = 5;

fn wide(numbers: &[f32]) -> Vec<f64> {
    numbers.iter().map(|&x| x.into()).collect()
}

/// Rounds one number to a format.
fn round(x: f64, dtype: DType) -> f64 {
    rounded(&[x as f32], dtype)[0].into()
}

fn check(device: &Arc<dyn ComputeDevice>, norms: &NormKernels, case: &Case) {
    let Case { dtype, width, .. } = *case;
    let rows = case.index.as_ref().map_or(ROWS, Vec::len);
    let x = rounded(&random(1, ROWS * width), dtype);
    let deltas = [2, 3].map(|seed| rounded(&random(seed, ROWS * width), dtype));
    let [first, second] =
        deltas.each_ref().map(|delta| Buffer::from_numbers(device, delta, dtype).unwrap());
    let on_device = Buffer::from_numbers(device, &x, dtype).unwrap();
    let out = poisoned(device, rows * width, dtype);
    let post = case.post.map(|layer| Weights::new(device, 10, width, layer));
    let norm = case.norm.map(|layer| Weights::new(device, 20, width, layer));
    let index = case.index.as_ref().map(|index| Buffer::from_u32(device, index).unwrap());
    let adapters = case.adapters.as_ref().map(|rows| Buffer::from_u32(device, rows).unwrap());
    let operation = AddNorm {
        rows,
        width,
        x: on_device.view(),
        deltas: [(case.deltas > 0).then(|| first.view()), (case.deltas > 1).then(|| second.view())],
        post: post.as_ref().map(Weights::view),
        norm: norm.as_ref().map(|norm| (norm.view(), out.view())),
        index: index.as_ref().map(Buffer::view),
        adapters: adapters.as_ref().map(Buffer::view),
    };
    norms.add_norm(&operation).unwrap();

    let (mut sums, mut taken) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let from = case.index.as_ref().map_or(row, |index| index[row] as usize) * width;
        let adapter = case.adapters.as_ref().map_or(NONE, |rows| rows[row]);
        let delta: Vec<f64> = (from..from + width)
            .map(|at| deltas[..case.deltas].iter().map(|delta| f64::from(delta[at])).sum())
            .collect();
        let delta: Vec<f64> = match &post {
            Some(post) if case.deltas > 0 => {
                post.apply(&delta, adapter).into_iter().map(|x| round(x, dtype)).collect()
            }
            _ => delta,
        };
        sums.extend(x[from..].iter().zip(&delta).map(|(&x, delta)| f64::from(x) + delta));
        taken.extend(sums[row * width..].iter().map(|&sum| round(sum, dtype)));
    }
    let written = on_device.to_f32(dtype).unwrap();
    let is_exact = case.deltas < 2 && post.is_none();
    if index.is_some() || case.deltas == 0 {
        assert_eq!(written, x);
    } else {
        assert_mostly_rounded(&written, &sums, dtype);
        // The norm is computed from what was written, because a number may have been rounded to the other side.
        taken = wide(&written);
    }
    let normal = out.to_f32(dtype).unwrap();
    match &norm {
        None => assert!(normal.iter().all(|x| x.is_nan())),
        Some(norm) => {
            let adapter = |row: usize| case.adapters.as_ref().map_or(NONE, |rows| rows[row]);
            let rows = taken.chunks_exact(width).enumerate();
            let expected: Vec<f64> =
                rows.flat_map(|(row, x)| norm.apply(x, adapter(row))).collect();
            // The norm is computed from the rounded sum. The norm of the sum before rounding would be further off.
            if index.is_none() || is_exact {
                assert_rounded(&normal, &expected, dtype);
            } else {
                assert_close(&normal, &expected, 2.0 * tolerance(dtype));
            }
        }
    }
}

#[test]
fn sums_and_norms_of_every_kind_are_those_of_double_precision() {
    let device = device();
    let kinds = [None, Some(false), Some(true)];
    for dtype in FORMATS {
        let norms = NormKernels::new(&device, dtype).unwrap();
        for width in [1, 40, 77] {
            for (deltas, post, norm) in (0..3usize)
                .flat_map(|deltas| kinds.map(|post| (deltas, post)))
                .flat_map(|(deltas, post)| kinds.map(|norm| (deltas, post, norm)))
            {
                for index in [None, Some(vec![4, 0, 4])] {
                    for adapters in [None, Some(vec![2, NONE, 1, 0, 2])] {
                        let case = Case {
                            dtype,
                            width,
                            deltas,
                            post,
                            norm,
                            index: index.clone(),
                            adapters: adapters.clone(),
                        };
                        check(&device, &norms, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn a_row_may_be_wider_than_a_block() {
    let device = device();
    for dtype in FORMATS {
        let norms = NormKernels::new(&device, dtype).unwrap();
        for width in [4104, 1029] {
            for norm in [Some(false), Some(true)] {
                let (post, index, adapters) = (Some(false), None, None);
                check(
                    &device,
                    &norms,
                    &Case { dtype, width, deltas: 1, post, norm, index, adapters },
                );
            }
        }
    }
}

#[test]
fn a_view_that_is_too_small_is_refused() {
    let device = device();
    let norms = NormKernels::new(&device, DType::F32).unwrap();
    let weights = Weights::new(&device, 1, 8, false);
    let small = Buffer::zeros(&device, 7 * 4).unwrap();
    let right = Buffer::zeros(&device, 8 * 4).unwrap();
    let norm = |x, out| {
        let norm = Some((weights.view(), out));
        let (deltas, post, index, adapters) = ([None; 2], None, None, None);
        norms.add_norm(&AddNorm { rows: 1, width: 8, x, deltas, post, norm, index, adapters })
    };
    assert!(norm(small.view(), right.view()).is_err());
    assert!(norm(right.view(), small.view()).is_err());
    assert!(norm(right.view(), right.view()).is_ok());
}
