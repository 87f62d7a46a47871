//! A GPU as a [`ComputeDevice`].

use super::{
    bias,
    context::{Context, CudaHandle, call},
    cublaslt::CublasLt,
    event::CudaEvent,
    functions::nvrtc,
    memory_pool::MemoryPool,
    modules::LoadedModules,
    nvrtc::architecture,
    staging::StagingBuffers,
};
use crate::{
    ComputeDevice, Counts, DType, Error, Kernel, KernelParameters, KernelSource, LaunchGrid,
    MatrixProduct, MemoryInfo, Result,
};
use cudarc::driver::sys::{
    CUdevice_attribute::{
        CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
        CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT,
    },
    CUstream_st,
};
use std::{
    ptr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// `CU_STREAM_NON_BLOCKING`: the stream does not wait for the default stream.
const NON_BLOCKING: u32 = 1;

/// `CUDA_ERROR_NOT_READY`.
const NOT_READY: u32 = 600;

/// A GPU with a stream of its own.
pub(super) struct CudaDevice {
    // In the order in which they are dropped: all others need the stream.
    modules: LoadedModules,
    cublaslt: CublasLt,
    staging: StagingBuffers,
    memory: Arc<MemoryPool>,
    stream: CudaStream,
    context: Arc<Context>,
    multiprocessors: usize,
    launches: AtomicU64,
    allocations: AtomicU64,
    uploads: AtomicU64,
    downloads: AtomicU64,
    synchronizations: AtomicU64,
}

impl CudaDevice {
    /// Opens a GPU. `ordinal` is CUDA's number of the GPU in this process.
    ///
    /// # Errors
    /// [`Error::Missing`] names the library or GPU that is missing, where llem looked for it and what to install.
    pub(super) fn open(ordinal: usize) -> Result<Arc<Self>> {
        let context = Arc::new(Context::new(ordinal)?);
        // cuBLASLt finds NVRTC if it is loaded already. Without NVRTC, kernels may still be in the cache.
        if let Err(error) = nvrtc() {
            tracing::debug!("{error}");
        }
        let stream = CudaStream::new(&context)?;
        let memory = Arc::new(MemoryPool::new(&context, stream.handle)?);
        let capability = (
            context.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
            context.attribute(CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
        );
        Ok(Arc::new(Self {
            modules: LoadedModules::new(&context, architecture(capability))?,
            cublaslt: CublasLt::new(&context, &memory)?,
            staging: StagingBuffers::new(&context, stream.handle),
            memory,
            stream,
            multiprocessors: context.attribute(CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?,
            context,
            launches: AtomicU64::default(),
            allocations: AtomicU64::default(),
            uploads: AtomicU64::default(),
            downloads: AtomicU64::default(),
            synchronizations: AtomicU64::default(),
        }))
    }

    /// Returns true if all work that was queued so far is complete.
    pub(super) fn is_done(&self) -> Result<bool> {
        self.context.bind()?;
        // SAFETY: the stream lives as long as the device.
        match unsafe { (self.context.driver.cuStreamQuery)(self.stream.handle.0) } {
            NOT_READY => Ok(false),
            status => self.context.check("cuStreamQuery", status).map(|()| true),
        }
    }

    /// Makes the GPU's context current on this thread and returns it.
    pub(super) fn bind(&self) -> Result<&Arc<Context>> {
        self.context.bind()?;
        Ok(&self.context)
    }

    /// Returns the handle of the stream.
    pub(super) fn stream(&self) -> CudaHandle<CUstream_st> {
        self.stream.handle
    }

    /// Queues an event that records the time after the work that was queued so far.
    pub(super) fn timed_event(&self) -> Result<CudaEvent> {
        let event = CudaEvent::with_timing(self.bind()?)?;
        event.record(self.stream.handle)?;
        Ok(event)
    }
}

impl ComputeDevice for CudaDevice {
    fn name(&self) -> &str {
        &self.context.name
    }

    fn is_real(&self) -> bool {
        true
    }

    fn multiprocessors(&self) -> usize {
        self.multiprocessors
    }

    fn memory(&self) -> Result<MemoryInfo> {
        self.context.bind()?;
        self.memory.info()
    }

    fn allocate(&self, bytes: usize) -> Result<u64> {
        self.context.bind()?;
        self.allocations.fetch_add(1, Relaxed);
        self.memory.allocate(bytes)
    }

    fn free(&self, address: u64, _: usize) {
        if let Err(error) = self.context.bind().and_then(|()| self.memory.free(address)) {
            tracing::debug!("{error}");
        }
    }

    fn upload(&self, from: &[u8], to: u64) -> Result<()> {
        self.context.bind()?;
        self.uploads.fetch_add(1, Relaxed);
        self.staging.upload(from, to)
    }

    fn download(&self, from: u64, to: &mut [u8]) -> Result<()> {
        self.context.bind()?;
        self.downloads.fetch_add(1, Relaxed);
        match to.is_empty() {
            true => Ok(()),
            false => self.staging.download(from, to),
        }
    }

    fn copy(&self, from: u64, to: u64, bytes: usize) -> Result<()> {
        let context = self.bind()?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the caller's addresses have room for the bytes.
        unsafe { call!(context, cuMemcpyDtoDAsync_v2(to, from, bytes, self.stream.handle.0)) }
    }

    fn clear(&self, at: u64, bytes: usize) -> Result<()> {
        let context = self.bind()?;
        if bytes == 0 {
            return Ok(());
        }
        // SAFETY: the caller's address has room for the bytes.
        unsafe { call!(context, cuMemsetD8Async(at, 0, bytes, self.stream.handle.0)) }
    }

    fn kernel(&self, source: &KernelSource, name: &str) -> Result<Kernel> {
        self.context.bind()?;
        self.modules.kernel(source, name)
    }

    unsafe fn launch(
        &self,
        kernel: Kernel,
        grid: LaunchGrid,
        parameters: KernelParameters<'_>,
    ) -> Result<()> {
        self.context.bind()?;
        self.launches.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps this function's contract.
        unsafe { self.modules.launch(self.stream.handle, kernel, grid, parameters) }
    }

    unsafe fn product(&self, product: &MatrixProduct) -> Result<()> {
        let MatrixProduct { rows, inputs, outputs, y_stride, dtype, y_dtype, .. } = *product;
        if y_stride < outputs || inputs == 0 || !(y_dtype == dtype || y_dtype == DType::F32) {
            return Err(Error::Bug(format!("there is no such product: {product:?}")));
        }
        if rows == 0 || outputs == 0 {
            return Ok(());
        }
        self.context.bind()?;
        self.launches.fetch_add(1, Relaxed);
        // SAFETY: the caller keeps this function's contract.
        unsafe {
            match self.cublaslt.run(self.stream.handle, product)? {
                true => bias::add(self, product),
                false => Ok(()),
            }
        }
    }

    fn synchronize(&self) -> Result<()> {
        let context = self.bind()?;
        self.synchronizations.fetch_add(1, Relaxed);
        // SAFETY: the stream lives as long as the device.
        unsafe { call!(context, cuStreamSynchronize(self.stream.handle.0)) }
    }

    fn counts(&self) -> Counts {
        Counts {
            launches: self.launches.load(Relaxed),
            allocations: self.allocations.load(Relaxed),
            uploads: self.uploads.load(Relaxed),
            downloads: self.downloads.load(Relaxed),
            synchronizations: self.synchronizations.load(Relaxed),
        }
    }
}

impl Drop for CudaDevice {
    fn drop(&mut self) {
        // On a device that has failed, waiting fails too.
        let _ = self.synchronize();
    }
}

/// A stream of the driver. It is destroyed on drop.
struct CudaStream {
    context: Arc<Context>,
    handle: CudaHandle<CUstream_st>,
}

impl CudaStream {
    fn new(context: &Arc<Context>) -> Result<Self> {
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes a handle.
        unsafe { call!(context, cuStreamCreate(&raw mut handle, NON_BLOCKING)) }?;
        Ok(Self { context: Arc::clone(context), handle: CudaHandle(handle) })
    }
}

impl Drop for CudaStream {
    fn drop(&mut self) {
        let _ = self.context.bind();
        // SAFETY: what used the stream has been dropped before.
        let _ = unsafe { call!(self.context, cuStreamDestroy_v2(self.handle.0)) };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::super::{count, load_libraries, open};
    use crate::Error;

    #[test]
    fn without_a_driver_every_way_to_a_card_says_what_to_install() {
        let driver = &load_libraries()[0];
        if driver.path.is_ok() {
            return;
        }
        assert_eq!(count(), 0);
        for error in [open(0).err().unwrap(), driver.path.clone().unwrap_err()] {
            assert!(matches!(error, Error::Missing(_)));
            let sentence = error.to_string();
            for part in
                ["`--device cuda` needs libcuda.so.1", "looked for", "install NVIDIA's driver"]
            {
                assert!(sentence.contains(part), "{sentence}");
            }
        }
    }
}
