//! Kernels that are loaded on a card.

use super::{
    compile::{Cache, Compiled},
    context::{Context, Handle, call},
};
use crate::{Error, Grid, Kernel, Parameters, Result, Source};
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

/// A kernel, ready to be launched.
struct Function {
    handle: Handle<CUfunc_st>,
    /// Bytes of its parameter, where the driver can tell.
    parameter: Option<usize>,
    /// `FILE::KERNEL`, for errors.
    name: String,
}

/// A compiled source, and the numbers of its kernels.
struct Module {
    handle: Handle<CUmod_st>,
    kernels: HashMap<String, Kernel>,
}

/// What is loaded so far.
pub struct Modules {
    context: Arc<Context>,
    cache: Cache,
    most_shared: usize,
    modules: Mutex<HashMap<Source, Module>>,
    functions: RwLock<Vec<Function>>,
}

impl Modules {
    /// Nothing yet.
    pub fn new(context: &Arc<Context>, architecture: String) -> Result<Self> {
        let most_shared =
            context.attribute(CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        Ok(Self {
            context: Arc::clone(context),
            cache: Cache::new(architecture),
            most_shared,
            modules: Mutex::default(),
            functions: RwLock::default(),
        })
    }

    /// The kernel of a source, loaded if it is not yet.
    pub fn kernel(&self, source: &Source, name: &str) -> Result<Kernel> {
        let mut modules = self.modules.lock().unwrap_or_else(PoisonError::into_inner);
        let module = match modules.entry(source.clone()) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(Module { handle: self.module(source)?, kernels: HashMap::new() })
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

    /// A source's machine code on the card. What the cache holds may be of a compiler that is too new for this driver.
    fn module(&self, source: &Source) -> Result<Handle<CUmod_st>> {
        let Compiled { cubin, is_cached } = self.cache.get(source)?;
        match self.load(&cubin) {
            Err(_) if is_cached => self.load(&self.cache.compile(source)?.cubin),
            loaded => loaded,
        }
    }

    fn load(&self, cubin: &[u8]) -> Result<Handle<CUmod_st>> {
        let mut module = ptr::null_mut();
        // SAFETY: the image is whole and NVRTC's: its header tells the driver its size.
        unsafe { call!(self.context, cuModuleLoadData(&raw mut module, cubin.as_ptr().cast())) }?;
        Ok(Handle(module))
    }

    fn function(&self, module: Handle<CUmod_st>, source: &Source, name: &str) -> Result<Function> {
        let (context, driver) = (&self.context, self.context.driver);
        let full_name = format!("{}::{name}", source.file);
        let absent = || Error::Bug(format!("there is no kernel {full_name}"));
        let text = CString::new(name).map_err(|_| absent())?;
        let mut handle = ptr::null_mut();
        // SAFETY: it writes a handle; the module lives as long as the device.
        match unsafe { (driver.cuModuleGetFunction)(&raw mut handle, module.0, text.as_ptr()) } {
            NOT_FOUND => return Err(absent()),
            status => context.check("cuModuleGetFunction", status)?,
        }
        // Dynamic shared memory may be all that a block can have, less what the kernel declares.
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
            // SAFETY: it writes two numbers.
            let status = unsafe { info(handle, 0, &raw mut offset, &raw mut bytes) };
            (status == 0).then_some(bytes)
        });
        Ok(Function { handle: Handle(handle), parameter, name: full_name })
    }

    /// Queues a kernel.
    ///
    /// # Safety
    /// As [`Device::launch`](crate::Device::launch).
    pub unsafe fn launch(
        &self,
        stream: Handle<CUstream_st>,
        kernel: Kernel,
        grid: Grid,
        parameters: Parameters<'_>,
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
        let Grid { blocks: [x, y, z], threads, shared } = grid;
        let mut list = [parameters.pointer.cast_mut()];
        // SAFETY: the parameters are the caller's, and the driver copies them before it returns.
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
                let reason = self.context.driver.described(status);
                let reason = format!("{} with {grid:?}: {reason}", function.name);
                Err(self.context.failed("cuLaunchKernel", reason))
            }
        }
    }
}

impl Drop for Modules {
    fn drop(&mut self) {
        // A device that has failed cannot even give back.
        let _ = self.context.bind();
        let modules = self.modules.get_mut().unwrap_or_else(PoisonError::into_inner);
        for module in modules.values() {
            // SAFETY: the device has waited for all work before it drops this.
            let _ = unsafe { call!(self.context, cuModuleUnload(module.handle.0)) };
        }
    }
}
