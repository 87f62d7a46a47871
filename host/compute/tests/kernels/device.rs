//! What every device does: memory, copies, counts, products, and compiling kernels.

use crate::support::{FORMATS, assert_close, device, random, rounded, tolerance};
use crate::threads::{grid, run, source, u32s};
use llem_compute::{Buffer, ComputeDevice, Counts, DType, Error, MatrixProduct, emulated};
use std::sync::Arc;

#[test]
fn memory_is_copied_and_cleared_in_order() {
    let device = device();
    let bytes: Vec<u8> = (0..1001u32).map(|i| (i % 251) as u8).collect();
    let first = Buffer::from_bytes(&device, &bytes).unwrap();
    let second = Buffer::zeros(&device, 1001).unwrap();
    assert_ne!(first.view().address, second.view().address);
    assert_eq!((first.view().address % 256, second.view().address % 256), (0, 0));

    device.copy(first.view().address + 1, second.view().address + 10, 500).unwrap();
    device.clear(first.view().address + 3, 7).unwrap();
    let mut read = vec![1u8; 1001];
    device.download(second.view().address, &mut read).unwrap();
    let copied = [&[0; 10], &bytes[1..501], &[0; 491]].concat();
    assert_eq!(read, copied);
    device.download(first.view().address, &mut read).unwrap();
    assert_eq!(read, [&bytes[..3], &[0; 7], &bytes[10..]].concat());

    let part = first.view().part(990, 11).unwrap();
    assert_eq!(part.checked_address("a test", 11).unwrap(), first.view().address + 990);
    assert!(matches!(part.checked_address("a test", 12), Err(Error::Bug(_))));
    assert!(matches!(first.view().part(990, 12), Err(Error::Bug(_))));
}

#[test]
fn more_memory_than_there_is_is_refused() {
    let device = device();
    let info = device.memory().unwrap();
    assert!(info.free > 0 && info.free <= info.total);
    let refused = device.allocate(info.total * 2);
    assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
}

#[test]
fn what_is_asked_is_counted() {
    let device = device();
    assert_eq!(device.counts(), Counts::default());
    let source = source("count", "KERNEL(nothing, Test) {}");
    let x = Buffer::from_f32(&device, &[1.0, 2.0]).unwrap();
    let y = Buffer::zeros(&device, 4).unwrap();
    for _ in 0..3 {
        run(&device, &source, "nothing", grid(1, 32, 0), &x, &y, 0).unwrap();
    }
    let [x_address, y_address] = [&x, &y].map(|buffer| buffer.view().address);
    let product = MatrixProduct {
        rows: 1,
        inputs: 2,
        outputs: 1,
        x: x_address,
        weight: x_address,
        y: y_address,
        bias: 0,
        y_stride: 1,
        dtype: DType::F32,
        y_dtype: DType::F32,
        accumulate: false,
    };
    // SAFETY: the buffers hold such matrices.
    unsafe { device.product(&product) }.unwrap();
    device.synchronize().unwrap();
    assert_eq!(y.to_f32(DType::F32).unwrap(), [5.0]);
    let counts =
        Counts { launches: 4, allocations: 2, uploads: 1, downloads: 1, synchronizations: 1 };
    assert_eq!(device.counts(), counts);
}

#[test]
fn products_are_those_in_double_precision() {
    let device = device();
    for (rows, inputs, outputs) in [(1, 8, 8), (1, 264, 40), (5, 67, 13), (17, 136, 72)] {
        for dtype in FORMATS {
            for y_dtype in [dtype, DType::F32] {
                for (has_bias, accumulate) in
                    [(false, false), (true, false), (false, true), (true, true)]
                {
                    let shape = [rows, inputs, outputs];
                    check_product(&device, shape, dtype, y_dtype, has_bias, accumulate);
                }
            }
        }
    }
}

