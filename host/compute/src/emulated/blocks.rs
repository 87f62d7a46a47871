//! Runs the blocks of a launch, on several OS threads if it takes long.

use super::kernel_library::KernelEntry;
use crate::LaunchGrid;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a kernel's entry point is called with. Mirrors `struct Launch` of `kernels/fibers.h`.
#[repr(C)]
pub(super) struct BlockLaunch {
    parameters: *const c_void,
    memory: *mut u8,
    blocks: [u32; 3],
    index: [u32; 3],
    threads: u32,
    shared: u32,
    at_barrier: u32,
    in_warp: u32,
}

/// What an entry point returns: the values of `enum Outcome` of `kernels/fibers.h`.
const DONE: u32 = 0;
const DEADLOCK: u32 = 1;

/// Size of a block's memory and its alignment, in bytes: `MEMORY` of `kernels/fibers.h`.
const MEMORY: usize = 1 << 27;

/// Time after which other threads help with the remaining blocks: many times what it takes to start a thread.
const ALONE: Duration = Duration::from_micros(300);

/// Most threads that run a launch.
const MOST_THREADS: usize = 4;

/// The memory of a block: its state, shared memory and stacks. Pages that are never used cost nothing.
struct BlockMemory {
    allocated: *mut u8,
}

// SAFETY: it is plain memory that one owner uses at a time.
unsafe impl Send for BlockMemory {}

impl BlockMemory {
    // Twice the size, so that it contains an aligned part: allocators refuse alignments of this size.
    const LAYOUT: Layout = match Layout::from_size_align(2 * MEMORY, 4096) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    /// Returns memory that an earlier block gave back, or allocates some.
    fn take() -> Self {
        if let Some(memory) = IDLE.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return memory;
        }
        // SAFETY: the layout has bytes.
        let allocated = unsafe { alloc(Self::LAYOUT) };
        if allocated.is_null() {
            handle_alloc_error(Self::LAYOUT);
        }
        Self { allocated }
    }

    fn give_back(self) {
        IDLE.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    fn aligned(&self) -> *mut u8 {
        let offset = self.allocated.align_offset(MEMORY);
        self.allocated.wrapping_add(offset)
    }
}

impl Drop for BlockMemory {
    fn drop(&mut self) {
        // SAFETY: it was allocated so.
        unsafe { dealloc(self.allocated, Self::LAYOUT) };
    }
}

/// Memory that no launch uses now.
static IDLE: Mutex<Vec<BlockMemory>> = Mutex::new(Vec::new());

/// The blocks of a launch. Each thread takes the next one when it has finished one.
struct LaunchBlocks {
    entry: KernelEntry,
    grid: LaunchGrid,
    parameters: *const c_void,
    next: AtomicU64,
    failure: Mutex<Option<BlockError>>,
}

// SAFETY: the parameters are only read.
unsafe impl Sync for LaunchBlocks {}

/// Why a block of a launch cannot end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BlockError {
    /// Some threads wait for others that never come.
    #[error(
        "block ({x}, {y}, {z}) cannot end: {at_barrier} of its {threads} threads wait at a barrier of the block and {in_warp} for lanes of their warp",
        x = index[0],
        y = index[1],
        z = index[2]
    )]
    Deadlock {
        /// The index of the block in its grid.
        index: [u32; 3],
        /// The number of threads of the block.
        threads: u32,
        /// The number of threads that wait at a barrier of the block.
        at_barrier: u32,
        /// The number of threads that wait for lanes of their warp.
        in_warp: u32,
    },

    /// The lanes of a warp disagree about which of them take part in an operation.
    #[error(
        "lanes of a warp in block ({x}, {y}, {z}) gave different masks, or masks without themselves",
        x = index[0],
        y = index[1],
        z = index[2]
    )]
    WarpMasks {
        /// The index of the block in its grid.
        index: [u32; 3],
    },
}

impl BlockError {
    /// Builds the error of a block whose entry point has returned an `outcome` other than [`DONE`].
    fn from_outcome(outcome: u32, launch: &BlockLaunch) -> Self {
        let BlockLaunch { index, threads, at_barrier, in_warp, .. } = *launch;
        match outcome {
            DEADLOCK => Self::Deadlock { index, threads, at_barrier, in_warp },
            _ => Self::WarpMasks { index },
        }
    }
}

/// Runs all blocks.
///
/// # Errors
/// Returns the error of a block that cannot end.
///
/// # Safety
/// The contract of [`crate::ComputeDevice::launch`]. A block has at most 1024 threads and 227 KiB of shared memory.
pub(super) unsafe fn run(
    entry: KernelEntry,
    grid: LaunchGrid,
    parameters: *const c_void,
) -> Result<(), BlockError> {
    let blocks = LaunchBlocks {
        entry,
        grid,
        parameters,
        next: AtomicU64::new(0),
        failure: Mutex::new(None),
    };
    // SAFETY: the caller keeps this function's contract.
    let left = unsafe { blocks.run_until(Some(ALONE)) };
    if left > 0 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let helpers = (cores.min(MOST_THREADS) - 1).min(left as usize - 1);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                // SAFETY: the caller keeps this function's contract.
                scope.spawn(|| unsafe { blocks.run_until(None) });
            }
            // SAFETY: the caller keeps this function's contract.
            unsafe { blocks.run_until(None) };
        });
    }
    match blocks.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

impl LaunchBlocks {
    /// Runs blocks until none is left or the time is over. Returns how many are left.
    ///
    /// # Safety
    /// The contract of [`run`].
    unsafe fn run_until(&self, limit: Option<Duration>) -> u64 {
        let [x, y, z] = self.grid.blocks.map(u64::from);
        let total = x * y * z;
        let memory = BlockMemory::take();
        let start = Instant::now();
        let left = loop {
            if limit.is_some_and(|limit| start.elapsed() > limit) {
                break total.saturating_sub(self.next.load(Relaxed));
            }
            let block = self.next.fetch_add(1, Relaxed);
            if block >= total {
                break 0;
            }
            let mut launch = BlockLaunch {
                parameters: self.parameters,
                memory: memory.aligned(),
                blocks: self.grid.blocks,
                index: [(block % x) as u32, (block / x % y) as u32, (block / (x * y)) as u32],
                threads: self.grid.threads,
                shared: self.grid.shared,
                at_barrier: 0,
                in_warp: 0,
            };
            // SAFETY: the entry is of a library that is loaded, the memory belongs to this thread, and the caller keeps the contract.
            let outcome = unsafe { (self.entry)(&mut launch) };
            if outcome != DONE {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| BlockError::from_outcome(outcome, &launch));
                self.next.store(total, Relaxed);
            }
        };
        memory.give_back();
        left
    }
}
