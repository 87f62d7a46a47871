//! The memory of the emulated device, which is memory of the host.

use super::NAME;
use crate::{Error, MemoryInfo, Result};
use std::alloc::{Layout, alloc, dealloc};
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

/// Alignment of addresses, in bytes: that of a GPU's allocations.
const ALIGNMENT: usize = 256;

/// The allocations of a device: size in bytes by address. They are freed on drop.
#[derive(Default)]
pub(super) struct Allocations {
    allocations: RwLock<BTreeMap<u64, usize>>,
}

impl Allocations {
    pub(super) fn allocate(&self, bytes: usize) -> Result<u64> {
        let out_of_memory =
            |free| Error::OutOfMemory { device: NAME.to_owned(), requested: bytes, free };
        let free = info()?.free;
        let layout = layout(bytes).map_err(|_| out_of_memory(free))?;
        if bytes > free {
            return Err(out_of_memory(free));
        }
        // SAFETY: the layout has at least one byte.
        let address = unsafe { alloc(layout) } as u64;
        if address == 0 {
            return Err(out_of_memory(free));
        }
        self.allocations.write().unwrap_or_else(PoisonError::into_inner).insert(address, bytes);
        Ok(address)
    }

    pub(super) fn free(&self, address: u64, bytes: usize) -> Result<()> {
        let mut allocations = self.allocations.write().unwrap_or_else(PoisonError::into_inner);
        if allocations.get(&address) != Some(&bytes) {
            return Err(Error::Bug(format!("{bytes} bytes at {address:#x} were never allocated")));
        }
        allocations.remove(&address);
        let layout = layout(bytes).map_err(|error| Error::Bug(error.to_string()))?;
        // SAFETY: it was allocated with this layout and not freed, for it was in the table.
        unsafe { dealloc(address as *mut u8, layout) };
        Ok(())
    }

    /// Checks that bytes belong to one allocation.
    ///
    /// # Errors
    /// [`Error::Bug`] otherwise.
    pub(super) fn check(&self, address: u64, bytes: usize) -> Result<()> {
        let allocations = self.allocations.read().unwrap_or_else(PoisonError::into_inner);
        let end = address.checked_add(bytes as u64);
        let inside = allocations
            .range(..=address)
            .next_back()
            .is_some_and(|(start, size)| end.is_some_and(|end| end <= start + *size as u64));
        match inside || bytes == 0 {
            true => Ok(()),
            false => Err(Error::Bug(format!(
                "{bytes} bytes at {address:#x} are not in memory of the emulated device"
            ))),
        }
    }

    pub(super) fn write(&self, from: &[u8], to: u64) -> Result<()> {
        self.check(to, from.len())?;
        // SAFETY: the bytes are allocated, and Rust has no reference to them.
        unsafe { std::ptr::copy(from.as_ptr(), to as *mut u8, from.len()) };
        Ok(())
    }

    pub(super) fn read(&self, from: u64, to: &mut [u8]) -> Result<()> {
        self.check(from, to.len())?;
        // SAFETY: the bytes are allocated, and Rust has no reference to them.
        unsafe { std::ptr::copy(from as *const u8, to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    pub(super) fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        self.check(from, bytes)?;
        self.check(to, bytes)?;
        // SAFETY: both are allocated, and may overlap.
        unsafe { std::ptr::copy(from as *const u8, to as *mut u8, bytes) };
        Ok(())
    }

    pub(super) fn clear(&self, at: u64, bytes: usize) -> Result<()> {
        self.check(at, bytes)?;
        // SAFETY: the bytes are allocated.
        unsafe { std::ptr::write_bytes(at as *mut u8, 0, bytes) };
        Ok(())
    }
}

impl Drop for Allocations {
    fn drop(&mut self) {
        let allocations = self.allocations.get_mut().unwrap_or_else(PoisonError::into_inner);
        for (&address, &bytes) in &*allocations {
            if let Ok(layout) = layout(bytes) {
                // SAFETY: it was allocated with this layout and not freed, for it is in the table.
                unsafe { dealloc(address as *mut u8, layout) };
            }
        }
    }
}

fn layout(bytes: usize) -> std::result::Result<Layout, std::alloc::LayoutError> {
    Layout::from_size_align(bytes.max(1), ALIGNMENT)
}

/// Returns the machine's memory that is available to programs, and all of it.
pub(super) fn info() -> Result<MemoryInfo> {
    const PATH: &str = "/proc/meminfo";
    let failed = |reason: String| Error::Failed { device: NAME.to_owned(), call: PATH, reason };
    let text = std::fs::read_to_string(PATH).map_err(|error| failed(error.to_string()))?;
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let kibibytes =
            line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
        kibibytes
            .map(|kibibytes| kibibytes << 10)
            .ok_or_else(|| failed(format!("it has no {name}")))
    };
    Ok(MemoryInfo { free: bytes("MemAvailable")?, total: bytes("MemTotal")? })
}
