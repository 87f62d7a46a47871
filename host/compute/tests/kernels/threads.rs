//! What kernels use of CUDA: barriers, exchanges within a warp, atomics, shared memory, number formats.

use crate::support::{device, poisoned, rounded};
use llem_compute::{
    Buffer, ComputeDevice, DType, Error, KernelParameters, KernelSource, LaunchGrid, emulated,
};
use std::sync::Arc;

/// The parameters of all kernels in this file.
#[repr(C)]
#[derive(Clone, Copy)]
struct Test {
    x: u64,
    y: u64,
    count: u32,
    unused: u32,
}

const TEST: &str = r#"
#include "real.h"
struct Test { u64 x, y; u32 count, unused; };
"#;

/// Returns a source of kernels.
pub(crate) fn source(file: &'static str, kernels: &str) -> KernelSource {
    KernelSource { file, text: format!("{TEST}{kernels}").leak(), defines: vec![] }
}

/// Runs a kernel of a source.
pub(crate) fn run(
    device: &Arc<dyn ComputeDevice>,
    source: &KernelSource,
    name: &str,
    grid: LaunchGrid,
    x: &Buffer,
    y: &Buffer,
    count: u32,
) -> Result<(), Error> {
    let kernel = device.kernel(source, name)?;
    let parameters = Test { x: x.view().address, y: y.view().address, count, unused: 0 };
    // SAFETY: each test below gives its kernels the memory that they use.
    unsafe { device.launch(kernel, grid, KernelParameters::new(&parameters)) }
}

/// Returns a grid with blocks in x only.
pub(crate) fn grid(blocks: u32, threads: u32, shared: u32) -> LaunchGrid {
    LaunchGrid { blocks: [blocks, 1, 1], threads, shared }
}

/// Memory for integers that are `u32::MAX` until they are written.
pub(crate) fn u32s(device: &Arc<dyn ComputeDevice>, count: usize) -> Buffer {
    poisoned(device, count, DType::F32)
}

#[test]
fn threads_meet_at_barriers_and_shuffle() {
    let device = device();
    let source = source(
        "meet",
        r#"
KERNEL(sums, Test)
{
    __shared__ float sums[8];
    DYNAMIC_SHARED(float, all);
    float* x = reinterpret_cast<float*>(p.x) + blockIdx.x * blockDim.x;
    float* y = reinterpret_cast<float*>(p.y) + blockIdx.x * blockDim.x;
    float v = x[threadIdx.x];
    all[threadIdx.x] = v;
    for (int offset = 16; offset; offset /= 2) v += __shfl_xor_sync(0xffffffff, v, offset);
    if (threadIdx.x % 32 == 0) sums[threadIdx.x / 32] = v;
    __syncthreads();
    for (u32 step = 0; step < p.count; step++) {
        float next = all[(threadIdx.x + 1) % blockDim.x];
        __syncthreads();
        all[threadIdx.x] = next;
        __syncthreads();
    }
    v = 0;
    for (u32 warp = 0; warp < blockDim.x / 32; warp++) v += sums[warp];
    y[threadIdx.x] = v + all[threadIdx.x];
}
"#,
    );
    for (blocks, threads) in [(1, 32), (3, 96), (70, 256)] {
        let numbers: Vec<f32> = (0..blocks * threads).map(|i| (i % 1000) as f32).collect();
        let x = Buffer::from_f32(&device, &numbers).unwrap();
        let y = poisoned(&device, numbers.len(), DType::F32);
        run(&device, &source, "sums", grid(blocks, threads, threads * 4), &x, &y, 5).unwrap();
        let threads = threads as usize;
        let expected: Vec<f32> = numbers
            .chunks(threads)
            .flat_map(|block| {
                let sum: f32 = block.iter().sum();
                (0..threads).map(move |thread| sum + block[(thread + 5) % threads])
            })
            .collect();
        assert_eq!(y.to_f32(DType::F32).unwrap(), expected);
    }
}

