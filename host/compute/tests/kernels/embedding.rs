//! Lookup of tokens and positions, and what adapters change about it.

use crate::support::{FORMATS, assert_rounded, device, poisoned, random, rounded};
use llem_compute::{
    Buffer, ComputeDevice, DType,
    ops::{
        NONE, bytes_of,
        embedding::{EmbeddingKernels, Lookup, LowRankTable},
    },
};
use std::sync::Arc;

const VOCABULARY: usize = 11;
const IDS: [u32; 6] = [0, 10, 3, 7, 3, 6];
const ADAPTERS: [u32; 6] = [NONE, 1, 0, 1, 1, NONE];

fn check_lookup(
    device: &Arc<dyn ComputeDevice>,
    dtype: DType,
    width: usize,
    first: usize,
    kept: usize,
) {
    let embeddings = EmbeddingKernels::new(device, dtype).unwrap();
    let tables = [1, 2].map(|seed| rounded(&random(seed, kept * width), dtype));
    let [table, other] =
        tables.each_ref().map(|numbers| Buffer::from_numbers(device, numbers, dtype).unwrap());
    let changes = [0, other.view().address];
    // SAFETY: plain numbers.
    let changes = Buffer::from_bytes(device, unsafe { bytes_of(&changes) }).unwrap();
    let (ids, adapters) =
        (Buffer::from_u32(device, &IDS).unwrap(), Buffer::from_u32(device, &ADAPTERS).unwrap());
    let before = rounded(&random(3, IDS.len() * width), dtype);
    for (is_changed, accumulate, scale) in
        [(false, false, 1.0), (true, false, 7.5), (false, true, 1.0), (true, true, 0.3)]
    {
        let out = if accumulate {
            Buffer::from_numbers(device, &before, dtype).unwrap()
        } else {
            poisoned(device, IDS.len() * width, dtype)
        };
        let lookup = Lookup {
            rows: IDS.len(),
            width,
            ids: ids.view(),
            table: table.view(),
            first,
            kept,
            changes: is_changed.then(|| changes.view()),
            adapters: is_changed.then(|| adapters.view()),
            scale,
            accumulate,
            out: out.view(),
        };
        embeddings.lookup(&lookup).unwrap();
        let number = |at: usize| {
            let (row, column) = (at / width, at % width);
            let id = (IDS[row] as usize).wrapping_sub(first);
            let table = &tables[usize::from(is_changed && ADAPTERS[row] == 1)];
            let found = if id < kept { f64::from(table[id * width + column]) } else { 0.0 };
            let sum = if accumulate { f64::from(before[at]) } else { 0.0 };
            sum + f64::from(scale) * found
        };
        let expected: Vec<f64> = (0..IDS.len() * width).map(number).collect();
        assert_rounded(&out.to_f32(dtype).unwrap(), &expected, dtype);
    }
}

#[test]
fn a_lookup_scales_adds_and_takes_an_adapters_table() {
    let device = device();
    for dtype in FORMATS {
        for width in [1, 24, 75, 2064] {
            check_lookup(&device, dtype, width, 0, VOCABULARY);
        }
    }
}

#[test]
fn ids_that_a_rank_does_not_have_give_zeros() {
    let device = device();
    for dtype in FORMATS {
        check_lookup(&device, dtype, 24, 3, 4);
        check_lookup(&device, dtype, 5, 7, 4);
    }
}

#[test]
fn a_low_rank_change_is_that_of_double_precision() {
    let device = device();
    let (width, rank) = (37, 3);
    let [down, up, gain] =
        [(1, VOCABULARY * rank), (2, width * rank), (3, width)].map(|(seed, n)| random(seed, n));
    let buffers = [&down, &up, &gain].map(|numbers| Buffer::from_f32(&device, numbers).unwrap());
    let [at_down, at_up, at_gain] = buffers.each_ref().map(|buffer| buffer.view().address);
    let (rank32, unused) = (rank as u32, 0);
    let tables = [
        LowRankTable { down: at_down, up: at_up, gain: 0, rank: rank32, unused },
        LowRankTable { down: at_down, up: at_up, gain: at_gain, rank: rank32, unused },
        LowRankTable::default(),
    ];
    // SAFETY: plain numbers, and the padding is a field.
    let tables = Buffer::from_bytes(&device, unsafe { bytes_of(&tables) }).unwrap();
    let adapters = [NONE, 1, 0, 2, 1, NONE];
    let rows = Buffer::from_u32(&device, &adapters).unwrap();
    let ids = Buffer::from_u32(&device, &IDS).unwrap();
    for (dtype, scale) in FORMATS.into_iter().flat_map(|dtype| [(dtype, 1.0), (dtype, 5.5)]) {
        let embeddings = EmbeddingKernels::new(&device, dtype).unwrap();
        let before = rounded(&random(4, IDS.len() * width), dtype);
        let x = Buffer::from_numbers(&device, &before, dtype).unwrap();
        let (ids, rows, tables) = (ids.view(), rows.view(), tables.view());
        embeddings.low_rank(IDS.len(), width, ids, rows, tables, scale, x.view()).unwrap();
        let number = |at: usize| {
            let (row, column) = (at / width, at % width);
            let id = IDS[row] as usize;
            let product =
                |r: usize| f64::from(up[column * rank + r]) * f64::from(down[id * rank + r]);
            let change = if adapters[row] < 2 { (0..rank).map(product).sum() } else { 0.0 };
            let gain = if adapters[row] == 1 { f64::from(gain[column]) } else { 1.0 };
            f64::from(scale) * gain * (f64::from(before[at]) + change)
        };
        let expected: Vec<f64> = (0..IDS.len() * width).map(number).collect();
        assert_rounded(&x.to_f32(dtype).unwrap(), &expected, dtype);
    }
}
