//! Memory of a card, allocated and freed in the order of the stream.

use super::context::{Context, Handle, call};
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

/// What allocates.
pub struct Memory {
    context: Arc<Context>,
    stream: Handle<CUstream_st>,
    /// None on cards without pools, where memory is freed after a wait for the stream.
    pool: Option<Handle<CUmemPoolHandle_st>>,
}

impl Memory {
    /// The card's default pool, which keeps what is freed: otherwise it gives everything back at each wait for the stream.
    pub fn new(context: &Arc<Context>, stream: Handle<CUstream_st>) -> Result<Self> {
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
            memory.pool = Some(Handle(pool));
        }
        Ok(memory)
    }

    /// At least one byte, 256 or more bytes away from any other memory.
    pub fn allocate(&self, bytes: usize) -> Result<u64> {
        if let Some(address) = self.try_allocate(bytes)? {
            return Ok(address);
        }
        // What is freed may still be queued, or lie in the pool in pieces.
        self.settle()?;
        if let Some(address) = self.try_allocate(bytes)? {
            return Ok(address);
        }
        let device = self.context.name.clone();
        Err(Error::OutOfMemory { device, asked: bytes, free: self.info()?.free })
    }

    /// None if there is not so much.
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

    /// Frees, behind the work that was queued so far.
    pub fn free(&self, address: u64) -> Result<()> {
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

    /// What is free, in the pool or out of it, and all there is.
    pub fn info(&self) -> Result<MemoryInfo> {
        let (mut free, mut total) = (0, 0);
        // SAFETY: it writes two numbers.
        unsafe { call!(self.context, cuMemGetInfo_v2(&raw mut free, &raw mut total)) }?;
        if let Some(pool) = self.pool {
            let reserved = self.told(pool, CU_MEMPOOL_ATTR_RESERVED_MEM_CURRENT)?;
            free += reserved.saturating_sub(self.told(pool, CU_MEMPOOL_ATTR_USED_MEM_CURRENT)?);
        }
        // The driver is asked one number after another, and others allocate meanwhile.
        Ok(MemoryInfo { free: free.min(total), total })
    }

    fn told(
        &self,
        pool: Handle<CUmemPoolHandle_st>,
        attribute: CUmemPool_attribute,
    ) -> Result<usize> {
        let mut value = 0u64;
        // SAFETY: the attributes that are asked for are u64.
        unsafe {
            call!(self.context, cuMemPoolGetAttribute(pool.0, attribute, (&raw mut value).cast()))
        }?;
        Ok(value as usize)
    }

    /// Waits for what is queued, and lets the pool give back what is free in it.
    fn settle(&self) -> Result<()> {
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

impl Drop for Memory {
    fn drop(&mut self) {
        // Other programs can have it now. A device that has failed cannot even give back.
        let _ = self.context.bind().and_then(|()| self.settle());
    }
}