#[test]
fn lanes_of_a_warp_exchange_what_they_have() {
    let device = device();
    let source = source(
        "lanes",
        r#"
KERNEL(lanes, Test)
{
    u32* y = reinterpret_cast<u32*>(p.y) + threadIdx.x * 10;
    u32 lane = threadIdx.x % 32, mine = threadIdx.x * 3;
    y[0] = __shfl_sync(0xffffffff, mine, 5);
    y[1] = __shfl_sync(0xffffffff, mine, 3, 8);
    y[2] = __shfl_down_sync(0xffffffff, mine, 7);
    y[3] = __shfl_up_sync(0xffffffff, mine, 2);
    y[4] = __ballot_sync(0xffffffff, lane % 3 == 0);
    y[5] = __any_sync(0xffffffff, threadIdx.x == 40);
    // Two groups of lanes that do not wait for each other.
    u32 mask = lane < 12 ? 0xfff : 0xfffff000;
    y[6] = 0;
    for (u32 turn = 0; turn < (lane < 12 ? 3 : 1); turn++) y[6] += __shfl_sync(mask, mine + turn, lane < 12 ? 11 : 20);
    y[7] = __ballot_sync(mask, lane % 2);
    double wide = __shfl_xor_sync(0xffffffff, (double)mine + 0.5, 1);
    y[8] = (u32)(wide * 2);
    __syncwarp();
    y[9] = __all_sync(0xffffffff, threadIdx.x < 40);
}
"#,
    );
    let y = u32s(&device, 64 * 10);
    run(&device, &source, "lanes", grid(1, 64, 0), &y, &y, 0).unwrap();
    let y = y.to_u32().unwrap();
    for thread in 0..64u32 {
        let (lane, warp) = (thread % 32, thread / 32 * 32);
        let threes: u32 = (0..32).filter(|lane| lane % 3 == 0).map(|lane| 1 << lane).sum();
        let expected = [
            (warp + 5) * 3,
            (warp + lane / 8 * 8 + 3) * 3,
            (warp + if lane + 7 < 32 { lane + 7 } else { lane }) * 3,
            (warp + if lane < 2 { lane } else { lane - 2 }) * 3,
            threes,
            warp / 32,
            if lane < 12 { (warp + 11) * 9 + 3 } else { (warp + 20) * 3 },
            if lane < 12 { 0xaaa } else { 0xaaaa_a000 },
            (warp + (lane ^ 1)) * 6 + 1,
            1 - warp / 32,
        ];
        assert_eq!(y[thread as usize * 10..][..10], expected, "thread {thread}");
    }
}

#[test]
fn blocks_add_to_the_same_numbers() {
    let device = device();
    let source = source(
        "atomics",
        r#"
KERNEL(add, Test)
{
    u32* y = reinterpret_cast<u32*>(p.y);
    u32 index = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    u32 thread = index * blockDim.x + threadIdx.x;
    atomicAdd(y, 1u);
    atomicMax(y + 1, thread);
    atomicAdd(reinterpret_cast<float*>(y) + 2, 0.5f);
    reinterpret_cast<u32*>(p.x)[thread] = index;
}
"#,
    );
    let grid = LaunchGrid { blocks: [5, 7, 11], threads: 64, shared: 0 };
    let threads = 5 * 7 * 11 * 64;
    let x = u32s(&device, threads);
    let y = Buffer::zeros(&device, 12).unwrap();
    run(&device, &source, "add", grid, &x, &y, 0).unwrap();
    let half = (threads as f32 * 0.5).to_bits();
    assert_eq!(y.to_u32().unwrap(), [threads as u32, threads as u32 - 1, half]);
    let expected: Vec<u32> = (0..threads as u32).map(|thread| thread / 64).collect();
    assert_eq!(x.to_u32().unwrap(), expected);
}

