//! Norms of queries and keys, rotation, and what is appended to the KV cache, against double precision.

use crate::support::{
    FORMATS, assert_close, assert_mostly_rounded, assert_rounded, device, poisoned, random,
    rounded, tolerance,
};
use llem_compute::{
    Buffer, ComputeDevice, DType,
    ops::{
        SequenceEntry, bytes_of,
        rope::{AppendKernels, KvAppend, QueryKeyNorm, Rotary},
    },
};
use std::sync::Arc;

const LAYERS: usize = 2;
const LAYER: usize = 1;
const EPS: f32 = 1e-3;
const FACTOR: f32 = 1.25;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Norm {
    None,
    EachHead,
    AllHeads,
    AllHeadsOfRanks,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    dtype: DType,
    kv_dtype: DType,
    heads: usize,
    kv_heads: usize,
    dim: usize,
    pairs: Option<usize>,
    norm: Norm,
    /// Whether each sequence has frequencies of its own.
    by_sequence: bool,
}

/// For each sequence of a pass the tokens in its cache, the cache's capacity, and its rows.
type Spans<'a> = &'a [(u32, u32, u32)];

const SPANS: Spans<'static> = &[(0, 4, 2), (5, 6, 1), (3, 9, 4)];

/// The expected queries, keys and values of one row, before the last rounding.
struct Row {
    position: usize,
    sequence: usize,
    parts: [Vec<f64>; 3],
}

/// Rounds one number to a format.
fn round(x: f64, dtype: DType) -> f64 {
    rounded(&[x as f32], dtype)[0].into()
}

fn mean_square(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum::<f64>() / x.len() as f64
}

impl Case {
    fn width(&self) -> usize {
        (self.heads + 2 * self.kv_heads) * self.dim
    }

    /// Splits a row into queries, keys and values.
    fn split(&self, row: &[f32]) -> [Vec<f64>; 3] {
        let (queries, rest) = row.split_at(self.heads * self.dim);
        let (keys, values) = rest.split_at(self.kv_heads * self.dim);
        [queries, keys, values].map(|part| part.iter().map(|&x| x.into()).collect())
    }

    fn normalise(&self, part: &mut [f64], gain: &[f32], given: Option<f32>) {
        if self.norm == Norm::None {
            return;
        }
        let width = if self.norm == Norm::EachHead { self.dim } else { part.len() };
        for part in part.chunks_exact_mut(width) {
            let square = given.map_or_else(|| mean_square(part), f64::from);
            let factor = 1.0 / (square + f64::from(EPS)).sqrt();
            let numbers = part.iter_mut().zip(gain);
            numbers.for_each(|(x, &gain)| *x = round(*x * factor * f64::from(gain), self.dtype));
        }
    }

    fn rotate(&self, part: &mut [f64], position: usize, frequencies: &[f32]) {
        let Some(pairs) = self.pairs else { return };
        for head in part.chunks_exact_mut(self.dim) {
            for (pair, frequency) in frequencies.iter().enumerate() {
                let (sine, cosine) = f64::from(position as f32 * frequency).sin_cos();
                let (a, b) = (head[pair], head[pair + pairs]);
                head[pair] = f64::from(FACTOR) * (a * cosine - b * sine);
                head[pair + pairs] = f64::from(FACTOR) * (b * cosine + a * sine);
            }
        }
    }
}

