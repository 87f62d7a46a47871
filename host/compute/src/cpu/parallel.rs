//! Work shared among the processor's cores by candle's pool, whose threads spin for a moment before
//! they sleep: a decode step is hundreds of short products one after another.

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
    /// Whether this thread is already doing a share of something. The pool itself knows that only of its own
    /// threads, not of the one that called it.
    static SHARING: Cell<bool> = const { Cell::new(false) };
    /// The threads that work of this thread is shared among, if not those of the whole process.
    static POOL: RefCell<Option<Arc<ThreadPool>>> = const { RefCell::new(None) };
    /// What long work of this thread asks whether to stop.
    static STOP: Cell<Option<&'static Stop<'static>>> = const { Cell::new(None) };
}

/// Says whether work is to stop now.
pub type Stop<'a> = dyn Fn() -> bool + Sync + 'a;

/// The threads that a rank's work is shared among. Ranks that are threads of one process would wait for
/// each other's products if they all used the same.
#[derive(Clone)]
pub enum Team {
    /// All of the process.
    All,
    /// The rank's own thread.
    Alone,
    /// Some, which are the rank's own.
    Own(Arc<ThreadPool>),
}

impl Team {
    /// That of one of `ranks` ranks which share the machine, or `threads` of its threads where so many are asked for.
    pub fn of_one_in(ranks: usize, threads: Option<usize>) -> Self {
        if ranks == 1 && threads.is_none_or(|threads| threads == pool_threads()) {
            return Self::All;
        }
        match threads.unwrap_or_else(candle_core::utils::get_num_threads) / ranks {
            0 | 1 => Self::Alone,
            // A pool that cannot be made leaves the rank its own thread.
            threads => ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map_or(Self::Alone, |pool| Self::Own(Arc::new(pool))),
        }
    }

    /// Does `work` with these threads.
    pub fn work<R>(&self, work: impl FnOnce() -> R) -> R {
        /// Puts back what was before, even where work panics.
        struct Before(bool, Option<Arc<ThreadPool>>);
        impl Drop for Before {
            fn drop(&mut self) {
                SHARING.set(self.0);
                POOL.set(self.1.take());
            }
        }
        let pool = if let Self::Own(pool) = self { Some(Arc::clone(pool)) } else { None };
        let alone = matches!(self, Self::Alone);
        let _before = Before(SHARING.replace(alone || SHARING.get()), POOL.replace(pool));
        work()
    }
}

/// Chunks for each thread of a rank's own pool: enough that a slow thread holds nobody up.
const CHUNKS: usize = 8;

/// Runs `work` on chunks of `0..count` on all threads, and returns when all are done. Within work that is
/// shared already, the thread that asks does all of it.
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
            .for_each(|index| share(chunks(count, size, index)));
    });
}

/// Threads that work is shared among.
pub fn threads() -> usize {
    // Asking the system takes as long as a short product.
    static COUNT: OnceLock<usize> = OnceLock::new();
    if SHARING.get() {
        return 1;
    }
    let own = POOL.with_borrow(|pool| pool.as_ref().map(|pool| pool.current_num_threads()));
    own.unwrap_or_else(|| *COUNT.get_or_init(candle_core::utils::get_num_threads))
}

/// Threads of this process that kernels share work among, the thread that asks included: those of candle's pool, as
/// `CANDLE_NUM_THREADS`, `RAYON_NUM_THREADS` or the number of cores decides. Ranks of one process share them out
/// ([`Team::of_one_in`]). Starts the pool's threads if nothing has yet.
pub fn pool_threads() -> usize {
    candle_core::utils::barrier_pool().n_workers() + 1
}

/// Threads that candle's own operations share work among, products with quantised weights included: as
/// `RAYON_NUM_THREADS` or the number of cores decides.
pub fn candle_threads() -> usize {
    candle_core::utils::get_num_threads()
}

/// Numbers, or multiply-adds, that are sooner worked on by one thread than handed to several.
const WORTH_SHARING: usize = 1 << 15;

/// Runs `work` on all of `0..count`, on all threads where there is enough to do.
pub fn share(amount: usize, count: usize, work: impl Fn(Range<usize>) + Sync) {
    if amount < WORTH_SHARING {
        work(0..count);
    } else {
        for_each_chunk(count, work);
    }
}

