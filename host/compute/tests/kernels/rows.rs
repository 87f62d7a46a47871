//! Kernels that move rows and change their numbers.

use crate::support::{FORMATS, assert_rounded, device, poisoned, random, rounded};
use llem_compute::{Buffer, DType, ops::rows::RowKernels};

#[test]
fn widened_numbers_are_the_same() {
    let device = device();
    for dtype in FORMATS {
        let kernels = RowKernels::new(&device, dtype).unwrap();
        for count in [1, 255, 1000] {
            let numbers = rounded(&random(1, count), dtype);
            let from = Buffer::from_numbers(&device, &numbers, dtype).unwrap();
            let to = poisoned(&device, count, DType::F32);
            kernels.widen(count, from.view(), to.view()).unwrap();
            assert_eq!(to.to_f32(DType::F32).unwrap(), numbers);
        }
    }
}

#[test]
fn only_an_entrys_rows_and_columns_are_replaced() {
    let device = device();
    let entries = [2, 7, 0, 2, u32::MAX];
    let rows = entries.len();
    let on_device = Buffer::from_u32(&device, &entries).unwrap();
    for dtype in FORMATS {
        let kernels = RowKernels::new(&device, dtype).unwrap();
        for (width, start, n) in [(1, 0, 1), (48, 16, 24), (48, 24, 24), (45, 7, 19), (40, 8, 9)] {
            let before = rounded(&random(1, rows * width), dtype);
            let part = rounded(&random(2, rows * n), dtype);
            let y = Buffer::from_numbers(&device, &before, dtype).unwrap();
            let from = Buffer::from_numbers(&device, &part, dtype).unwrap();
            let (entries_view, from, to) = (on_device.view(), from.view(), y.view());
            kernels.replace(rows, width, entries_view, 2, from, n, to, start).unwrap();
            let number = |(at, &y): (usize, &f32)| {
                let (row, column) = (at / width, at % width);
                match entries[row] == 2 && (start..start + n).contains(&column) {
                    true => part[row * n + column - start],
                    false => y,
                }
            };
            let expected: Vec<f32> = before.iter().enumerate().map(number).collect();
            assert_eq!(y.to_f32(dtype).unwrap(), expected);
        }
        let small = Buffer::zeros(&device, 4 * 4 * rows).unwrap();
        let view = small.view();
        let beyond = kernels.replace(rows, 4, on_device.view(), 2, view, 3, view, 2);
        assert!(beyond.is_err());
    }
}

#[test]
fn ranks_columns_become_rows() {
    let device = device();
    let kernels = RowKernels::new(&device, DType::F32).unwrap();
    for (rows, ranks, total) in [(1, 1, 1usize), (3, 2, 17), (2, 3, 1000), (4, 5, 13)] {
        let parts: Vec<u32> = (0..=ranks).map(|rank| (total * rank / ranks) as u32).collect();
        let widest = total.div_ceil(ranks);
        let numbers = random(1, ranks * rows * widest);
        let from = Buffer::from_f32(&device, &numbers).unwrap();
        let on_device = Buffer::from_u32(&device, &parts).unwrap();
        let to = poisoned(&device, rows * total, DType::F32);
        let (parts_view, from, to_view) = (on_device.view(), from.view(), to.view());
        kernels.columns_to_rows(rows, ranks, widest, parts_view, from, to_view).unwrap();
        let number = |at: usize| {
            let (row, column) = (at / total, at % total);
            let rank = parts.iter().rposition(|&start| start as usize <= column).unwrap();
            let (start, end) = (parts[rank] as usize, parts[rank + 1] as usize);
            numbers[rank * rows * widest + row * (end - start) + column - start]
        };
        let expected: Vec<f32> = (0..rows * total).map(number).collect();
        assert_eq!(to.to_f32(DType::F32).unwrap(), expected);
    }
}

#[test]
fn a_softcap_is_that_of_double_precision() {
    let device = device();
    let kernels = RowKernels::new(&device, DType::F32).unwrap();
    for count in [1, 255, 1000] {
        let numbers: Vec<f32> = random(1, count).iter().map(|x| 90.0 * x).collect();
        let x = Buffer::from_f32(&device, &numbers).unwrap();
        kernels.softcap(count, 30.0, x.view()).unwrap();
        let expected: Vec<f64> =
            numbers.iter().map(|&x| 30.0 * (f64::from(x) / 30.0).tanh()).collect();
        assert_rounded(&x.to_f32(DType::F32).unwrap(), &expected, DType::F32);
    }
}

#[test]
fn rows_are_gathered_in_an_index_order() {
    let device = device();
    let index = [3, 0, 4, 4, 1, 0, 2];
    let on_device = Buffer::from_u32(&device, &index).unwrap();
    for dtype in FORMATS {
        let kernels = RowKernels::new(&device, dtype).unwrap();
        for width in [1, 24, 75, 2056] {
            let numbers = rounded(&random(1, 5 * width), dtype);
            let from = Buffer::from_numbers(&device, &numbers, dtype).unwrap();
            let to = poisoned(&device, index.len() * width, dtype);
            kernels.gather(index.len(), width, on_device.view(), from.view(), to.view()).unwrap();
            let row = |&row: &u32| &numbers[row as usize * width..][..width];
            let expected: Vec<f32> = index.iter().flat_map(row).copied().collect();
            assert_eq!(to.to_f32(dtype).unwrap(), expected);
        }
    }
}
