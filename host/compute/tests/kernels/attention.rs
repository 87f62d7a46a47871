//! Attention on a device against a softmax over every visible key in double precision.

use crate::support::{FORMATS, assert_close, device, poisoned, random, rounded};
use llem_compute::ops::attention::{AttentionKernels, DecodeRows, LayerAttention, PrefillTiles};
use llem_compute::ops::{SequenceEntry, bytes_of};
use llem_compute::{Buffer, DType};

/// Some sequences, and the parameters of their attention.
#[derive(Clone)]
struct Case {
    dtype: DType,
    kv_dtype: DType,
    dim: usize,
    heads: usize,
    kv_heads: usize,
    window: Option<usize>,
    softcap: Option<f32>,
    /// For each sequence the tokens in its cache before the pass, and its rows.
    sequences: Vec<(usize, usize)>,
    /// Whether sequences with one row go through decode.
    decodes: bool,
}

impl Case {
    fn new(dtype: DType, dim: usize, group: usize, sequences: &[(usize, usize)]) -> Self {
        Self {
            dtype,
            kv_dtype: dtype,
            dim,
            heads: 2 * group,
            kv_heads: 2,
            window: None,
            softcap: None,
            sequences: sequences.to_vec(),
            decodes: true,
        }
    }

    /// Runs the case on the device under test. Asserts every number of the result, and that other rows keep theirs.
    #[track_caller]
    fn check(&self) {
        let Self { dtype, kv_dtype, dim, heads, kv_heads, .. } = *self;
        let device = device();
        let (layers, layer, scale) = (3, 1, 1.5 / (dim as f32).sqrt());
        // The first row belongs to no sequence, and the first sequence of the table is in no list.
        let mut table = vec![SequenceEntry::default()];
        let (mut caches, mut numbers, mut rows) = (Vec::new(), Vec::new(), 1);
        for (index, &(past, len)) in self.sequences.iter().enumerate() {
            let (capacity, used) = (past + len + 3, past + len);
            let mut cache = vec![f32::NAN; layers * 2 * kv_heads * capacity * dim];
            for part in 0..2 * kv_heads {
                let at = (layer * 2 * kv_heads + part) * capacity * dim;
                let values = rounded(&random((index * 64 + part + 1) as u64, used * dim), kv_dtype);
                cache[at..at + used * dim].copy_from_slice(&values);
            }
            caches.push(Buffer::from_numbers(&device, &cache, kv_dtype).unwrap());
            numbers.push(cache);
            table.push(SequenceEntry {
                cache: caches[index].view().address,
                capacity: capacity as u32,
                past: past as u32,
                start: rows as u32,
                len: len as u32,
            });
            rows += len;
        }
        let width = heads * dim;
        let scaled: Vec<f32> = random(77, rows * width).iter().map(|x| 3.0 * x).collect();
        let queries = rounded(&scaled, dtype);

        let attention = AttentionKernels::new(&device, dtype, kv_dtype, dim).unwrap();
        let (mut list, mut tiles, mut longest) = (Vec::new(), Vec::new(), 0);
        for (index, &(past, len)) in self.sequences.iter().enumerate() {
            if len == 1 && self.decodes {
                list.push(index as u32 + 1);
                longest = longest.max(past + 1);
            } else {
                let firsts = (0..len as u32).step_by(attention.tile());
                tiles.extend(firsts.flat_map(|first| [index as u32 + 1, first]));
            }
        }
        let scratch = attention.decode_scratch(list.len(), heads, longest);
        let scratch = poisoned(&device, scratch.div_ceil(4), DType::F32);
        let out = poisoned(&device, rows * width, dtype);
        // SAFETY: `SequenceEntry` has neither padding nor pointers.
        let table_buffer = Buffer::from_bytes(&device, unsafe { bytes_of(&table) }).unwrap();
        let query_buffer = Buffer::from_numbers(&device, &queries, dtype).unwrap();
        let attend = LayerAttention {
            rows,
            heads,
            kv_heads,
            layer,
            scale,
            softcap: self.softcap,
            window: self.window,
            queries: query_buffer.view(),
            out: out.view(),
            sequences: table_buffer.view(),
        };
        let list_buffer = Buffer::from_u32(&device, &list).unwrap();
        let decode = DecodeRows {
            list: list_buffer.view(),
            count: list.len(),
            longest,
            scratch: scratch.view(),
        };
        attention.decode(&attend, &decode).unwrap();
        let tile_buffer = Buffer::from_u32(&device, &tiles).unwrap();
        let prefill = PrefillTiles { tiles: tile_buffer.view(), count: tiles.len() / 2 };
        attention.prefill(&attend, &prefill).unwrap();

        let ours = out.to_f32(dtype).unwrap();
        assert!(ours[..width].iter().all(|x| x.is_nan()), "a row of no sequence was written");
        let mut expected = Vec::with_capacity((rows - 1) * width);
        for (sequence, cache) in table[1..].iter().zip(&numbers) {
            for row in 0..sequence.len as usize {
                for head in 0..heads {
                    let at = (sequence.start as usize + row) * width + head * dim;
                    let query = &queries[at..at + dim];
                    let position = sequence.past as usize + row;
                    let kv_head = head / (heads / kv_heads);
                    let part = |part: usize| {
                        let row = (layer * 2 + part) * kv_heads + kv_head;
                        &cache[row * sequence.capacity as usize * dim..]
                    };
                    expected.extend(self.expected(query, position, scale, part(0), part(1)));
                }
            }
        }
        let tolerance = match dtype {
            DType::F32 => 1e-5,
            DType::Bf16 => 1.2e-2,
            DType::F16 => 2e-3,
        };
        assert_close(&ours[width..], &expected, tolerance);
    }