fn check(device: &Arc<dyn ComputeDevice>, case: Case, spans: Spans<'_>) {
    let Case { dtype, kv_dtype, heads, kv_heads, dim, norm, .. } = case;
    let rows: usize = spans.iter().map(|span| span.2 as usize).sum();
    let numbers = rounded(&random(1, rows * case.width()), dtype);
    let gain_widths = match norm {
        Norm::EachHead => [dim; 2],
        _ => [heads * dim, kv_heads * dim],
    };
    let gains = [random(2, gain_widths[0]), random(3, gain_widths[1])];
    let squares: Vec<f32> = random(4, 2 * rows).iter().map(|x| x.abs() + 0.1).collect();
    let (pairs, sets) = (case.pairs.unwrap_or(0), if case.by_sequence { spans.len() } else { 1 });
    let frequencies: Vec<f32> = random(5, sets * pairs).iter().map(|x| x.abs()).collect();
    let of_sequence = |sequence: usize| {
        let set = if case.by_sequence { sequence } else { 0 };
        &frequencies[set * pairs..][..pairs]
    };

    let caches: Vec<Buffer> = spans
        .iter()
        .map(|span| poisoned(device, LAYERS * 2 * kv_heads * span.1 as usize * dim, kv_dtype))
        .collect();
    let mut start = 0;
    let sequences: Vec<SequenceEntry> = spans
        .iter()
        .zip(&caches)
        .map(|(&(past, capacity, len), cache)| {
            start += len;
            SequenceEntry { cache: cache.view().address, capacity, past, start: start - len, len }
        })
        .collect();
    let of_row = |row: usize| {
        let sequence = sequences.iter().rposition(|it| it.start as usize <= row).unwrap();
        (sequence, sequences[sequence].past as usize + row - sequences[sequence].start as usize)
    };
    let row_sequences: Vec<u32> = (0..rows).map(|row| of_row(row).0 as u32).collect();
    let positions: Vec<u32> = (0..rows).map(|row| of_row(row).1 as u32).collect();

    let u32s = |numbers: &[u32]| Buffer::from_u32(device, numbers).unwrap();
    let f32s = |numbers: &[f32]| Buffer::from_f32(device, numbers).unwrap();
    // SAFETY: plain numbers without padding.
    let table = Buffer::from_bytes(device, unsafe { bytes_of(&sequences) }).unwrap();
    let (row_table, position_table) = (u32s(&row_sequences), u32s(&positions));
    let (query_gain, key_gain) = (f32s(&gains[0]), f32s(&gains[1]));
    let (given, inverse) = (f32s(&squares), f32s(&frequencies));
    let qkv = Buffer::from_numbers(device, &numbers, dtype).unwrap();
    let queries = poisoned(device, rows * heads * dim, dtype);
    let views = [query_gain.view(), key_gain.view()];
    let operation = KvAppend {
        rows,
        heads,
        kv_heads,
        dim,
        layer: LAYER,
        qkv: qkv.view(),
        queries: queries.view(),
        sequences: table.view(),
        row_sequences: row_table.view(),
        positions: position_table.view(),
        rotary: case.pairs.map(|pairs| Rotary {
            inverse_frequencies: inverse.view(),
            by_sequence: case.by_sequence,
            pairs,
            factor: FACTOR,
        }),
        norm: match norm {
            Norm::None => QueryKeyNorm::None,
            Norm::EachHead => QueryKeyNorm::EachHead(views, EPS),
            Norm::AllHeads => QueryKeyNorm::AllHeads(views, EPS, None),
            Norm::AllHeadsOfRanks => QueryKeyNorm::AllHeads(views, EPS, Some(given.view())),
        },
    };
    AppendKernels::new(device, dtype, kv_dtype).unwrap().append(&operation).unwrap();

    let expected: Vec<Row> = numbers
        .chunks_exact(case.width())
        .enumerate()
        .map(|(row, numbers)| {
            let mut parts = case.split(numbers);
            let (sequence, position) = of_row(row);
            for which in 0..2 {
                let given = (norm == Norm::AllHeadsOfRanks).then(|| squares[2 * row + which]);
                case.normalise(&mut parts[which], &gains[which], given);
                case.rotate(&mut parts[which], position, of_sequence(sequence));
            }
            Row { position, sequence, parts }
        })
        .collect();

    let all: Vec<f64> = expected.iter().flat_map(|row| row.parts[0].clone()).collect();
    let ours = queries.to_f32(dtype).unwrap();
    match norm {
        Norm::None => assert_rounded(&ours, &all, dtype),
        // A rotated number may have been rounded to the other side.
        _ => assert_mostly_rounded(&ours, &all, dtype),
    }
    for (sequence, cache) in caches.iter().enumerate() {
        let capacity = spans[sequence].1 as usize;
        let mut numbers = cache.to_f32(kv_dtype).unwrap();
        let mut take = |which: usize, head: usize, position: usize| -> Vec<f32> {
            let at = (((LAYER * 2 + which) * kv_heads + head) * capacity + position) * dim;
            let taken = numbers[at..at + dim].to_vec();
            numbers[at..at + dim].fill(f32::NAN);
            taken
        };
        for row in expected.iter().filter(|row| row.sequence == sequence) {
            for head in 0..kv_heads {
                let part = |which: usize| &row.parts[which][head * dim..][..dim];
                let keys = take(0, head, row.position);
                let off = 2.0 * tolerance(dtype).max(tolerance(kv_dtype));
                assert_close(&keys, part(1), off);
                if (dtype, kv_dtype) == (DType::Bf16, DType::F16) {
                    assert_eq!(keys, rounded(&keys, dtype), "keys are rounded to bf16 first");
                }
                let values: Vec<f32> = part(2).iter().map(|&x| x as f32).collect();
                assert_eq!(take(1, head, row.position), rounded(&values, kv_dtype));
            }
        }
        assert!(numbers.iter().all(|x| x.is_nan()), "{case:?} writes beside its rows");
    }
}

#[test]
fn queries_keys_and_values_are_those_of_double_precision() {
    let device = device();
    let shapes = [
        (3, 1, 8, Some(4)),
        (4, 2, 64, Some(32)),
        (9, 3, 80, Some(10)),
        (2, 2, 6, Some(3)),
        (5, 5, 7, None),
        (2, 1, 256, Some(128)),
        (1, 1, 96, Some(24)),
    ];
    for dtype in FORMATS {
        for (heads, kv_heads, dim, pairs) in shapes {
            for norm in [Norm::None, Norm::EachHead, Norm::AllHeads, Norm::AllHeadsOfRanks] {
                let case = Case {
                    dtype,
                    kv_dtype: dtype,
                    heads,
                    kv_heads,
                    dim,
                    pairs,
                    norm,
                    by_sequence: false,
                };
                check(&device, case, SPANS);
            }
        }
    }
}