#[test]
fn numbers_are_rounded_as_formats_have_it() {
    let device = device();
    // Around each 16-bit number: the number itself, the middle to the next one, and a little more and less than the
    // middle.
    let middles = (0..=u16::MAX).flat_map(|bits| {
        let bf16 = u32::from(bits) << 16;
        let f16 = half::f16::from_bits(bits).to_f32().to_bits();
        [
            bf16,
            bf16 | 0x7fff,
            bf16 | 0x8000,
            bf16 | 0x8001,
            f16,
            f16 | 0xfff,
            f16 | 0x1000,
            f16 | 0x1001,
        ]
    });
    let special =
        [65519.996f32, 65520.0, 1e-7, 2.98e-8, 2.9802322e-8, 0.0, -0.0, f32::MIN_POSITIVE];
    let numbers: Vec<f32> = middles.map(f32::from_bits).chain(special).collect();
    for dtype in [DType::Bf16, DType::F16] {
        let mut source = source(
            "rounded",
            r#"
KERNEL(rounded, Test)
{
    const float* x = reinterpret_cast<const float*>(p.x);
    REAL* y = reinterpret_cast<REAL*>(p.y);
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += gridDim.x * blockDim.x) store(y + i, x[i]);
}
KERNEL(widen, Test)
{
    const REAL* x = reinterpret_cast<const REAL*>(p.x);
    float* y = reinterpret_cast<float*>(p.y);
    for (u32 i = blockIdx.x * blockDim.x + threadIdx.x; i < p.count; i += gridDim.x * blockDim.x) y[i] = to_float(x[i]);
}
"#,
        );
        source.defines.push(("REAL", dtype.kernel_type().to_owned()));
        let count = numbers.len() as u32;
        let x = Buffer::from_f32(&device, &numbers).unwrap();
        let y = poisoned(&device, numbers.len(), dtype);
        let back = poisoned(&device, numbers.len(), DType::F32);
        run(&device, &source, "rounded", grid(9, 256, 0), &x, &y, count).unwrap();
        run(&device, &source, "widen", grid(9, 256, 0), &y, &back, count).unwrap();
        let same = |x: f32, y: f32| x.to_bits() == y.to_bits() || (x.is_nan() && y.is_nan());
        let ours = [y.to_f32(dtype).unwrap(), back.to_f32(DType::F32).unwrap()];
        let expected = rounded(&numbers, dtype);
        for ours in ours {
            for ((&number, ours), &expected) in numbers.iter().zip(ours).zip(&expected) {
                assert!(
                    same(ours, expected),
                    "{dtype} of {number:e} is {ours:e}, not {expected:e}"
                );
            }
        }
    }
}

#[test]
fn a_block_has_as_much_shared_memory_as_a_card_gives_it() {
    let device = device();
    let source = source(
        "shared",
        r#"
KERNEL(fill, Test)
{
    DYNAMIC_SHARED(u32, all);
    for (u32 i = threadIdx.x; i < p.count; i += blockDim.x) all[i] = i;
    __syncthreads();
    if (threadIdx.x == 0) reinterpret_cast<u32*>(p.y)[blockIdx.x] = all[p.count - 1];
}
"#,
    );
    // More than a kernel may use without opting in.
    let bytes = 96 << 10;
    let y = u32s(&device, 2);
    run(&device, &source, "fill", grid(2, 1024, bytes), &y, &y, bytes / 4).unwrap();
    assert_eq!(y.to_u32().unwrap(), [bytes / 4 - 1; 2]);
    assert!(run(&device, &source, "fill", grid(1, 32, 300 << 10), &y, &y, 1).is_err());
}

#[test]
fn the_emulated_device_tells_what_a_card_hangs_on() {
    let device = emulated::open().unwrap();
    let source = source(
        "hang",
        r#"
KERNEL(barrier, Test)
{
    if (threadIdx.x < 40) __syncthreads();
    else if (threadIdx.x < 42) __shfl_sync(0x301, threadIdx.x, 9);
    else if (threadIdx.x >= 64) __syncwarp();
}
KERNEL(mask, Test)
{
    __syncwarp(threadIdx.x == 31 ? 0xffffffff : 0x7fffffff);
    if (threadIdx.x == 3) __syncwarp(0x4);
}
"#,
    );
    let y = u32s(&device, 1);
    for (name, told) in [
        ("barrier", "40 of its 96 threads wait at a barrier of the block and 2 for lanes"),
        ("mask", "different masks"),
    ] {
        match run(&device, &source, name, grid(3, 96, 0), &y, &y, 0) {
            Err(Error::Failed { reason, .. }) => {
                assert!(reason.contains(name) && reason.contains(told), "{reason}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn shared_memory_of_the_emulated_device_is_not_a_number_before_it_is_written() {
    let device = emulated::open().unwrap();
    let source = source(
        "unwritten",
        r#"
KERNEL(unwritten, Test)
{
    __shared__ u32 fixed[32];
    DYNAMIC_SHARED(u32, dynamic);
    if (threadIdx.x == 0) {
        u32* y = reinterpret_cast<u32*>(p.y) + blockIdx.x * 2;
        y[0] = fixed[7];
        y[1] = dynamic[7];
        fixed[7] = dynamic[7] = 1;
    }
}
"#,
    );
    let y = Buffer::zeros(&device, 3 * 2 * 4).unwrap();
    run(&device, &source, "unwritten", grid(3, 32, 128), &y, &y, 0).unwrap();
    assert_eq!(y.to_u32().unwrap(), [u32::MAX; 6]);
}