    /// Computes one head of one row.
    fn expected(
        &self,
        query: &[f32],
        position: usize,
        scale: f32,
        keys: &[f32],
        values: &[f32],
    ) -> Vec<f64> {
        let dim = self.dim;
        let first = self.window.map_or(0, |window| (position + 1).saturating_sub(window));
        let scores: Vec<f64> = (first..=position)
            .map(|key| {
                let key = &keys[key * dim..][..dim];
                let sum: f64 =
                    query.iter().zip(key).map(|(&q, &k)| f64::from(q) * f64::from(k)).sum();
                let score = sum * f64::from(scale);
                self.softcap.map_or(score, |cap| f64::from(cap) * (score / f64::from(cap)).tanh())
            })
            .collect();
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - largest).exp()).collect();
        let total: f64 = powers.iter().sum();
        let mut out = vec![0.0; dim];
        for (power, key) in powers.iter().zip(first..) {
            for (out, &value) in out.iter_mut().zip(&values[key * dim..][..dim]) {
                *out += power / total * f64::from(value);
            }
        }
        out
    }
}

/// A pass with everything in it: a prompt of several tiles, a continued prompt, and single tokens with and without a
/// past.
const MIXED: &[(usize, usize)] = &[(0, 1), (37, 33), (0, 140), (70, 1), (517, 1), (3, 2)];

#[test]
fn a_mixed_pass_is_right_in_every_format() {
    for dtype in FORMATS {
        Case::new(dtype, 64, 2, MIXED).check();
    }
}

#[test]
fn heads_of_every_width_are_right() {
    let sequences = [(5, 1), (260, 1), (30, 45)];
    for dim in [1, 2, 9, 18, 80, 96, 128, 255, 256] {
        for dtype in FORMATS {
            Case::new(dtype, dim, 2, &sequences).check();
        }
    }
}

#[test]
fn groups_of_every_size_are_right() {
    let sequences = [(99, 1), (20, 1), (0, 5)];
    for group in [1, 3, 4, 5, 8, 12, 16, 17] {
        for dtype in FORMATS {
            Case::new(dtype, 64, group, &sequences).check();
        }
    }
}

#[test]
fn one_kv_head_is_split_over_the_whole_device() {
    for dtype in FORMATS {
        Case { heads: 7, kv_heads: 1, ..Case::new(dtype, 64, 1, &[(1500, 1)]) }.check();
    }
}

#[test]
fn many_sequences_are_not_split() {
    let sequences: Vec<(usize, usize)> = (0..9).map(|index| (index * 17, 1)).collect();
    for dtype in FORMATS {
        Case::new(dtype, 64, 1, &sequences).check();
    }
}

#[test]
fn a_window_hides_what_lies_before_it() {
    for dtype in FORMATS {
        for window in [1, 8, 50, 1000] {
            Case { window: Some(window), ..Case::new(dtype, 64, 2, MIXED) }.check();
        }
    }
}

#[test]
fn a_softcap_bounds_scores() {
    for dtype in FORMATS {
        Case { softcap: Some(0.7), window: Some(90), ..Case::new(dtype, 64, 2, MIXED) }.check();
    }
}

#[test]
fn one_token_may_be_prefilled() {
    for dtype in FORMATS {
        Case { decodes: false, ..Case::new(dtype, 64, 2, &[(0, 1), (100, 1)]) }.check();
    }
}

#[test]
fn caches_may_have_another_format() {
    for dtype in FORMATS {
        for kv_dtype in FORMATS {
            Case { kv_dtype, ..Case::new(dtype, 64, 3, &[(130, 1), (9, 40)]) }.check();
        }
    }
}

#[test]
fn heads_that_are_too_wide_are_refused() {
    for dim in [0, 257] {
        let error = AttentionKernels::new(&device(), DType::F32, DType::F32, dim).err().unwrap();
        assert!(error.to_string().contains(&format!("these are {dim} wide")), "{error}");
    }
}
