//! Runs the blocks of a launch, on more than one OS thread where that takes long.

use super::library::Entry;
use crate::Grid;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ffi::c_void;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What a kernel's entry is given, as `Launch` of `kernels/fibers.h`.
#[repr(C)]
pub(super) struct Launch {
    parameters: *const c_void,
    memory: *mut u8,
    blocks: [u32; 3],
    index: [u32; 3],
    threads: u32,
    shared: u32,
    at_barrier: u32,
    in_warp: u32,
}

/// What it returns, as `Outcome` there.
const DONE: u32 = 0;
const DEADLOCK: u32 = 1;

/// Bytes of the memory of a block, and their alignment: `MEMORY` there.
const MEMORY: usize = 1 << 27;

/// After so long the rest of the blocks is shared with other threads: many times what it takes to start one.
const ALONE: Duration = Duration::from_micros(300);

/// Threads that run a launch, at most.
const MOST_THREADS: usize = 4;

/// Memory of a block: its state, shared memory and stacks. Pages that are never used cost nothing.
struct BlockMemory {
    allocated: *mut u8,
}

// SAFETY: it is plain memory that one owner uses at a time.
unsafe impl Send for BlockMemory {}

impl BlockMemory {
    // Twice as much, so that there is an aligned part: allocators refuse alignments of this size.
    const LAYOUT: Layout = match Layout::from_size_align(2 * MEMORY, 4096) {
        Ok(layout) => layout,
        Err(_) => unreachable!(),
    };

    /// Memory that was given back, or new.
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

/// What no launch uses now.
static IDLE: Mutex<Vec<BlockMemory>> = Mutex::new(Vec::new());

/// A launch's blocks, dealt out one by one.
struct Blocks {
    entry: Entry,
    grid: Grid,
    parameters: *const c_void,
    next: AtomicU64,
    failure: Mutex<Option<String>>,
}

// SAFETY: the parameters are only read.
unsafe impl Sync for Blocks {}

/// Runs all blocks, and gives why one of them could not end.
///
/// # Safety
/// As for [`crate::Device::launch`], with a grid of at most 1,024 threads and 227 KiB a block.
pub(super) unsafe fn run(
    entry: Entry,
    grid: Grid,
    parameters: *const c_void,
) -> Result<(), String> {
    let blocks =
        Blocks { entry, grid, parameters, next: AtomicU64::new(0), failure: Mutex::new(None) };
    // SAFETY: the caller's.
    let left = unsafe { blocks.run_some(Some(ALONE)) };
    if left > 0 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let helpers = (cores.min(MOST_THREADS) - 1).min(left as usize - 1);
        std::thread::scope(|scope| {
            for _ in 0..helpers {
                // SAFETY: the caller's.
                scope.spawn(|| unsafe { blocks.run_some(None) });
            }
            // SAFETY: the caller's.
            unsafe { blocks.run_some(None) };
        });
    }
    match blocks.failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(reason) => Err(reason),
        None => Ok(()),
    }
}

impl Blocks {
    /// Runs blocks until none is left or the time is over; gives how many are left.
    ///
    /// # Safety
    /// As for [`run`].
    unsafe fn run_some(&self, limit: Option<Duration>) -> u64 {
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
            let mut launch = Launch {
                parameters: self.parameters,
                memory: memory.aligned(),
                blocks: self.grid.blocks,
                index: [(block % x) as u32, (block / x % y) as u32, (block / (x * y)) as u32],
                threads: self.grid.threads,
                shared: self.grid.shared,
                at_barrier: 0,
                in_warp: 0,
            };
            // SAFETY: the entry is of a library that is loaded, the memory is this thread's, and the rest is the caller's.
            let outcome = unsafe { (self.entry)(&mut launch) };
            if outcome != DONE {
                let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert_with(|| reason(outcome, &launch));
                self.next.store(total, Relaxed);
            }
        };
        memory.give_back();
        left
    }
}

fn reason(outcome: u32, launch: &Launch) -> String {
    let [x, y, z] = launch.index;
    match outcome {
        DEADLOCK => format!(
            "block ({x}, {y}, {z}) cannot end: {} of its {} threads wait at a barrier of the block and {} for lanes of their warp",
            launch.at_barrier, launch.threads, launch.in_warp
        ),
        _ => format!(
            "lanes of a warp in block ({x}, {y}, {z}) gave different masks, or masks without themselves"
        ),
    }
}
