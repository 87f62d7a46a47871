//! The CPU's thread pool: how kernels share their work among threads, and the memory that the threads fill together.
//!
//! The pool is candle's. Its threads spin for a moment before they sleep, because a decode step is hundreds of short
//! products one after another.

use crate::{Error, Result};
use rayon::{ThreadPool, ThreadPoolBuilder, prelude::*};
use std::{
    cell::{Cell, RefCell},
    marker::PhantomData,
    mem::MaybeUninit,
    ops::Range,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

thread_local! {
    /// Whether this thread already works on a share of something. The pool only knows this of its own threads, not of
    /// the thread that called it.
    static SHARING: Cell<bool> = const { Cell::new(false) };
    /// The pool of this thread's rank, or `None` if the rank uses the pool of the whole process.
    static POOL: RefCell<Option<Arc<ThreadPool>>> = const { RefCell::new(None) };
    /// The stop check that long work of this thread calls.
    static STOP: Cell<Option<&'static StopCheck<'static>>> = const { Cell::new(None) };
}

/// A function that returns true if the work should stop now.
pub type StopCheck<'a> = dyn Fn() -> bool + Sync + 'a;

/// The threads that share the work of one rank. Ranks that are threads of one process need separate teams: with a
/// common pool they would wait for each other's products.
#[derive(Clone)]
pub enum Team {
    /// All threads of the process.
    All,
    /// Only the rank's own thread.
    Alone,
    /// A pool that only this rank uses.
    Own(Arc<ThreadPool>),
}

impl Team {
    /// Returns the team of one of `ranks` ranks that share the machine equally. `threads` limits the threads of all
    /// ranks together; `None` means all of the machine's.
    pub fn new(ranks: usize, threads: Option<usize>) -> Self {
        if ranks == 1 && threads.is_none_or(|threads| threads == pool_threads()) {
            return Self::All;
        }
        match threads.unwrap_or_else(candle_core::utils::get_num_threads) / ranks {
            0 | 1 => Self::Alone,
            // Without a pool the rank still has its own thread.
            threads => ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_or(Self::Alone, |pool| Self::Own(Arc::new(pool))),
        }
    }

    /// Runs `work` on this thread. Kernels in it share their work among the team.
    pub fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        /// Restores the previous values on drop, even if the work panics.
        struct RestorePool(bool, Option<Arc<ThreadPool>>);
        impl Drop for RestorePool {
            fn drop(&mut self) {
                SHARING.set(self.0);
                POOL.set(self.1.take());
            }
        }
        let pool = if let Self::Own(pool) = self { Some(Arc::clone(pool)) } else { None };
        let alone = matches!(self, Self::Alone);
        let _restore = RestorePool(SHARING.replace(alone || SHARING.get()), POOL.replace(pool));
        work()
    }
}

/// Chunks for each thread of a rank's own pool. With several, a slow thread does not delay the others.
const CHUNKS: usize = 8;

/// Runs `work` on chunks of `0..count` on all threads of the team, and returns when all chunks are done. A thread that
/// already works on a chunk does all of it itself.
///
/// ```
/// use llem_compute::cpu::threads::for_each_chunk;
/// use std::sync::atomic::{AtomicUsize, Ordering};
///
/// let sum = AtomicUsize::new(0);
/// for_each_chunk(100, |chunk| {
///     sum.fetch_add(chunk.sum::<usize>(), Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 4950);
/// ```
pub fn for_each_chunk(count: usize, work: impl Fn(Range<usize>) + Sync) {
    if SHARING.get() {
        return work(0..count);
    }
    let share = |range| {
        SHARING.set(true);
        work(range);
        SHARING.set(false);
    };
    let pool = POOL.with_borrow(Option::clone);
    let Some(pool) = pool else {
        return candle_core::utils::barrier_pool().execute_chunked(count, share);
    };
    let size = count.div_ceil(CHUNKS * pool.current_num_threads()).max(1);
    pool.install(|| {
        (0..count.div_ceil(size))
            .into_par_iter()
            .for_each(|index| share(chunk_range(count, size, index)));
    });
}

/// Returns the number of threads that work of this thread is shared among.
pub fn threads() -> usize {
    // Cached, because asking the system takes as long as a short product.
    static COUNT: OnceLock<usize> = OnceLock::new();
    if SHARING.get() {
        return 1;
    }
    let own = POOL.with_borrow(|pool| pool.as_ref().map(|pool| pool.current_num_threads()));
    own.unwrap_or_else(|| *COUNT.get_or_init(candle_core::utils::get_num_threads))
}

/// Returns the number of threads of this process that kernels share work among, including the calling thread. Starts
/// the pool's threads if they have not started yet.
///
/// It is the size of candle's pool, which `CANDLE_NUM_THREADS`, `RAYON_NUM_THREADS` or the number of cores decides.
/// Ranks of one process divide the threads among them ([`Team::new`]).
pub fn pool_threads() -> usize {
    candle_core::utils::barrier_pool().n_workers() + 1
}

/// Returns the number of threads that candle's own operations use, including products with quantised weights.
/// `RAYON_NUM_THREADS` or the number of cores decides it.
pub fn candle_threads() -> usize {
    candle_core::utils::get_num_threads()
}

/// Amount of work, in numbers or multiply-adds, below which one thread is faster than several.
const WORTH_SHARING: usize = 1 << 15;

/// Runs `work` on all of `0..count`. Shares it among threads only if `amount`, the number of numbers or multiply-adds,
/// is large enough to be worth it.
pub fn share(amount: usize, count: usize, work: impl Fn(Range<usize>) + Sync) {
    if amount < WORTH_SHARING {
        work(0..count);
    } else {
        for_each_chunk(count, work);
    }
}

