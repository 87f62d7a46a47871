//! Copies between the host's memory and a card's through page-locked memory, so that the card reads and writes it while the
//! host goes on.
//!
//! ```text
//! upload: host ──copied──► a slot of a ring ──queued──► card       a slot is used again when its event has come
//! ```

use super::{
    context::{Context, Handle, call},
    event::Event,
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

/// Up to this many bytes are small: ids, positions, tables.
const SMALL: usize = 64 << 10;

/// Slots of small uploads: a few steps' worth, so that none waits.
const SMALL_SLOTS: usize = 32;

/// Bytes of a large slot: with several, the host fills one while the card reads another.
const LARGE: usize = 16 << 20;

/// Large slots: as many threads can fill one each.
const LARGE_SLOTS: usize = 4;

/// Page-locked memory.
struct Pinned {
    context: Arc<Context>,
    pointer: Handle<c_void>,
}

impl Pinned {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Self> {
        let mut pointer = ptr::null_mut();
        // SAFETY: it writes an address.
        unsafe { call!(context, cuMemHostAlloc(&raw mut pointer, bytes, 0)) }?;
        Ok(Self { context: Arc::clone(context), pointer: Handle(pointer) })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // A device that has failed cannot even give back.
        let _ = self.context.bind();
        // SAFETY: the device has waited for all work before it drops this.
        let _ = unsafe { call!(self.context, cuMemFreeHost(self.pointer.0)) };
    }
}

/// Page-locked memory, and when the card is done with it.
struct Slot {
    memory: Pinned,
    done: Event,
}

impl Slot {
    fn new(context: &Arc<Context>, bytes: usize) -> Result<Self> {
        Ok(Self { memory: Pinned::new(context, bytes)?, done: Event::new(context)? })
    }
}

/// Slots that are used in turn, each made when it is first used.
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
        locked(&self.slots[index])
    }
}

fn locked(slot: &Mutex<Option<Slot>>) -> MutexGuard<'_, Option<Slot>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The slot, made if it is not there yet.
fn made<'a>(
    slot: &'a mut Option<Slot>,
    context: &Arc<Context>,
    bytes: usize,
) -> Result<&'a mut Slot> {
    match slot {
        Some(slot) => Ok(slot),
        None => Ok(slot.insert(Slot::new(context, bytes)?)),
    }
}

/// What copies.
pub struct Staging {
    context: Arc<Context>,
    stream: Handle<CUstream_st>,
    small: Ring,
    large: Ring,
    downloads: Mutex<Option<Slot>>,
}

impl Staging {
    /// Nothing is allocated before it is needed.
    pub fn new(context: &Arc<Context>, stream: Handle<CUstream_st>) -> Self {
        Self {
            context: Arc::clone(context),
            stream,
            small: Ring::new(SMALL_SLOTS, SMALL),
            large: Ring::new(LARGE_SLOTS, LARGE),
            downloads: Mutex::default(),
        }
    }

    /// Queues a copy to the card. `from` may be reused when it returns. Several threads copy at the same time.
    pub fn upload(&self, from: &[u8], to: u64) -> Result<()> {
        let ring = if from.len() <= SMALL { &self.small } else { &self.large };
        let mut to = to;
        for part in from.chunks(ring.bytes) {
            let mut slot = ring.next();
            let slot = made(&mut slot, &self.context, ring.bytes)?;
            slot.done.wait()?;
            let memory = slot.memory.pointer.0;
            // SAFETY: the slot has room for the part, and the card has read what was in it before; the caller's address has
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

    /// Copies to the host, and waits for it.
    pub fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        let mut slot = locked(&self.downloads);
        let slot = made(&mut slot, &self.context, SMALL)?;
        let is_small = to.len() <= SMALL;
        let target = if is_small { slot.memory.pointer.0 } else { to.as_mut_ptr().cast() };
        // SAFETY: the target has room for the bytes, and lives until the event has come.
        unsafe {
            call!(self.context, cuMemcpyDtoHAsync_v2(target, from, to.len(), self.stream.0))?;
        }
        slot.done.record(self.stream)?;
        slot.done.wait()?;
        if is_small {
            // SAFETY: the card has written so many bytes there.
            unsafe {
                ptr::copy_nonoverlapping(target.cast::<u8>(), to.as_mut_ptr(), to.len());
            }
        }
        Ok(())
    }
}