#[test]
fn the_cache_may_have_another_format() {
    let device = device();
    for (dtype, kv_dtype) in FORMATS.into_iter().flat_map(|dtype| FORMATS.map(|kv| (dtype, kv))) {
        let (heads, kv_heads, dim, pairs) = (3, 2, 20, Some(9));
        let case = Case {
            dtype,
            kv_dtype,
            heads,
            kv_heads,
            dim,
            pairs,
            norm: Norm::None,
            by_sequence: false,
        };
        check(&device, case, SPANS);
    }
}

#[test]
fn each_sequence_may_have_frequencies_of_its_own() {
    let device = device();
    for dtype in FORMATS {
        for (heads, kv_heads, dim, pairs) in [(3, 1, 8, Some(4)), (4, 2, 64, Some(16))] {
            let (kv_dtype, norm) = (dtype, Norm::None);
            let case =
                Case { dtype, kv_dtype, heads, kv_heads, dim, pairs, norm, by_sequence: true };
            check(&device, case, SPANS);
        }
    }
}

#[test]
fn angles_of_far_positions_are_taken_in_f32() {
    let (dtype, norm) = (DType::F32, Norm::None);
    let (heads, kv_heads, dim, pairs) = (1, 1, 8, Some(4));
    let case =
        Case { dtype, kv_dtype: dtype, heads, kv_heads, dim, pairs, norm, by_sequence: false };
    check(&device(), case, &[(120_000, 120_002, 2)]);
}

#[test]
fn many_rows_share_angles_between_heads() {
    let device = device();
    let rows = 4 * device.multiprocessors() as u32 + 1;
    for norm in [Norm::None, Norm::EachHead, Norm::AllHeads] {
        let (dtype, heads, kv_heads, dim, pairs) = (DType::Bf16, 9, 3, 8, Some(3));
        let case =
            Case { dtype, kv_dtype: dtype, heads, kv_heads, dim, pairs, norm, by_sequence: false };
        check(&device, case, &[(3, rows + 3, rows)]);
    }
}

#[test]
fn squares_are_a_ranks_share_of_the_mean() {
    let device = device();
    let factors = [0.25f32, 1.5];
    for dtype in FORMATS {
        for (rows, heads, kv_heads, dim) in [(1, 1, 1, 1), (3, 5, 2, 72), (2, 9, 3, 130)] {
            let (kv_dtype, norm) = (dtype, Norm::None);
            let case = Case {
                dtype,
                kv_dtype,
                heads,
                kv_heads,
                dim,
                pairs: None,
                norm,
                by_sequence: false,
            };
            let numbers = rounded(&random(1, rows * case.width()), dtype);
            let qkv = Buffer::from_numbers(&device, &numbers, dtype).unwrap();
            let out = poisoned(&device, 2 * rows, DType::F32);
            let operation = KvAppend {
                rows,
                heads,
                kv_heads,
                dim,
                layer: 0,
                qkv: qkv.view(),
                queries: qkv.view(),
                sequences: qkv.view(),
                row_sequences: qkv.view(),
                positions: qkv.view(),
                rotary: None,
                norm: QueryKeyNorm::None,
            };
            let appends = AppendKernels::new(&device, dtype, kv_dtype).unwrap();
            appends.squares(&operation, factors, out.view()).unwrap();
            let expected: Vec<f64> = numbers
                .chunks_exact(case.width())
                .flat_map(|row| {
                    let parts = case.split(row);
                    [0, 1].map(|which| {
                        let sum: f64 = parts[which].iter().map(|x| x * x).sum();
                        sum * f64::from(factors[which])
                    })
                })
                .collect();
            assert_rounded(&out.to_f32(DType::F32).unwrap(), &expected, DType::F32);
        }
    }
}

#[test]
fn a_head_that_is_too_wide_is_refused() {
    let device = device();
    let appends = AppendKernels::new(&device, DType::F32, DType::F32).unwrap();
    let memory = Buffer::zeros(&device, 4096).unwrap();
    let view = memory.view();
    for (dim, pairs) in [(258, 129), (6, 4)] {
        let rotary =
            Some(Rotary { inverse_frequencies: view, by_sequence: false, pairs, factor: 1.0 });
        let operation = KvAppend {
            rows: 1,
            heads: 1,
            kv_heads: 1,
            dim,
            layer: 0,
            qkv: view,
            queries: view,
            sequences: view,
            row_sequences: view,
            positions: view,
            rotary,
            norm: QueryKeyNorm::None,
        };
        assert!(appends.append(&operation).is_err());
    }
}