/// Does `work`, whose long products and attention on this thread ask `stop` every few milliseconds whether to end with
/// [`Error::Interrupted`]; with `None` they do not ask.
pub fn asking<R>(stop: Option<&Stop<'_>>, work: impl FnOnce() -> R) -> R {
    /// Puts back what was before, even where work panics.
    struct Before(Option<&'static Stop<'static>>);
    impl Drop for Before {
        fn drop(&mut self) {
            STOP.set(self.0);
        }
    }
    // SAFETY: the reference is gone from STOP before this returns, and only this thread reads STOP.
    let stop =
        stop.map(|stop| unsafe { std::mem::transmute::<&Stop<'_>, &'static Stop<'static>>(stop) });
    let _before = Before(STOP.replace(stop));
    work()
}

/// Asks once whether to stop.
///
/// # Errors
/// [`Error::Interrupted`] if so.
pub fn check_stop() -> Result<()> {
    if STOP.get().is_some_and(|stop| stop()) { Err(Error::Interrupted) } else { Ok(()) }
}

/// Multiply-adds between two questions whether to stop: a few milliseconds of the slowest path.
const ASK_AFTER: usize = 1 << 22;

/// The same as [`share`] for work that may take long.
///
/// # Errors
/// [`Error::Interrupted`] if it was stopped: then part of the work has not been done.
pub fn share_until_stopped(
    amount: usize,
    count: usize,
    work: impl Fn(Range<usize>) + Sync,
) -> Result<()> {
    let Some(stop) = STOP.get() else {
        share(amount, count, work);
        return Ok(());
    };
    let step = (count * ASK_AFTER / amount.max(1)).max(1);
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

/// The `index`th chunk of `0..count` in chunks of `size`.
pub fn chunks(count: usize, size: usize, index: usize) -> Range<usize> {
    index * size..count.min((index + 1) * size)
}

/// Memory that several threads fill, each its own part.
pub struct SharedRows<'a, T> {
    start: *mut MaybeUninit<T>,
    len: usize,
    width: usize,
    owner: PhantomData<&'a mut [T]>,
}

// SAFETY: whoever writes promises that no two threads touch the same part.
unsafe impl<T: Send> Sync for SharedRows<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for SharedRows<'_, T> {}

impl<'a, T: Copy> SharedRows<'a, T> {
    /// Over memory in rows of `width`.
    pub fn new(memory: &'a mut [MaybeUninit<T>], width: usize) -> Self {
        Self { start: memory.as_mut_ptr(), len: memory.len(), width, owner: PhantomData }
    }

    /// Over memory that holds numbers already.
    pub fn over(memory: &'a mut [T], width: usize) -> Self {
        Self { start: memory.as_mut_ptr().cast(), len: memory.len(), width, owner: PhantomData }
    }

    /// The same memory, for someone else.
    pub fn again(&self) -> SharedRows<'_, T> {
        SharedRows { start: self.start, len: self.len, width: self.width, owner: PhantomData }
    }

    /// Elements of a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// One row.
    ///
    /// # Safety
    /// No other thread touches the row meanwhile.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn row(&self, row: usize) -> &mut [MaybeUninit<T>] {
        assert!((row + 1) * self.width <= self.len, "row {row} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(row * self.width), self.width) }
    }

    /// Writes one element.
    ///
    /// # Safety
    /// No other thread touches it meanwhile.
    pub unsafe fn write(&self, place: usize, value: T) {
        assert!(place < self.len, "element {place} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe { self.start.add(place).write(MaybeUninit::new(value)) };
    }

    /// Writes several.
    ///
    /// # Safety
    /// No other thread touches them meanwhile.
    #[inline(always)]
    pub unsafe fn copy(&self, place: usize, values: &[T]) {
        assert!(place + values.len() <= self.len, "element {place} is beyond the memory");
        // SAFETY: within the memory, and the caller has it alone.
        unsafe {
            values.as_ptr().copy_to_nonoverlapping(self.start.add(place).cast(), values.len());
        }
    }

    /// Where `len` elements from `place` on lie, to be written without more ado.
    ///
    /// # Safety
    /// No other thread touches what is written.
    pub unsafe fn at(&self, place: usize, len: usize) -> *mut T {
        assert!(place + len <= self.len, "element {place} is beyond the memory");
        // SAFETY: within the memory.
        unsafe { self.start.add(place).cast() }
    }

    /// `len` elements from `place` on, which hold numbers already.
    ///
    /// # Safety
    /// They do, and no other thread touches them meanwhile.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn numbers(&self, place: usize, len: usize) -> &mut [T] {
        // SAFETY: the caller's.
        unsafe { std::slice::from_raw_parts_mut(self.at(place, len), len) }
    }
}
