//! Memory of a GPU, which is allocated and freed in the order of the stream.

use super::context::{Context, CudaHandle, call};
use crate::{Error, MemoryInfo, Result};
use cudarc::driver::sys::{
    CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED,
    CUmemPool_attribute::{
        self, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT,
        CU_MEMPOOL_ATTR_USED_MEM_CURRENT,
    },
    CUmemPoolHandle_st, CUstream_st,
};
use std::{ptr, sync::Arc};

/// `CUDA_ERROR_OUT_OF_MEMORY`.
const OUT_OF_MEMORY: u32 = 2;

/// Allocates the memory of a GPU.
pub(super) struct MemoryPool {
    context: Arc<Context>,
    stream: CudaHandle<CUstream_st>,
    /// The driver's memory pool. `None` on GPUs without pools, where freeing waits for the stream.
    pool: Option<CudaHandle<CUmemPoolHandle_st>>,
}

impl MemoryPool {
    /// Opens the GPU's default pool and makes it keep freed memory. Otherwise the pool would return all of it at each
    /// wait for the stream.
    pub(super) fn new(context: &Arc<Context>, stream: CudaHandle<CUstream_st>) -> Result<Self> {
        let mut memory = Self { context: Arc::clone(context), stream, pool: None };
        if context.attribute(CU_DEVICE_ATTRIBUTE_MEMORY_POOLS_SUPPORTED)? != 0 {
            let mut pool = ptr::null_mut();
            let mut threshold = u64::MAX;
            // SAFETY: the first writes a handle, and the second reads a u64, which is what the attribute is.
            unsafe {
                call!(context, cuDeviceGetDefaultMemPool(&raw mut pool, context.device))?;
                let threshold = (&raw mut threshold).cast();
                call!(
                    context,
                    cuMemPoolSetAttribute(pool, CU_MEMPOOL_ATTR_RELEASE_THRESHOLD, threshold)
                )?;
            }
            memory.pool = Some(CudaHandle(pool));
        }
        Ok(memory)
    }

    /// Allocates at least one byte, at an address that is a multiple of 256.
    pub(super) fn allocate(&self, bytes: usize) -> Result<u64> {
        if let Some(address) = self.try_allocate(bytes)? {
            return Ok(address);
        }
        // Freed memory may still be in use by queued work, or be fragmented in the pool.
        self.wait_and_trim()?;
        if let Some(address) = self.try_allocate(bytes)? {
            return Ok(address);
        }
        let device = self.context.name.clone();
        Err(Error::OutOfMemory { device, requested: bytes, free: self.info()?.free })
    }

    /// Allocates memory. Returns `None` if there is not enough.
    fn try_allocate(&self, bytes: usize) -> Result<Option<u64>> {
        let driver = self.context.driver;
        let mut address = 0;
        // SAFETY: each writes an address; the stream is of the current context.
        let (call, status) = unsafe {
            match self.pool {
                Some(_) => {
                    let status = (driver.cuMemAllocAsync)(&raw mut address, bytes, self.stream.0);
                    ("cuMemAllocAsync", status)
                }
                None => ("cuMemAlloc_v2", (driver.cuMemAlloc_v2)(&raw mut address, bytes)),
            }
        };
        if status == OUT_OF_MEMORY {
            return Ok(None);
        }
        self.context.check(call, status)?;
        Ok(Some(address))
    }

    /// Frees memory after the work that was queued so far.
    pub(super) fn free(&self, address: u64) -> Result<()> {
        // SAFETY: the caller has the address from `allocate`, and nobody uses it in work that is queued later.
        unsafe {
            match self.pool {
                Some(_) => call!(self.context, cuMemFreeAsync(address, self.stream.0)),
                None => {
                    call!(self.context, cuStreamSynchronize(self.stream.0))?;
                    call!(self.context, cuMemFree_v2(address))
                }
            }
        }
    }

    /// Returns the GPU's free memory, including what is free in the pool, and all its memory.
    pub(super) fn info(&self) -> Result<MemoryInfo> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: the call writes two numbers.
        unsafe { call!(self.context, cuMemGetInfo_v2(&raw mut free, &raw mut total)) }?;
        if let Some(pool) = self.pool {
            let reserved = self.attribute(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
            free +=
                reserved.saturating_sub(self.attribute(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?);
        }
        // The numbers are read one after another, and others may allocate in between.
        Ok(MemoryInfo { free: free.min(total), total })
    }

    fn attribute(
        &self,
        pool: CudaHandle<CUmemPoolHandle_st>,
        attribute: CUmemPool_attribute,
    ) -> Result<usize> {
        let mut value = 0u64;
        // SAFETY: the attributes that are asked for are u64.
        unsafe {
            call!(self.context, cuMemPoolGetAttribute(pool.0, attribute, (&raw mut value).cast()))
        }?;
        Ok(value as usize)
    }

    /// Waits for the queued work, then returns the pool's free memory to the driver.
    fn wait_and_trim(&self) -> Result<()> {
        // SAFETY: the handles live.
        unsafe {
            call!(self.context, cuStreamSynchronize(self.stream.0))?;
            match self.pool {
                Some(pool) => call!(self.context, cuMemPoolTrimTo(pool.0, 0)),
                None => Ok(()),
            }
        }
    }
}

impl Drop for MemoryPool {
    fn drop(&mut self) {
        // Returns the memory to other programs. On a device that has failed, this fails too.
        let _ = self.context.bind().and_then(|()| self.wait_and_trim());
    }
}
