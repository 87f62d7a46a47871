//! Low-rank adapters, where each row may have an adapter of its own.

use crate::support::{FORMATS, assert_rounded, device, poisoned, random, rounded};
use llem_compute::{
    Buffer, ComputeDevice, DType,
    ops::{
        NONE, bytes_of,
        lora::{LoraEntry, LoraKernels, LoraPart, LoraRows, PARTS},
    },
};
use std::sync::Arc;

/// An entry on the host: A; for each module its outputs, its columns of h and its B; gain and rest.
#[derive(Default)]
struct Change {
    ranks: usize,
    first: usize,
    down: Vec<f32>,
    parts: Vec<(std::ops::Range<usize>, std::ops::Range<usize>, Vec<f32>)>,
    gain: Option<Vec<f32>>,
    rest: Option<Vec<f32>>,
}

/// A table of entries on a device, with the memory that it points to.
struct Table {
    changes: Vec<Change>,
    table: Buffer,
    _memory: Vec<Buffer>,
}

impl Table {
    fn new(device: &Arc<dyn ComputeDevice>, dtype: DType, changes: Vec<Change>) -> Self {
        let mut memory = Vec::new();
        let mut put = |numbers: &[f32], dtype: DType| {
            if numbers.is_empty() {
                return 0;
            }
            memory.push(Buffer::from_numbers(device, numbers, dtype).unwrap());
            memory[memory.len() - 1].view().address
        };
        let entries: Vec<LoraEntry> = changes
            .iter()
            .map(|change| {
                let mut parts = [LoraPart::default(); PARTS];
                for (part, (outputs, inner, up)) in parts.iter_mut().zip(&change.parts) {
                    *part = LoraPart {
                        up: put(up, dtype),
                        start: outputs.start as u32,
                        end: outputs.end as u32,
                        from: inner.start as u32,
                        inner: inner.len() as u32,
                    };
                }
                LoraEntry {
                    down: put(&change.down, dtype),
                    gain: put(change.gain.as_deref().unwrap_or_default(), DType::F32),
                    rest: put(change.rest.as_deref().unwrap_or_default(), DType::F32),
                    ranks: change.ranks as u32,
                    first: change.first as u32,
                    parts,
                }
            })
            .collect();
        // SAFETY: plain numbers without padding.
        let table = Buffer::from_bytes(device, unsafe { bytes_of(&entries) }).unwrap();
        Self { changes, table, _memory: memory }
    }
}

/// Factors of two modules. The first one has `ranks[0]` rows of A. Outputs between and after the modules have no
/// factors.
fn two_modules(
    dtype: DType,
    seed: u64,
    inputs: usize,
    outputs: usize,
    ranks: [usize; 2],
    first: usize,
) -> Change {
    let all = ranks[0] + ranks[1];
    let of = [0..outputs / 3, outputs / 2..outputs - 1];
    let inner = [first..first + ranks[0], first + ranks[0]..first + all];
    let parts = of.into_iter().zip(inner).enumerate().map(|(index, (outputs, inner))| {
        let numbers = random(seed + 1 + index as u64, outputs.len() * inner.len());
        (outputs, inner, rounded(&numbers, dtype))
    });
    let down = rounded(&random(seed, all * inputs), dtype);
    Change { ranks: all, first, down, parts: parts.collect(), gain: None, rest: None }
}

struct Case {
    dtype: DType,
    inputs: usize,
    outputs: usize,
    ranks: [usize; 2],
    stride: usize,
    per_input: usize,
    adapters: Vec<u32>,
    /// The expert of each row, of three.
    experts: Option<Vec<u32>>,
    shared_input: bool,
}

