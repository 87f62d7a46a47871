//! Tables of the functions that are called in CUDA's libraries. Each function is looked up once.
//!
//! cudarc declares the same functions, and the compiler checks each declaration here against it. cudarc is not used to
//! call them, because it stops the program if a library or a function is missing, and because it tries fewer file names (not
//! `libnccl.so.2`).
//!
//! A function returns its status as a number, because a newer library may return one that cudarc's enum does not have.

use super::libraries::{BLAS, DRIVER, LibrarySpec, LoadedLibrary, NCCL, NVRTC};
use crate::{Error, Result};
use std::{
    ffi::{CStr, c_char},
    path::Path,
    sync::OnceLock,
};

/// Declares a table of functions and a function that loads the table once. cudarc declares the functions under
/// `checked` and `newer` too. Those under `newer` may be missing in older libraries.
macro_rules! table {
    (
        $(#[$doc:meta])* $table:ident, $load:ident, $wanted:ident, $sys:ident, $status:ident;
        checked { $($name:ident($($argument:ty),* $(,)?);)* }
        unchecked { $($other:ident: $signature:ty;)* }
        newer { $($newer:ident($($newer_argument:ty),* $(,)?);)* }
    ) => {
        mod $sys {
            #![allow(non_snake_case, reason = "NVIDIA's names")]

            use cudarc::$sys::sys::*;
            use std::{ffi::*, path::PathBuf};

            $(#[$doc])*
            pub(crate) struct $table {
                $(pub $name: unsafe extern "C" fn($($argument),*) -> u32,)*
                $(pub $other: $signature,)*
                $(pub $newer: Option<unsafe extern "C" fn($($newer_argument),*) -> u32>,)*
                /// File of the library.
                pub path: PathBuf,
            }

            $(const _: unsafe fn($($argument),*) -> $status = $name;)*
            $(const _: unsafe fn($($newer_argument),*) -> $status = $newer;)*

            impl $table {
                pub(super) fn load(opened: super::LoadedLibrary, wanted: &super::LibrarySpec) -> crate::Result<Self> {
                    let super::LoadedLibrary { library, path } = opened;
                    let table = Self {
                        $($name: super::function(&library, stringify!($name), &path, wanted)?,)*
                        $($other: super::function(&library, stringify!($other), &path, wanted)?,)*
                        $($newer: super::function(&library, stringify!($newer), &path, wanted).ok(),)*
                        path,
                    };
                    // CUDA's libraries must not be unloaded.
                    std::mem::forget(library);
                    Ok(table)
                }
            }
        }
        pub(super) use $sys::$table;

        /// Returns the table, and loads the library on the first call.
        ///
        /// # Errors
        /// [`Error::Missing`] if the library or one of its functions is missing.
        pub(super) fn $load() -> Result<&'static $table> {
            static TABLE: OnceLock<Result<$table>> = OnceLock::new();
            let table = TABLE.get_or_init(|| $table::load($wanted.open()?, &$wanted));
            table.as_ref().map_err(Error::clone)
        }
    };
}

/// Looks up a function in a library.
fn function<T: Copy>(
    library: &libloading::Library,
    name: &str,
    path: &Path,
    wanted: &LibrarySpec,
) -> Result<T> {
    // SAFETY: `T` is the function's type, as the tables below say.
    match unsafe { library.get::<T>(name.as_bytes()) } {
        Ok(function) => Ok(*function),
        Err(_) => Err(Error::Missing(wanted.outdated_message(path, name))),
    }
}

/// A library's function that describes a status.
type DescribeStatus = unsafe extern "C" fn(u32) -> *const c_char;

table! {
    /// Functions of CUDA's driver.
    Driver, driver, DRIVER, driver, CUresult;
    checked {
        cuInit(c_uint);
        cuDeviceGetCount(*mut c_int);
        cuDeviceGet(*mut CUdevice, c_int);
        cuDeviceGetAttribute(*mut c_int, CUdevice_attribute, CUdevice);
        cuDeviceGetDefaultMemPool(*mut CUmemoryPool, CUdevice);
        cuDevicePrimaryCtxRetain(*mut CUcontext, CUdevice);
        cuCtxSetCurrent(CUcontext);
        cuStreamCreate(*mut CUstream, c_uint);
        cuStreamDestroy_v2(CUstream);
        cuStreamSynchronize(CUstream);
        cuStreamQuery(CUstream);
        cuEventCreate(*mut CUevent, c_uint);
        cuEventDestroy_v2(CUevent);
        cuEventRecord(CUevent, CUstream);
        cuEventSynchronize(CUevent);
        cuEventElapsedTime(*mut f32, CUevent, CUevent);
        cuMemPoolSetAttribute(CUmemoryPool, CUmemPool_attribute, *mut c_void);
        cuMemPoolGetAttribute(CUmemoryPool, CUmemPool_attribute, *mut c_void);
        cuMemPoolTrimTo(CUmemoryPool, usize);
        cuMemAllocAsync(*mut CUdeviceptr, usize, CUstream);
        cuMemFreeAsync(CUdeviceptr, CUstream);
        cuMemAlloc_v2(*mut CUdeviceptr, usize);
        cuMemFree_v2(CUdeviceptr);
        cuMemGetInfo_v2(*mut usize, *mut usize);
        cuMemHostAlloc(*mut *mut c_void, usize, c_uint);
        cuMemFreeHost(*mut c_void);
        cuMemcpyHtoDAsync_v2(CUdeviceptr, *const c_void, usize, CUstream);
        cuMemcpyDtoHAsync_v2(*mut c_void, CUdeviceptr, usize, CUstream);
        cuMemcpyDtoDAsync_v2(CUdeviceptr, CUdeviceptr, usize, CUstream);
        cuMemsetD8Async(CUdeviceptr, c_uchar, usize, CUstream);
        cuModuleLoadData(*mut CUmodule, *const c_void);
        cuModuleUnload(CUmodule);
        cuModuleGetFunction(*mut CUfunction, CUmodule, *const c_char);
        cuFuncGetAttribute(*mut c_int, CUfunction_attribute, CUfunction);
        cuFuncSetAttribute(CUfunction, CUfunction_attribute, c_int);
        cuLaunchKernel(
            CUfunction, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, c_uint, CUstream, *mut *mut c_void,
            *mut *mut c_void,
        );
    }
    unchecked {
        cuGetErrorName: unsafe extern "C" fn(u32, *mut *const c_char) -> u32;
        cuGetErrorString: unsafe extern "C" fn(u32, *mut *const c_char) -> u32;
    }
    newer {
        cuFuncGetParamInfo(CUfunction, usize, *mut usize, *mut usize);
    }
}

table! {
    /// Functions of NVRTC, the compiler of kernels.
    Nvrtc, nvrtc, NVRTC, nvrtc, nvrtcResult;
    checked {
        nvrtcVersion(*mut c_int, *mut c_int);
        nvrtcCreateProgram(
            *mut nvrtcProgram, *const c_char, *const c_char, c_int, *const *const c_char, *const *const c_char,
        );
        nvrtcCompileProgram(nvrtcProgram, c_int, *const *const c_char);
        nvrtcGetProgramLogSize(nvrtcProgram, *mut usize);
        nvrtcGetProgramLog(nvrtcProgram, *mut c_char);
        nvrtcGetCUBINSize(nvrtcProgram, *mut usize);
        nvrtcGetCUBIN(nvrtcProgram, *mut c_char);
        nvrtcDestroyProgram(*mut nvrtcProgram);
    }
    unchecked { nvrtcGetErrorString: super::DescribeStatus; }
    newer {}
}

table! {
    /// Functions of cuBLASLt, for matrix products.
    Blas, blas, BLAS, cublaslt, cublasStatus_t;
    checked {
        cublasLtCreate(*mut cublasLtHandle_t);
        cublasLtDestroy(cublasLtHandle_t);
        cublasLtMatmulDescCreate(*mut cublasLtMatmulDesc_t, cublasComputeType_t, cudaDataType_t);
        cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t);
        cublasLtMatmulDescSetAttribute(
            cublasLtMatmulDesc_t, cublasLtMatmulDescAttributes_t, *const c_void, usize,
        );
        cublasLtMatrixLayoutCreate(*mut cublasLtMatrixLayout_t, cudaDataType, u64, u64, i64);
        cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t);
        cublasLtMatmulPreferenceCreate(*mut cublasLtMatmulPreference_t);
        cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t);
        cublasLtMatmulPreferenceSetAttribute(
            cublasLtMatmulPreference_t, cublasLtMatmulPreferenceAttributes_t, *const c_void, usize,
        );
        cublasLtMatmulAlgoGetHeuristic(
            cublasLtHandle_t, cublasLtMatmulDesc_t, cublasLtMatrixLayout_t, cublasLtMatrixLayout_t,
            cublasLtMatrixLayout_t, cublasLtMatrixLayout_t, cublasLtMatmulPreference_t, c_int,
            *mut cublasLtMatmulHeuristicResult_t, *mut c_int,
        );
        cublasLtMatmul(
            cublasLtHandle_t, cublasLtMatmulDesc_t, *const c_void, *const c_void, cublasLtMatrixLayout_t,
            *const c_void, cublasLtMatrixLayout_t, *const c_void, *const c_void, cublasLtMatrixLayout_t,
            *mut c_void, cublasLtMatrixLayout_t, *const cublasLtMatmulAlgo_t, *mut c_void, usize, cudaStream_t,
        );
    }
    unchecked { cublasLtGetStatusString: super::DescribeStatus; }
    newer {}
}

