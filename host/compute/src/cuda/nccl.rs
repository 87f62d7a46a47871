//! Communication between GPUs with NCCL. Each GPU of a group has a rank. Calls are queued on the rank's stream, and the
//! host does not wait for them.

use super::{
    CudaDevice,
    context::CudaHandle,
    functions::{self, Nccl, describe},
};
use crate::{Collective, ComputeDevice, DType, Error, Result, View};
use cudarc::nccl::sys::{
    CUstream_st, ncclComm,
    ncclDataType_t::{self, ncclBfloat16, ncclFloat16, ncclFloat32},
    ncclRedOp_t::ncclSum,
    ncclUniqueId,
};
use std::{
    any::Any,
    ffi::c_void,
    ptr,
    sync::{Arc, Mutex, PoisonError},
};

/// Makes an id by which the ranks of a new group find each other. One rank makes it and passes it to all others.
///
/// # Errors
/// [`Error::Missing`] if NCCL cannot be found.
pub fn new_id() -> Result<Vec<u8>> {
    let nccl = functions::nccl()?;
    let mut id = ncclUniqueId { internal: [0; 128] };
    // SAFETY: the call writes an id.
    match unsafe { (nccl.ncclGetUniqueId)(&raw mut id) } {
        0 => Ok(id.internal.map(|byte| byte as u8).to_vec()),
        status => Err(failed(nccl, "cuda", "ncclGetUniqueId", status)),
    }
}

fn failed(nccl: &Nccl, device: &str, call: &'static str, status: u32) -> Error {
    // SAFETY: the function is NCCL's.
    let reason = unsafe { describe(nccl.ncclGetErrorString, status) };
    Error::Failed { device: device.to_owned(), call, reason }
}

/// A group of GPUs, seen from one of its ranks.
pub struct NcclCommunicator {
    device: Arc<CudaDevice>,
    nccl: &'static Nccl,
    size: usize,
    /// Locked, because NCCL takes only one call at a time.
    handle: Mutex<CudaHandle<ncclComm>>,
}

impl NcclCommunicator {
    /// Joins the group `id` as rank `index` of `size`. Returns when all ranks have joined. Each rank has a GPU of its
    /// own.
    ///
    /// # Errors
    /// [`Error::Missing`] if NCCL cannot be found, and [`Error::Unsupported`] if the device is not a GPU.
    pub fn new(
        device: &Arc<dyn ComputeDevice>,
        id: &[u8],
        index: usize,
        size: usize,
    ) -> Result<Self> {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(device) as _;
        let Ok(device) = any.downcast::<CudaDevice>() else {
            return Err(Error::Unsupported(format!(
                "NCCL is for cards, not for {}",
                device.name()
            )));
        };
        let nccl = functions::nccl()?;
        device.bind()?;
        let id = <[u8; 128]>::try_from(id)
            .map_err(|_| Error::Bug(format!("NCCL's id has 128 bytes and not {}", id.len())))?;
        let id = ncclUniqueId { internal: id.map(|byte| byte as _) };
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes a handle; the GPU's context is current on this thread.
        let status =
            unsafe { (nccl.ncclCommInitRank)(&raw mut handle, size as i32, id, index as i32) };
        match status {
            0 => {
                let handle = Mutex::new(CudaHandle(handle));
                Ok(Self { device, nccl, size, handle })
            }
            status => Err(failed(nccl, device.name(), "ncclCommInitRank", status)),
        }
    }

    /// Returns true if all work that was queued so far is complete. The caller polls this up to a deadline: if a rank
    /// never makes its call, the streams of the others wait forever.
    ///
    /// # Errors
    /// [`Error::Failed`] if NCCL has detected a failure of the group, for example a broken connection.
    pub fn is_done(&self) -> Result<bool> {
        let mut failure = 0u32;
        self.call("ncclCommGetAsyncError", |handle, _| {
            // SAFETY: the call writes one number; the handle lives.
            unsafe { (self.nccl.ncclCommGetAsyncError)(handle, (&raw mut failure).cast()) }
        })?;
        match failure {
            0 => self.device.is_done(),
            status => Err(failed(self.nccl, self.device.name(), "ncclCommGetAsyncError", status)),
        }
    }

    fn call(
        &self,
        name: &'static str,
        call: impl FnOnce(*mut ncclComm, *mut CUstream_st) -> u32,
    ) -> Result<()> {
        self.device.bind()?;
        let handle = self.handle.lock().unwrap_or_else(PoisonError::into_inner);
        match call(handle.0, self.device.stream().0.cast()) {
            0 => Ok(()),
            status => Err(failed(self.nccl, self.device.name(), name, status)),
        }
    }
}

impl Collective for NcclCommunicator {
    fn all_reduce(&self, numbers: View<'_>, count: usize, dtype: DType) -> Result<()> {
        let at = numbers.checked_address("a sum over ranks", count * dtype.size())? as *mut c_void;
        self.call("ncclAllReduce", |handle, stream| {
            // SAFETY: there is so much memory at the address, and it stays until the stream has come by.
            unsafe {
                (self.nccl.ncclAllReduce)(at, at, count, data_type(dtype), ncclSum, handle, stream)
            }
        })
    }

    fn all_gather(&self, from: View<'_>, to: View<'_>, count: usize, dtype: DType) -> Result<()> {
        let bytes = count * dtype.size();
        let from = from.checked_address("a rank's numbers", bytes)? as *const c_void;
        let to = to.checked_address("all ranks' numbers", bytes * self.size)? as *mut c_void;
        self.call("ncclAllGather", |handle, stream| {
            // SAFETY: as above.
            unsafe { (self.nccl.ncclAllGather)(from, to, count, data_type(dtype), handle, stream) }
        })
    }

    fn send(&self, numbers: View<'_>, count: usize, dtype: DType, to: usize) -> Result<()> {
        let at = numbers.checked_address("what is sent", count * dtype.size())? as *const c_void;
        self.call("ncclSend", |handle, stream| {
            // SAFETY: as above.
            unsafe { (self.nccl.ncclSend)(at, count, data_type(dtype), to as i32, handle, stream) }
        })
    }

    fn recv(&self, numbers: View<'_>, count: usize, dtype: DType, from: usize) -> Result<()> {
        let at = numbers.checked_address("what is received", count * dtype.size())? as *mut c_void;
        self.call("ncclRecv", |handle, stream| {
            // SAFETY: as above.
            unsafe {
                (self.nccl.ncclRecv)(at, count, data_type(dtype), from as i32, handle, stream)
            }
        })
    }
}

impl Drop for NcclCommunicator {
    fn drop(&mut self) {
        // Aborted, because destroying would wait for ranks that may be gone. On a device that has failed, this fails
        // too.
        let _ = self.call("ncclCommAbort", |handle, _| {
            // SAFETY: nobody uses the handle after this.
            unsafe { (self.nccl.ncclCommAbort)(handle) }
        });
    }
}

fn data_type(dtype: DType) -> ncclDataType_t {
    match dtype {
        DType::F32 => ncclFloat32,
        DType::Bf16 => ncclBfloat16,
        DType::F16 => ncclFloat16,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;

    #[test]
    fn an_emulated_device_joins_no_group_of_cards() {
        let device = crate::emulated::open().unwrap();
        let error = NcclCommunicator::new(&device, &[0; 128], 0, 1).err().unwrap();
        assert!(matches!(error, Error::Unsupported(_)));
    }

    #[test]
    fn without_nccl_an_id_cannot_be_had() {
        if functions::nccl().is_err() {
            assert!(matches!(new_id(), Err(Error::Missing(_))));
        }
    }
}