/// The rows of `y` are wider than the product, and the columns beyond it must keep their numbers.
fn check_product(
    device: &Arc<dyn ComputeDevice>,
    [rows, inputs, outputs]: [usize; 3],
    dtype: DType,
    y_dtype: DType,
    has_bias: bool,
    accumulate: bool,
) {
    let stride = outputs + 8;
    let x = rounded(&random(1, rows * inputs), dtype);
    let weight = rounded(&random(2, outputs * inputs), dtype);
    let bias = rounded(&random(4, outputs), dtype);
    let before = rounded(&random(3, rows * stride), y_dtype);
    let mut expected: Vec<f64> = before.iter().map(|&y| f64::from(y)).collect();
    for row in 0..rows {
        for output in 0..outputs {
            let pairs =
                x[row * inputs..][..inputs].iter().zip(&weight[output * inputs..][..inputs]);
            let sum: f64 = pairs.map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            let sum = if has_bias { sum + f64::from(bias[output]) } else { sum };
            let y = &mut expected[row * stride + output];
            *y = if accumulate { *y + sum } else { sum };
        }
    }
    let x = Buffer::from_numbers(device, &x, dtype).unwrap();
    let weight = Buffer::from_numbers(device, &weight, dtype).unwrap();
    let bias = Buffer::from_numbers(device, &bias, dtype).unwrap();
    let y = Buffer::from_numbers(device, &before, y_dtype).unwrap();
    let product = MatrixProduct {
        rows,
        inputs,
        outputs,
        x: x.view().address,
        weight: weight.view().address,
        y: y.view().address,
        bias: if has_bias { bias.view().address } else { 0 },
        y_stride: stride,
        dtype,
        y_dtype,
        accumulate,
    };
    // SAFETY: the buffers hold such matrices.
    unsafe { device.product(&product) }.unwrap();
    let ours = y.to_f32(y_dtype).unwrap();
    assert_close(&ours, &expected, tolerance(y_dtype));
    for row in 0..rows {
        let between = row * stride + outputs..(row + 1) * stride;
        assert_eq!(ours[between.clone()], before[between]);
    }
}

#[test]
fn a_kernel_that_does_not_compile_is_told_with_its_line() {
    let device = device();
    let source = source("broken", "KERNEL(broken, Test)\n{\n    nonsense;\n}\n");
    match device.kernel(&source, "broken") {
        Err(Error::Compile { kernel, log }) => {
            assert_eq!(kernel, "broken");
            assert!(log.contains("nonsense") && log.contains("broken.cu"), "{log}");
        }
        other => panic!("{other:?}"),
    }
    let source = self::source("other", "KERNEL(other, Test) {}");
    assert!(device.kernel(&source, "missing").is_err());
    assert_eq!(device.kernel(&source, "other").unwrap(), device.kernel(&source, "other").unwrap());
}

#[test]
fn devices_of_several_threads_do_not_disturb_one_another() {
    let source = source(
        "turns",
        r#"
KERNEL(turns, Test)
{
    __shared__ u32 numbers[128];
    u32* y = reinterpret_cast<u32*>(p.y) + blockIdx.x * 128;
    numbers[threadIdx.x] = p.count + threadIdx.x;
    for (u32 turn = 0; turn < 50; turn++) {
        __syncthreads();
        u32 next = numbers[(threadIdx.x + 1) % 128];
        __syncthreads();
        numbers[threadIdx.x] = next;
    }
    y[threadIdx.x] = numbers[threadIdx.x];
}
"#,
    );
    std::thread::scope(|scope| {
        for count in 0..6 {
            let source = &source;
            scope.spawn(move || {
                let device = device();
                for _ in 0..5 {
                    let y = u32s(&device, 40 * 128);
                    run(&device, source, "turns", grid(40, 128, 0), &y, &y, count).unwrap();
                    let expected: Vec<u32> =
                        (0..40 * 128).map(|i| count + (i + 50) % 128).collect();
                    assert_eq!(y.to_u32().unwrap(), expected);
                }
            });
        }
    });
}

#[test]
fn the_emulated_device_refuses_what_is_not_its_memory() {
    let device = emulated::open().unwrap();
    let other = emulated::open().unwrap();
    let buffer = Buffer::zeros(&device, 100).unwrap();
    let address = buffer.view().address;
    let mut bytes = [0; 101];
    let is_bug = |result| matches!(result, Err(Error::Bug(_)));
    assert!(device.download(address, &mut bytes[..100]).is_ok());
    assert!(is_bug(device.download(address, &mut bytes)));
    assert!(is_bug(device.download(address - 1, &mut bytes[..2])));
    assert!(is_bug(device.upload(&bytes, address)));
    assert!(is_bug(device.upload(&bytes[..8], 4096)));
    assert!(is_bug(device.clear(address + 99, 2)));
    assert!(is_bug(device.copy(address, address + 1, 100)));
    assert!(is_bug(device.copy(address + 1, address, 100)));
    assert!(is_bug(other.download(address, &mut bytes[..1])));
    other.free(address, 100);
    device.free(address, 99);
    device.free(address + 4, 96);
    assert!(device.download(address, &mut bytes[..100]).is_ok());
    drop(buffer);
    assert!(is_bug(device.download(address, &mut bytes[..100])));
}
