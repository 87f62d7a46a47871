//! Copies between the host and a GPU. They go through page-locked memory, which the GPU reads and writes while the host
//! goes on.
//!
//! ```text
//! upload: host ──copied──► a slot of a ring ──queued──► GPU       a slot is used again after its event
//! ```

use super::{
    context::{Context, CudaHandle, call},
    event::CudaEvent,
};
use crate::Result;
use cudarc::driver::sys::CUstream_st;
use std::{
    ffi::c_void,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

/// Size up to which an upload counts as small, in bytes: ids, positions, tables.
const SMALL: usize = 64 << 10;

/// Slots for small uploads: enough for a few decode steps, so that none of them waits.
const SMALL_SLOTS: usize = 32;

/// Size of a large slot, in bytes. With several slots, the host fills one while the GPU reads another.
const LARGE: usize = 16 << 20;

/// Slots for large uploads. As many threads can fill one each.
const LARGE_SLOTS: usize = 4;

/// Page-locked memory of the host. It is freed on drop.
struct PinnedMemory {
    context: Arc<Context>,
    pointer: CudaHandle<c_void>,
}

impl PinnedMemory {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Self> {
        let mut pointer = ptr::null_mut();
        // SAFETY: the call writes an address.
        unsafe { call!(context, cuMemHostAlloc(&raw mut pointer, bytes, 0)) }?;
        Ok(Self { context: Arc::clone(context), pointer: CudaHandle(pointer) })
    }
}

impl Drop for PinnedMemory {
    fn drop(&mut self) {
        // On a device that has failed, freeing fails too.
        let _ = self.context.bind();
        // SAFETY: the device has waited for all work before it drops this.
        let _ = unsafe { call!(self.context, cuMemFreeHost(self.pointer.0)) };
    }
}

/// Page-locked memory, and an event after which the GPU no longer uses it.
struct Slot {
    memory: PinnedMemory,
    done: CudaEvent,
}

impl Slot {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Self> {
        Ok(Self { memory: PinnedMemory::new(context, bytes)?, done: CudaEvent::new(context)? })
    }
}

/// Slots that are used in turn. Each is allocated when it is first used.
struct Ring {
    slots: Vec<Mutex<Option<Slot>>>,
    bytes: usize,
    next: AtomicUsize,
}

impl Ring {
    fn new(slots: usize, bytes: usize) -> Self {
        let slots = (0..slots).map(|_| Mutex::default()).collect();
        Self { slots, bytes, next: AtomicUsize::new(0) }
    }

    fn next(&self) -> MutexGuard<'_, Option<Slot>> {
        let index = self.next.fetch_add(1, Relaxed) % self.slots.len();
        lock(&self.slots[index])
    }
}

fn lock(slot: &Mutex<Option<Slot>>) -> MutexGuard<'_, Option<Slot>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the slot, and allocates it on the first call.
fn get_or_create<'a>(
    slot: &'a mut Option<Slot>,
    context: &Arc<Context>,
    bytes: usize,
) -> Result<&'a mut Slot> {
    match slot {
        Some(slot) => Ok(slot),
        None => Ok(slot.insert(Slot::new(context, bytes)?)),
    }
}

/// The page-locked memory through which uploads and downloads go.
pub(super) struct StagingBuffers {
    context: Arc<Context>,
    stream: CudaHandle<CUstream_st>,
    small: Ring,
    large: Ring,
    downloads: Mutex<Option<Slot>>,
}

impl StagingBuffers {
    /// Starts without memory. Slots are allocated when they are first used.
    pub(super) fn new(context: &Arc<Context>, stream: CudaHandle<CUstream_st>) -> Self {
        Self {
            context: Arc::clone(context),
            stream,
            small: Ring::new(SMALL_SLOTS, SMALL),
            large: Ring::new(LARGE_SLOTS, LARGE),
            downloads: Mutex::default(),
        }
    }

    /// Queues a copy to the GPU. The caller may reuse `from` as soon as the call returns. Several threads can copy at
    /// the same time.
    pub(super) fn upload(&self, from: &[u8], to: u64) -> Result<()> {
        let ring = if from.len() <= SMALL { &self.small } else { &self.large };
        let mut to = to;
        for part in from.chunks(ring.bytes) {
            let mut slot = ring.next();
            let slot = get_or_create(&mut slot, &self.context, ring.bytes)?;
            slot.done.wait()?;
            let memory = slot.memory.pointer.0;
            // SAFETY: the slot has room for the part, and the GPU has read its earlier contents; the caller's address has
            // room for the bytes.
            unsafe {
                ptr::copy_nonoverlapping(part.as_ptr(), memory.cast::<u8>(), part.len());
                call!(
                    self.context,
                    cuMemcpyHtoDAsync_v2(to, memory.cast_const(), part.len(), self.stream.0)
                )?;
            }
            slot.done.record(self.stream)?;
            to += part.len() as u64;
        }
        Ok(())
    }

    /// Copies to the host and waits until the copy is complete.
    pub(super) fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        let mut slot = lock(&self.downloads);
        let slot = get_or_create(&mut slot, &self.context, SMALL)?;
        let is_small = to.len() <= SMALL;
        let target = if is_small { slot.memory.pointer.0 } else { to.as_mut_ptr().cast() };
        // SAFETY: the target has room for the bytes, and lives until the event has come.
        unsafe {
            call!(self.context, cuMemcpyDtoHAsync_v2(target, from, to.len(), self.stream.0))?;
        }
        slot.done.record(self.stream)?;
        slot.done.wait()?;
        if is_small {
            // SAFETY: the GPU has written so many bytes there.
            unsafe {
                ptr::copy_nonoverlapping(target.cast::<u8>(), to.as_mut_ptr(), to.len());
            }
        }
        Ok(())
    }
}