/// Runs `work` with a stop check. Long products and attention on this thread call `stop` every few milliseconds and end
/// with [`Error::Interrupted`] if it returns true. With `None` they never stop.
///
/// ```
/// use llem_compute::{Error, cpu::threads::{check_stop, with_stop}};
///
/// assert!(with_stop(None, check_stop).is_ok());
/// let result = with_stop(Some(&|| true), check_stop);
/// assert!(matches!(result, Err(Error::Interrupted)));
/// ```
pub fn with_stop<R>(stop: Option<&StopCheck<'_>>, work: impl FnOnce() -> R) -> R {
    /// Restores the previous stop check on drop, even if the work panics.
    struct RestoreStop(Option<&'static StopCheck<'static>>);
    impl Drop for RestoreStop {
        fn drop(&mut self) {
            STOP.set(self.0);
        }
    }
    // SAFETY: the reference is gone from STOP before this returns, and only this thread reads STOP.
    let stop = stop.map(|stop| unsafe {
        std::mem::transmute::<&StopCheck<'_>, &'static StopCheck<'static>>(stop)
    });
    let _restore = RestoreStop(STOP.replace(stop));
    work()
}

/// Calls the stop check of this thread once.
///
/// # Errors
/// [`Error::Interrupted`] if the check returns true.
pub fn check_stop() -> Result<()> {
    if STOP.get().is_some_and(|stop| stop()) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Multiply-adds between two calls of the stop check: a few milliseconds on the slowest instruction set.
const STOP_CHECK_INTERVAL: usize = 1 << 22;

/// Does what [`share`] does, for work that may take long: it calls the stop check in between.
///
/// # Errors
/// [`Error::Interrupted`] if the stop check returned true. Then a part of the work has not been done.
pub fn share_until_stopped(
    amount: usize,
    count: usize,
    work: impl Fn(Range<usize>) + Sync,
) -> Result<()> {
    let Some(stop) = STOP.get() else {
        share(amount, count, work);
        return Ok(());
    };
    let step = (count * STOP_CHECK_INTERVAL / amount.max(1)).max(1);
    let stopped = AtomicBool::new(false);
    share(amount, count, |range| {
        for start in range.clone().step_by(step) {
            if stopped.load(Ordering::Relaxed) || stop() {
                stopped.store(true, Ordering::Relaxed);
                return;
            }
            work(start..range.end.min(start + step));
        }
    });
    if stopped.into_inner() { Err(Error::Interrupted) } else { Ok(()) }
}

/// Returns chunk `index` of `0..count`, which is cut into chunks of `size`. The last chunk may be shorter.
pub fn chunk_range(count: usize, size: usize, index: usize) -> Range<usize> {
    index * size..count.min((index + 1) * size)
}

/// Memory in rows that several threads fill, each its own part.
pub struct SharedRows<'a, T> {
    start: *mut MaybeUninit<T>,
    len: usize,
    width: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: a caller that writes promises that no two threads touch the same part.
unsafe impl<T: Send> Sync for SharedRows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedRows<'_, T> {}

impl<'a, T: Copy> SharedRows<'a, T> {
    /// Borrows uninitialised memory in rows of `width` elements.
    pub fn new(memory: &'a mut [MaybeUninit<T>], width: usize) -> Self {
        Self { start: memory.as_mut_ptr(), len: memory.len(), width, owner: PhantomData }
    }

    /// Borrows initialised memory in rows of `width` elements.
    pub fn from_slice(memory: &'a mut [T], width: usize) -> Self {
        Self { start: memory.as_mut_ptr().cast(), len: memory.len(), width, owner: PhantomData }
    }

    /// Borrows the same memory once more, for a shorter time.
    pub fn reborrow(&self) -> SharedRows<'_, T> {
        SharedRows { start: self.start, len: self.len, width: self.width, owner: PhantomData }
    }

    /// Returns the number of elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Returns one row.
    ///
    /// # Safety
    /// No other thread touches the row while it is borrowed.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that no other thread touches the part"
    )]
    pub unsafe fn row(&self, row: usize) -> &mut [MaybeUninit<T>] {
        assert!((row + 1) * self.width <= self.len, "row {row} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.width), self.width) }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// No other thread touches the element during the call.
    pub unsafe fn write(&self, index: usize, value: T) {
        assert!(index < self.len, "element {index} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe { self.start.add(index).write(MaybeUninit::new(value)) };
    }

    /// Writes `values` from element `index` on.
    ///
    /// # Safety
    /// No other thread touches these elements during the call.
    #[inline(always)]
    pub unsafe fn copy(&self, index: usize, values: &[T]) {
        assert!(index + values.len() <= self.len, "element {index} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe {
            values.as_ptr().copy_to_nonoverlapping(self.start.add(index).cast(), values.len());
        }
    }

    /// Returns a pointer to `len` elements from element `index` on, for code that writes through pointers.
    ///
    /// # Safety
    /// No other thread touches the elements that are written.
    pub unsafe fn pointer(&self, index: usize, len: usize) -> *mut T {
        assert!(index + len <= self.len, "element {index} is beyond the memory");
        // SAFETY: within the memory.
        unsafe { self.start.add(index).cast() }
    }

    /// Returns `len` initialised elements from element `index` on.
    ///
    /// # Safety
    /// The elements are initialised, and no other thread touches them while they are borrowed.
    #[allow(
        clippy::mut_from_ref,
        reason = "the caller promises that no other thread touches the part"
    )]
    pub unsafe fn numbers(&self, index: usize, len: usize) -> &mut [T] {
        // SAFETY: the caller keeps this function's contract.
        unsafe { std::slice::from_raw_parts_mut(self.pointer(index, len), len) }
    }
}
