//! The primary context of a GPU, which everything in this process that uses the GPU shares.

use super::functions::{Driver, driver};
use crate::{Error, Result};
use cudarc::driver::sys::{CUctx_st, CUdevice, CUdevice_attribute};
use std::{cell::Cell, ptr};

/// `CUDA_ERROR_NO_DEVICE`. Drivers also return it if `CUDA_VISIBLE_DEVICES` hides all GPUs.
const NO_DEVICE: u32 = 100;

/// A handle of an NVIDIA library, usable from any thread.
pub(super) struct CudaHandle<T>(pub *mut T);

impl<T> Clone for CudaHandle<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CudaHandle<T> {}

// SAFETY: the driver and cuBLASLt are made to be called from several threads; NCCL's handle is locked by its owner.
unsafe impl<T> Send for CudaHandle<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for CudaHandle<T> {}

/// Calls a function of the driver and turns its status into a `Result`.
macro_rules! call {
    ($context:expr, $name:ident($($argument:expr),* $(,)?)) => {
        $context.check(stringify!($name), ($context.driver.$name)($($argument),*))
    };
}
pub(super) use call;

/// The primary context of a GPU. It is never released, because threads may have it as their current context.
pub(super) struct Context {
    /// The driver's functions.
    pub driver: &'static Driver,
    /// Name of the device, for example `cuda:0`.
    pub name: String,
    /// The driver's handle of the GPU.
    pub device: CUdevice,
    handle: CudaHandle<CUctx_st>,
}

thread_local! {
    /// The context that this thread has as its current one, as far as this crate has set it.
    static CURRENT: Cell<*mut CUctx_st> = const { Cell::new(ptr::null_mut()) };
}

impl Context {
    /// Opens the context of a GPU. `ordinal` is CUDA's number of the GPU in this process.
    pub(super) fn new(ordinal: usize) -> Result<Self> {
        let (driver, device) = find_device(ordinal)?;
        let mut context =
            Self { driver, name: name(ordinal), device, handle: CudaHandle(ptr::null_mut()) };
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes a handle.
        unsafe { call!(context, cuDevicePrimaryCtxRetain(&raw mut handle, device)) }?;
        context.handle.0 = handle;
        context.bind()?;
        Ok(context)
    }

    /// Makes this the current context of the thread. Without effect, and without a call to the driver, if it is
    /// already.
    pub(super) fn bind(&self) -> Result<()> {
        if CURRENT.get() != self.handle.0 {
            // SAFETY: the context is never given back.
            unsafe { call!(self, cuCtxSetCurrent(self.handle.0)) }?;
            CURRENT.set(self.handle.0);
        }
        Ok(())
    }

    /// Returns an error if the status of a call is not 0.
    pub(super) fn check(&self, call: &'static str, status: u32) -> Result<()> {
        match status {
            0 => Ok(()),
            status => Err(self.failed(call, self.driver.describe(status))),
        }
    }

    /// Returns the error of a failed call.
    pub(super) fn failed(&self, call: &'static str, reason: String) -> Error {
        Error::Failed { device: self.name.clone(), call, reason }
    }

    /// Reads an attribute of the GPU. A negative value counts as 0.
    pub(super) fn attribute(&self, attribute: CUdevice_attribute) -> Result<usize> {
        let mut value = 0;
        // SAFETY: the call writes one number.
        unsafe { call!(self, cuDeviceGetAttribute(&raw mut value, attribute, self.device)) }?;
        Ok(usize::try_from(value).unwrap_or(0))
    }
}

/// Returns the number of GPUs that this process can see.
///
/// # Errors
/// [`Error::Missing`] if there is no driver, or if it does not work.
pub(super) fn device_count() -> Result<usize> {
    let driver = driver()?;
    let problem = |call: &str, status: u32| {
        let (path, reason) = (driver.path.display(), driver.describe(status));
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
    // SAFETY: the call writes one number.
    match unsafe { (driver.cuDeviceGetCount)(&raw mut count) } {
        0 => Ok(usize::try_from(count).unwrap_or(0)),
        status => Err(problem("cuDeviceGetCount", status)),
    }
}

/// Returns the driver's functions and its handle of a GPU.
fn find_device(ordinal: usize) -> Result<(&'static Driver, CUdevice)> {
    let (count, driver) = (device_count()?, driver()?);
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
    // SAFETY: the call writes one number.
    match unsafe { (driver.cuDeviceGet)(&raw mut device, number) } {
        0 => Ok((driver, device)),
        status => Err(Error::Failed {
            device: name(ordinal),
            call: "cuDeviceGet",
            reason: driver.describe(status),
        }),
    }
}

fn name(ordinal: usize) -> String {
    format!("cuda:{ordinal}")
}
