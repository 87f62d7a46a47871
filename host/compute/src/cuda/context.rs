//! A card's primary context: what is common to all that use the card in this process.

use super::functions::{Driver, driver};
use crate::{Error, Result};
use cudarc::driver::sys::{CUctx_st, CUdevice, CUdevice_attribute, CUuuid};
use std::{cell::Cell, fmt::Write, ptr};

/// `CUDA_ERROR_NO_DEVICE`, also where `CUDA_VISIBLE_DEVICES` hides all there are.
const NO_DEVICE: u32 = 100;

/// A handle of NVIDIA's, which any thread may use.
pub struct Handle<T>(pub *mut T);

impl<T> Clone for Handle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Handle<T> {}

// SAFETY: the driver and cuBLASLt are made to be called from several threads; NCCL's handle is locked by its owner.
unsafe impl<T> Send for Handle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Handle<T> {}

/// Calls a function of the driver's, and turns its status into a result.
macro_rules! call {
    ($context:expr, $name:ident($($argument:expr),* $(,)?)) => {
        $context.check(stringify!($name), ($context.driver.$name)($($argument),*))
    };
}
pub(super) use call;

/// A card's context. It is never given back: threads may have it as their current one.
pub struct Context {
    /// What is called.
    pub driver: &'static Driver,
    /// `cuda:0`.
    pub name: String,
    /// The driver's own number.
    pub device: CUdevice,
    handle: Handle<CUctx_st>,
}

thread_local! {
    /// The context that this thread has as its current one, as far as this crate has set it.
    static CURRENT: Cell<*mut CUctx_st> = const { Cell::new(ptr::null_mut()) };
}

impl Context {
    /// That of the card with an ordinal.
    pub fn new(ordinal: usize) -> Result<Self> {
        let (driver, device) = find(ordinal)?;
        let mut context =
            Self { driver, name: name(ordinal), device, handle: Handle(ptr::null_mut()) };
        let mut handle = ptr::null_mut();
        // SAFETY: it writes a handle.
        unsafe { call!(context, cuDevicePrimaryCtxRetain(&raw mut handle, device)) }?;
        context.handle.0 = handle;
        context.bind()?;
        Ok(context)
    }

    /// Makes it this thread's current one, without a call if it is already.
    pub fn bind(&self) -> Result<()> {
        if CURRENT.get() != self.handle.0 {
            // SAFETY: the context is never given back.
            unsafe { call!(self, cuCtxSetCurrent(self.handle.0)) }?;
            CURRENT.set(self.handle.0);
        }
        Ok(())
    }

    /// What a call's status means.
    pub fn check(&self, call: &'static str, status: u32) -> Result<()> {
        match status {
            0 => Ok(()),
            status => Err(self.failed(call, self.driver.described(status))),
        }
    }

    /// A call that failed.
    pub fn failed(&self, call: &'static str, reason: String) -> Error {
        Error::Failed { device: self.name.clone(), call, reason }
    }

    /// A number that the driver tells of the card.
    pub fn attribute(&self, attribute: CUdevice_attribute) -> Result<usize> {
        let mut value = 0;
        // SAFETY: it writes one number.
        unsafe { call!(self, cuDeviceGetAttribute(&raw mut value, attribute, self.device)) }?;
        Ok(usize::try_from(value).unwrap_or(0))
    }
}

/// How many cards this process is shown.
///
/// # Errors
/// [`Error::Missing`] without a driver, or if it does not work.
pub fn cards() -> Result<usize> {
    let driver = driver()?;
    let problem = |call: &str, status: u32| {
        let (path, reason) = (driver.path.display(), driver.described(status));
        Error::Missing(format!(
            "`--device cuda` needs a driver that works, and {call} of {path} says {reason}: see what nvidia-smi says"
        ))
    };
    // SAFETY: flags must be 0; to call it again is allowed.
    match unsafe { (driver.cuInit)(0) } {
        0 => {}
        NO_DEVICE => return Ok(0),
        status => return Err(problem("cuInit", status)),
    }
    let mut count = 0;
    // SAFETY: it writes one number.
    match unsafe { (driver.cuDeviceGetCount)(&raw mut count) } {
        0 => Ok(usize::try_from(count).unwrap_or(0)),
        status => Err(problem("cuDeviceGetCount", status)),
    }
}

/// The driver, and its own number of a card.
fn find(ordinal: usize) -> Result<(&'static Driver, CUdevice)> {
    let (count, driver) = (cards()?, driver()?);
    let missing = || {
        Error::Missing(format!(
            "there is no {}: CUDA shows {count} to this process, and CUDA_VISIBLE_DEVICES says which; see nvidia-smi",
            name(ordinal)
        ))
    };
    if ordinal >= count {
        return Err(missing());
    }
    let mut device = 0;
    let number = i32::try_from(ordinal).map_err(|_| missing())?;
    // SAFETY: it writes one number.
    match unsafe { (driver.cuDeviceGet)(&raw mut device, number) } {
        0 => Ok((driver, device)),
        status => Err(Error::Failed {
            device: name(ordinal),
            call: "cuDeviceGet",
            reason: driver.described(status),
        }),
    }
}

/// The digits of a card's UUID in groups, as RFC 9562 (section 4) writes them: those of a MIG instance if that is what CUDA
/// shows.
///
/// # Errors
/// [`Error::Missing`] without a driver or the card.
pub fn uuid(ordinal: usize) -> Result<String> {
    let (driver, device) = find(ordinal)?;
    let mut uuid = CUuuid { bytes: [0; 16] };
    // SAFETY: it writes a UUID.
    match unsafe { (driver.cuDeviceGetUuid_v2)(&raw mut uuid, device) } {
        0 => Ok(grouped(uuid.bytes.map(|byte| byte as u8))),
        status => Err(Error::Failed {
            device: name(ordinal),
            call: "cuDeviceGetUuid_v2",
            reason: driver.described(status),
        }),
    }
}

fn name(ordinal: usize) -> String {
    format!("cuda:{ordinal}")
}

fn grouped(octets: [u8; 16]) -> String {
    let mut text = String::with_capacity(36);
    for (index, octet) in octets.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        // Writing to a string does not fail.
        let _ = write!(text, "{octet:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of RFC 9562, section 4.
    #[test]
    fn a_uuid_is_written_as_nvml_does() {
        let octets = 0xf81d_4fae_7dec_11d0_a765_00a0_c91e_6bf6_u128.to_be_bytes();
        assert_eq!(grouped(octets), "f81d4fae-7dec-11d0-a765-00a0c91e6bf6");
    }
}
