//! Kernels that are loaded on a GPU.

use super::{
    context::{Context, CudaHandle, call},
    kernel_cache::{CompiledKernels, KernelCache},
};
use crate::{Error, Kernel, KernelParameters, KernelSource, LaunchGrid, Result};
use cudarc::driver::sys::{
    CUdevice_attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN,
    CUfunc_st,
    CUfunction_attribute::{
        CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES,
    },
    CUmod_st, CUstream_st,
};
use std::{
    collections::{HashMap, hash_map::Entry},
    ffi::CString,
    ptr,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

/// `CUDA_ERROR_NOT_FOUND`.
const NOT_FOUND: u32 = 500;

/// A kernel that is ready to be launched.
struct KernelFunction {
    handle: CudaHandle<CUfunc_st>,
    /// Size of the kernel's parameter, in bytes. `None` if the driver is too old to tell it.
    parameter: Option<usize>,
    /// `FILE::KERNEL`, for errors.
    name: String,
}

/// The loaded machine code of a source, and those of its kernels that were looked up.
struct LoadedModule {
    handle: CudaHandle<CUmod_st>,
    kernels: HashMap<String, Kernel>,
}

/// All kernels that are loaded on a GPU. They are unloaded on drop.
pub(super) struct LoadedModules {
    context: Arc<Context>,
    cache: KernelCache,
    most_shared: usize,
    modules: Mutex<HashMap<KernelSource, LoadedModule>>,
    functions: RwLock<Vec<KernelFunction>>,
}

impl LoadedModules {
    /// Starts without any kernel. `architecture` is the GPU's, as NVRTC names it.
    pub(super) fn new(context: &Arc<Context>, architecture: String) -> Result<Self> {
        let most_shared =
            context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        Ok(Self {
            context: Arc::clone(context),
            cache: KernelCache::new(architecture),
            most_shared,
            modules: Mutex::default(),
            functions: RwLock::default(),
        })
    }

    /// Returns a kernel of a source. Loads the source and looks up the kernel on the first call.
    pub(super) fn kernel(&self, source: &KernelSource, name: &str) -> Result<Kernel> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.entry(source.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(LoadedModule { handle: self.module(source)?, kernels: HashMap::new() })
            }
        };
        if let Some(kernel) = module.kernels.get(name) {
            return Ok(*kernel);
        }
        let function = self.function(module.handle, source, name)?;
        let mut functions = self.functions.write().unwrap_or_else(PoisonError::into_inner);
        let kernel = Kernel(functions.len());
        functions.push(function);
        module.kernels.insert(name.to_owned(), kernel);
        Ok(kernel)
    }

    /// Loads the machine code of a source. If the driver refuses what the cache holds, the source is compiled again:
    /// the cached code may come from a compiler that is too new for the driver.
    fn module(&self, source: &KernelSource) -> Result<CudaHandle<CUmod_st>> {
        let CompiledKernels { cubin, is_cached } = self.cache.get(source)?;
        match self.load(&cubin) {
            Err(_) if is_cached => self.load(&self.cache.compile(source)?.cubin),
            loaded => loaded,
        }
    }

    fn load(&self, cubin: &[u8]) -> Result<CudaHandle<CUmod_st>> {
        let mut module = ptr::null_mut();
        // SAFETY: the image is whole and NVRTC's: its header tells the driver its size.
        unsafe { call!(self.context, cuModuleLoadData(&raw mut module, cubin.as_ptr().cast())) }?;
        Ok(CudaHandle(module))
    }

    fn function(
        &self,
        module: CudaHandle<CUmod_st>,
        source: &KernelSource,
        name: &str,
    ) -> Result<KernelFunction> {
        let (context, driver) = (&self.context, self.context.driver);
        let full_name = format!("{}::{name}", source.file);
        let absent = || Error::Bug(format!("there is no kernel {full_name}"));
        let text = CString::new(name).map_err(|_| absent())?;
        let mut handle = ptr::null_mut();
        // SAFETY: the call writes a handle; the module lives as long as the device.
        match unsafe { (driver.cuModuleGetFunction)(&raw mut handle, module.0, text.as_ptr()) } {
            NOT_FOUND => return Err(absent()),
            status => context.check("cuModuleGetFunction", status)?,
        }
        // Lets the kernel use all shared memory that a block can have, except what the kernel declares itself.
        let mut declared = 0;
        // SAFETY: the first writes a number; the function is of this context.
        unsafe {
            let attribute = CU_FUNC_ATTRIBUTE_SHARED_SIZE_BYTES;
            call!(context, cuFuncGetAttribute(&raw mut declared, attribute, handle))?;
            let most = self.most_shared as i32 - declared;
            let attribute = CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            call!(context, cuFuncSetAttribute(handle, attribute, most))?;
        }
        let (mut offset, mut bytes) = (0, 0);
        let parameter = driver.cuFuncGetParamInfo.and_then(|info| {
            // SAFETY: the call writes two numbers.
            let status = unsafe { info(handle, 0, &raw mut offset, &raw mut bytes) };
            (status == 0).then_some(bytes)
        });
        Ok(KernelFunction { handle: CudaHandle(handle), parameter, name: full_name })
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// The contract of [`ComputeDevice::launch`](crate::ComputeDevice::launch).
    pub(super) unsafe fn launch(
        &self,
        stream: CudaHandle<CUstream_st>,
        kernel: Kernel,
        grid: LaunchGrid,
        parameters: KernelParameters<'_>,
    ) -> Result<()> {
        let functions = self.functions.read().unwrap_or_else(PoisonError::into_inner);
        let Some(function) = functions.get(kernel.0) else {
            return Err(Error::Bug(format!("{kernel:?} is of another device")));
        };
        if let Some(bytes) = function.parameter
            && bytes != parameters.bytes
        {
            return Err(Error::Bug(format!(
                "{} takes {bytes} bytes and is given {}",
                function.name, parameters.bytes
            )));
        }
        let LaunchGrid { blocks: [x, y, z], threads, shared } = grid;
        let mut list = [parameters.pointer.cast_mut()];
        // SAFETY: the caller answers for the parameters, and the driver copies them before it returns.
        let status = unsafe {
            (self.context.driver.cuLaunchKernel)(
                function.handle.0,
                x,
                y,
                z,
                threads,
                1,
                1,
                shared,
                stream.0,
                list.as_mut_ptr(),
                ptr::null_mut(),
            )
        };
        match status {
            0 => Ok(()),
            status => {
                let reason = self.context.driver.describe(status);
                let reason = format!("{} with {grid:?}: {reason}", function.name);
                Err(self.context.failed("cuLaunchKernel", reason))
            }
        }
    }
}

impl Drop for LoadedModules {
    fn drop(&mut self) {
        // On a device that has failed, unloading fails too.
        let _ = self.context.bind();
        let modules = self.modules.get_mut().unwrap_or_else(PoisonError::into_inner);
        for module in modules.values() {
            // SAFETY: the device has waited for all work before it drops this.
            let _ = unsafe { call!(self.context, cuModuleUnload(module.handle.0)) };
        }
    }
}