fn check(device: &Arc<dyn ComputeDevice>, case: &Case) {
    let Case { dtype, inputs, outputs, ranks, stride, per_input, .. } = *case;
    let (rows, shared_input) = (case.adapters.len() * per_input, case.shared_input);
    // Adapters by index: factors; factors with gain and rest; gain alone; nothing; B without A, which a rank may have.
    const ADAPTERS: usize = 5;
    let experts = if case.experts.is_some() { 3 } else { 1 };
    let entry = |index: usize| {
        let seed = 100 * index as u64;
        let factors = |first| two_modules(dtype, seed, inputs, outputs, ranks, first);
        let (gain, rest) = (random(seed + 3, outputs), random(seed + 4, outputs));
        match index % ADAPTERS {
            0 => factors(0),
            1 => {
                let first = stride - ranks[0] - ranks[1];
                Change { gain: Some(gain), rest: Some(rest), ..factors(first) }
            }
            2 => Change { gain: Some(gain), ..Change::default() },
            3 => Change::default(),
            _ => Change { down: Vec::new(), ranks: 0, rest: Some(rest), ..factors(0) },
        }
    };
    let table = Table::new(device, dtype, (0..experts * ADAPTERS).map(entry).collect());
    let change_of = |row: usize| {
        let adapter = case.adapters[row / per_input];
        let expert = case.experts.as_ref().map_or(0, |experts| experts[row]);
        let is_changed = adapter != NONE && expert != NONE;
        is_changed.then(|| &table.changes[expert as usize * ADAPTERS + adapter as usize])
    };
    let u32s = |numbers: &[u32]| Buffer::from_u32(device, numbers).unwrap();
    let adapters = u32s(&case.adapters);
    let experts = case.experts.as_deref().map(u32s);
    let kernel_rows = LoraRows {
        rows,
        per_input,
        adapters: adapters.view(),
        adapter_count: ADAPTERS,
        experts: experts.as_ref().map(Buffer::view),
        table: table.table.view(),
    };
    let lora = LoraKernels::new(device, dtype).unwrap();

    let x_rows = if shared_input { case.adapters.len() } else { rows };
    let x = rounded(&random(1, x_rows * inputs), dtype);
    let on_device = Buffer::from_numbers(device, &x, dtype).unwrap();
    let h = poisoned(device, rows * stride, DType::F32);
    lora.shrink(&kernel_rows, inputs, shared_input, on_device.view(), h.view(), stride).unwrap();
    let ours = h.to_f32(DType::F32).unwrap();
    for row in 0..rows {
        let x_row = if shared_input { row / per_input } else { row };
        let x = &x[x_row * inputs..][..inputs];
        let mut ours = ours[row * stride..][..stride].to_vec();
        if let Some(change) = change_of(row) {
            let product =
                |a: &[f32]| a.iter().zip(x).map(|(&a, &x)| f64::from(a) * f64::from(x)).sum();
            let expected: Vec<f64> = change.down.chunks_exact(inputs).map(product).collect();
            let own: Vec<f32> = ours.drain(change.first..change.first + change.ranks).collect();
            assert_rounded(&own, &expected, DType::F32);
        }
        assert!(ours.iter().all(|x| x.is_nan()), "row {row} has numbers of no adapter");
    }

    let h = random(2, rows * stride);
    let on_device = Buffer::from_f32(device, &h).unwrap();
    let before = rounded(&random(3, rows * outputs), dtype);
    let y = Buffer::from_numbers(device, &before, dtype).unwrap();
    lora.expand(&kernel_rows, outputs, on_device.view(), stride, y.view()).unwrap();
    let number = |at: usize| {
        let (row, column) = (at / outputs, at % outputs);
        let mut y = f64::from(before[at]);
        let Some(change) = change_of(row) else { return y };
        for (outputs, inner, up) in &change.parts {
            if outputs.contains(&column) {
                let up = &up[(column - outputs.start) * inner.len()..][..inner.len()];
                let h = &h[row * stride..][inner.clone()];
                y += up.iter().zip(h).map(|(&b, &h)| f64::from(b) * f64::from(h)).sum::<f64>();
            }
        }
        let vector = |numbers: &Option<Vec<f32>>| numbers.as_ref().map(|x| f64::from(x[column]));
        y * vector(&change.gain).unwrap_or(1.0) + vector(&change.rest).unwrap_or(0.0)
    };
    let expected: Vec<f64> = (0..rows * outputs).map(number).collect();
    assert_rounded(&y.to_f32(dtype).unwrap(), &expected, dtype);
}

#[test]
fn rows_of_many_adapters_are_those_of_double_precision() {
    let device = device();
    let mixed = vec![0, 0, 1, NONE, 2, 3, 4, 1, 1, 1, 0, NONE, 0];
    for dtype in FORMATS {
        for (inputs, outputs, ranks, stride) in
            [(64, 150, [8, 16], 31), (296, 40, [3, 1], 4), (37, 7, [5, 8], 16), (1, 4, [1, 1], 3)]
        {
            for adapters in [vec![1], mixed.clone(), vec![NONE, NONE], vec![1; 17]] {
                let (per_input, experts, shared_input) = (1, None, false);
                let case = Case {
                    dtype,
                    inputs,
                    outputs,
                    ranks,
                    stride,
                    per_input,
                    adapters,
                    experts,
                    shared_input,
                };
                check(&device, &case);
            }
        }
    }
}

#[test]
fn experts_have_entries_of_their_own() {
    let device = device();
    let experts = vec![2, 0, 1, NONE, 1, 1, 0, 2, 2, 0, 0, 0];
    for (dtype, shared_input) in
        FORMATS.into_iter().flat_map(|dtype| [(dtype, false), (dtype, true)])
    {
        let (inputs, outputs, ranks, stride, per_input) = (40, 23, [8, 2], 12, 2);
        let (adapters, experts) = (vec![0, 1, 1, NONE, 4, 0], Some(experts.clone()));
        let case = Case {
            dtype,
            inputs,
            outputs,
            ranks,
            stride,
            per_input,
            adapters,
            experts,
            shared_input,
        };
        check(&device, &case);
    }
}

#[test]
fn many_rows_take_a_warp_for_each_row_of_a() {
    let device = device();
    let rows = 32 * device.multiprocessors() + 3;
    let (inputs, outputs, ranks, stride) = (296, 9, [4, 3], 8);
    let adapters: Vec<u32> = (0..rows).map(|row| [0, 1, NONE][row / 5 % 3]).collect();
    let (dtype, per_input, experts, shared_input) = (DType::Bf16, 1, None, false);
    check(
        &device,
        &Case { dtype, inputs, outputs, ranks, stride, per_input, adapters, experts, shared_input },
    );
}
