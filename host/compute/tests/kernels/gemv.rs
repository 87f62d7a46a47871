//! Products with weights against double precision.

use crate::support::{FORMATS, assert_close, device, poisoned, random, rounded, tolerance};
use llem_compute::{Buffer, DType, MatrixProduct, ops::gemv::ProductKernels};

/// Rows, inputs, outputs, numbers between rows of y, and numbers by which x and W are moved from an aligned address.
struct Case(usize, usize, usize, usize, usize);

fn check(dtype: DType, &Case(rows, inputs, outputs, gap, moved): &Case) {
    let device = device();
    let products = ProductKernels::new(&device, dtype).unwrap();
    let x = rounded(&random(1, moved + rows * inputs), dtype);
    let weight = rounded(&random(2, moved + outputs * inputs), dtype);
    let bias = rounded(&random(4, outputs), dtype);
    let stride = outputs + gap;
    let of_x = Buffer::from_numbers(&device, &x, dtype).unwrap();
    let of_weight = Buffer::from_numbers(&device, &weight, dtype).unwrap();
    let of_bias = Buffer::from_numbers(&device, &bias, dtype).unwrap();
    let (x, weight) = (&x[moved..], &weight[moved..]);
    for y_dtype in [dtype, DType::F32] {
        for (has_bias, accumulate) in [(false, false), (false, true), (true, false), (true, true)] {
            let before = rounded(&random(3, rows * stride), y_dtype);
            let y = match accumulate {
                true => Buffer::from_numbers(&device, &before, y_dtype).unwrap(),
                false => poisoned(&device, rows * stride, y_dtype),
            };
            let untouched = y.to_f32(y_dtype).unwrap();
            let product = MatrixProduct {
                rows,
                inputs,
                outputs,
                x: of_x.view().address + (moved * dtype.size()) as u64,
                weight: of_weight.view().address + (moved * dtype.size()) as u64,
                y: y.view().address,
                bias: if has_bias { of_bias.view().address } else { 0 },
                y_stride: stride,
                dtype,
                y_dtype,
                accumulate,
            };
            // SAFETY: the buffers have these sizes and live until they are read.
            unsafe { products.product(&product) }.unwrap();
            let found = y.to_f32(y_dtype).unwrap();
            let (mut ours, mut expected) = (Vec::new(), Vec::new());
            for row in 0..rows {
                for output in 0..outputs {
                    let of_x = &x[row * inputs..][..inputs];
                    let of_weight = &weight[output * inputs..][..inputs];
                    let pairs = of_x.iter().zip(of_weight);
                    let sum: f64 = pairs.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
                    let sum = if has_bias { sum + f64::from(bias[output]) } else { sum };
                    let start = if accumulate { before[row * stride + output] } else { 0.0 };
                    ours.push(found[row * stride + output]);
                    expected.push(sum + f64::from(start));
                }
                for at in row * stride + outputs..(row + 1) * stride {
                    assert_eq!(found[at].to_bits(), untouched[at].to_bits(), "the gap after a row");
                }
            }
            assert_close(&ours, &expected, tolerance(y_dtype));
        }
    }
}

#[test]
fn one_and_two_rows_are_multiplied() {
    for dtype in FORMATS {
        for case in [
            Case(1, 8, 1, 0, 0),
            Case(2, 8, 3, 2, 0),
            Case(1, 264, 5, 0, 0),
            Case(2, 2056, 9, 0, 0),
            Case(1, 4096, 130, 0, 0),
            Case(2, 4104, 67, 5, 0),
        ] {
            check(dtype, &case);
        }
    }
}

#[test]
fn other_rows_inputs_and_addresses_are_the_librarys() {
    for dtype in FORMATS {
        for case in [
            Case(1, 7, 4, 0, 0),
            Case(2, 63, 5, 3, 0),
            Case(1, 64, 5, 0, 1),
            Case(3, 64, 9, 0, 0),
            Case(0, 64, 9, 0, 0),
        ] {
            check(dtype, &case);
        }
    }
}