table! {
    /// Functions of NCCL, for communication between GPUs.
    Nccl, nccl, NCCL, nccl, ncclResult_t;
    checked {
        ncclGetUniqueId(*mut ncclUniqueId);
        ncclCommInitRank(*mut ncclComm_t, c_int, ncclUniqueId, c_int);
        ncclCommAbort(ncclComm_t);
        ncclCommGetAsyncError(ncclComm_t, *mut ncclResult_t);
        ncclAllReduce(*const c_void, *mut c_void, usize, ncclDataType_t, ncclRedOp_t, ncclComm_t, cudaStream_t);
        ncclAllGather(*const c_void, *mut c_void, usize, ncclDataType_t, ncclComm_t, cudaStream_t);
        ncclSend(*const c_void, usize, ncclDataType_t, c_int, ncclComm_t, cudaStream_t);
        ncclRecv(*mut c_void, usize, ncclDataType_t, c_int, ncclComm_t, cudaStream_t);
    }
    unchecked { ncclGetErrorString: super::DescribeStatus; }
    newer {}
}

/// Returns a library's description of a status.
///
/// # Safety
/// `describe` is the function of that library.
pub(super) unsafe fn describe(describe: DescribeStatus, status: u32) -> String {
    // SAFETY: it takes any number, and gives a text that stays, or none.
    unsafe { text(describe(status)) }.unwrap_or_else(|| format!("status {status}"))
}

/// Copies a text of a library. Returns `None` if the pointer is null.
///
/// # Safety
/// The pointer is null, or the text ends with a zero byte and lives during the call.
unsafe fn text(text: *const c_char) -> Option<String> {
    // SAFETY: the caller keeps this function's contract.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned())
}

impl Driver {
    /// Returns the driver's name and description of a status.
    pub(super) fn describe(&self, status: u32) -> String {
        let mut parts = [std::ptr::null(); 2];
        // SAFETY: each writes the address of a text that stays, or null.
        let parts = unsafe {
            (self.cuGetErrorName)(status, &raw mut parts[0]);
            (self.cuGetErrorString)(status, &raw mut parts[1]);
            parts.map(|part| text(part).unwrap_or_else(|| format!("status {status}")))
        };
        parts.join(", ")
    }
}
