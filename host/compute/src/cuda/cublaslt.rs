//! Matrix products with cuBLASLt.
//!
//! cuBLASLt stores matrices column by column. To it, our row-major `y = x Wᵀ` is `y = Wᵀ x`: `W` is `[inputs, outputs]`
//! and transposed, `x` is `[inputs, rows]`, and `y` is `[outputs, rows]`.

use super::{
    context::{Context, CudaHandle},
    functions::{Blas, blas, describe},
    matmul_plan::{MatmulKey, MatmulPlan, MatmulPreference, data_type},
    memory_pool::MemoryPool,
};
use crate::{Error, MatrixProduct, Result};
use cudarc::{
    cublaslt::sys::{
        cublasComputeType_t::CUBLAS_COMPUTE_32F,
        cublasLtContext, cublasLtMatmulAlgo_t,
        cublasLtMatmulDescAttributes_t::{self, *},
        cublasLtMatmulDescOpaque_t, cublasLtMatmulHeuristicResult_t,
        cublasLtMatmulPreferenceAttributes_t::{self, *},
        cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
        cudaDataType_t::CUDA_R_32F,
    },
    driver::sys::CUstream_st,
};
use std::{
    collections::HashMap,
    ffi::c_void,
    mem::MaybeUninit,
    ptr,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

/// Size of the workspace, in bytes. cuBLAS itself takes 32 MiB on Hopper, and some products split their sums further.
const WORKSPACE: usize = 64 << 20;

/// Most plans that are stored. Every number of rows needs a plan of its own, and chunks of prompts may have any number.
const PLANS: usize = 8192;

/// `CUBLAS_OP_T`: the matrix is transposed.
const TRANSPOSED: i32 = 1;

/// `CUBLASLT_EPILOGUE_BIAS`: the product adds a bias. It is one number for each row of cuBLASLt's `y`, which is a
/// column of our `y`.
const BIAS: u32 = 4;

/// `CUBLAS_STATUS_NOT_SUPPORTED`.
const NOT_SUPPORTED: u32 = 15;

/// A handle of cuBLASLt, its workspace, and the plans made so far.
pub(super) struct CublasLt {
    context: Arc<Context>,
    memory: Arc<MemoryPool>,
    blas: &'static Blas,
    handle: CudaHandle<cublasLtContext>,
    /// Address of the workspace. All products share it, because they run one after another. The first product allocates
    /// it.
    workspace: OnceLock<u64>,
    plans: RwLock<HashMap<MatmulKey, MatmulPlan>>,
}

impl CublasLt {
    /// Loads cuBLASLt.
    ///
    /// # Errors
    /// [`Error::Missing`] if it cannot be found.
    pub(super) fn new(context: &Arc<Context>, memory: &Arc<MemoryPool>) -> Result<Self> {
        let blas = blas()?;
        let mut cublaslt = Self {
            context: Arc::clone(context),
            memory: Arc::clone(memory),
            blas,
            handle: CudaHandle(ptr::null_mut()),
            workspace: OnceLock::new(),
            plans: RwLock::default(),
        };
        // SAFETY: the call writes a handle.
        let status = unsafe { (blas.cublasLtCreate)(&raw mut cublaslt.handle.0) };
        cublaslt.check("cublasLtCreate", status)?;
        Ok(cublaslt)
    }

    /// Queues a product. Returns true if the product has a bias that still has to be added. Shapes are those of
    /// [`MatrixProduct`].
    ///
    /// # Safety
    /// The contract of [`ComputeDevice::product`](crate::ComputeDevice::product).
    pub(super) unsafe fn run(
        &self,
        stream: CudaHandle<CUstream_st>,
        product: &MatrixProduct,
    ) -> Result<bool> {
        let workspace = self.workspace()?;
        let key = MatmulKey::from_product(product);
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&key) {
            // SAFETY: the caller keeps this function's contract.
            unsafe { self.multiply(stream, workspace, plan, product) }?;
            return Ok(product.bias != 0 && !plan.has_bias);
        }
        drop(plans);
        let plan = self.plan(&key, product.bias)?;
        let is_bias_left = product.bias != 0 && !plan.has_bias;
        // SAFETY: the caller keeps this function's contract.
        unsafe { self.multiply(stream, workspace, &plan, product) }?;
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS {
            plans.clear();
        }
        plans.insert(key, plan);
        Ok(is_bias_left)
    }

    fn workspace(&self) -> Result<u64> {
        if let Some(address) = self.workspace.get() {
            return Ok(*address);
        }
        let address = self.memory.allocate(WORKSPACE)?;
        if self.workspace.set(address).is_err() {
            // Another thread has set its own workspace first.
            self.memory.free(address)?;
        }
        Ok(*self.workspace.get().unwrap_or(&address))
    }

    /// Queues a product with a plan.
    ///
    /// # Safety
    /// The contract of [`ComputeDevice::product`](crate::ComputeDevice::product). The plan was made for products like
    /// this one.
    unsafe fn multiply(
        &self,
        stream: CudaHandle<CUstream_st>,
        workspace: u64,
        plan: &MatmulPlan,
        product: &MatrixProduct,
    ) -> Result<()> {
        let (one, beta) = (1f32, if product.accumulate { 1f32 } else { 0f32 });
        let at = |address: u64| address as *mut c_void;
        let y = at(product.y);
        // Locked, because the address of the bias is part of the description.
        let description = plan.description.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.has_bias {
            self.set_attribute(*description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &product.bias)?;
        }
        // SAFETY: the addresses are the caller's, and the plan's layouts are theirs; the factors are f32, as the description
        // says, and read before the call returns.
        let status = unsafe {
            (self.blas.cublasLtMatmul)(
                self.handle.0,
                description.0,
                (&raw const one).cast(),
                at(product.weight),
                plan.weight.0,
                at(product.x),
                plan.x.0,
                (&raw const beta).cast(),
                y,
                plan.y.0,
                y,
                plan.y.0,
                &raw const plan.algorithm,
                at(workspace),
                WORKSPACE,
                stream.0.cast(),
            )
        };
        self.check("cublasLtMatmul", status)
    }

    /// Makes a plan for products of a kind. If no kernel of cuBLASLt adds the bias, the plan leaves it out.
    fn plan(&self, key: &MatmulKey, bias: u64) -> Result<MatmulPlan> {
        if key.has_bias
            && let Some(plan) = self.try_plan(key, bias)?
        {
            return Ok(plan);
        }
        self.try_plan(key, 0)?.ok_or_else(|| {
            let MatmulKey { rows, inputs, outputs, dtype, y_dtype, .. } = key;
            Error::Unsupported(format!(
                "{}: cuBLASLt has no kernel for [{rows}, {inputs}] x [{inputs}, {outputs}] of {dtype} to {y_dtype}",
                self.context.name
            ))
        })
    }

    /// Makes a plan, with a bias unless its address is 0. Returns `None` if cuBLASLt has no kernel for it.
    fn try_plan(&self, key: &MatmulKey, bias: u64) -> Result<Option<MatmulPlan>> {
        let mut plan = MatmulPlan::new(self.blas, bias != 0);
        let [inputs, outputs, rows] = [key.inputs, key.outputs, key.rows].map(|size| size as u64);
        let (data_type, y_type) = (data_type(key.dtype), data_type(key.y_dtype));
        let mut description = CudaHandle(ptr::null_mut());
        // SAFETY: the call writes a handle.
        let status = unsafe {
            (self.blas.cublasLtMatmulDescCreate)(
                &raw mut description.0,
                CUBLAS_COMPUTE_32F,
                CUDA_R_32F,
            )
        };
        self.check("cublasLtMatmulDescCreate", status)?;
        *plan.description.get_mut().unwrap_or_else(PoisonError::into_inner) = description;
        self.set_attribute(description, CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        if plan.has_bias {
            self.set_attribute(description, CUBLASLT_MATMUL_DESC_EPILOGUE, &BIAS)?;
            self.set_attribute(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        }
        for (layout, data_type, rows, columns, stride) in [
            (&mut plan.weight, data_type, inputs, outputs, key.inputs),
            (&mut plan.x, data_type, inputs, rows, key.inputs),
            (&mut plan.y, y_type, outputs, rows, key.y_stride),
        ] {
            // SAFETY: the call writes a handle.
            let status = unsafe {
                (self.blas.cublasLtMatrixLayoutCreate)(
                    &raw mut layout.0,
                    data_type,
                    rows,
                    columns,
                    stride as i64,
                )
            };
            self.check("cublasLtMatrixLayoutCreate", status)?;
        }
        let algorithm = self.algorithm(description, &plan, key)?;
        Ok(algorithm.map(|algorithm| {
            plan.algorithm = algorithm;
            plan
        }))
    }

    /// Returns the kernel that cuBLASLt's heuristic ranks first, or `None` if it has none.
    fn algorithm(
        &self,
        description: CudaHandle<cublasLtMatmulDescOpaque_t>,
        plan: &MatmulPlan,
        key: &MatmulKey,
    ) -> Result<Option<cublasLtMatmulAlgo_t>> {
        let mut preference = MatmulPreference { blas: self.blas, handle: ptr::null_mut() };
        // SAFETY: the call writes a handle.
        let status =
            unsafe { (self.blas.cublasLtMatmulPreferenceCreate)(&raw mut preference.handle) };
        self.check("cublasLtMatmulPreferenceCreate", status)?;
        let [weight, x, y] = key.alignments;
        // Partial sums are added in f32, not in the format of `y`.
        let reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
        self.set_preference(
            &preference,
            CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
            &(WORKSPACE as u64),
        )?;
        self.set_preference(&preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction)?;
        self.set_preference(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &weight)?;
        self.set_preference(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &x)?;
        self.set_preference(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &y)?;
        self.set_preference(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &y)?;

        let mut result = MaybeUninit::<cublasLtMatmulHeuristicResult_t>::zeroed();
        let mut count = 0;
        // SAFETY: the handles live; there is room for one result.
        let status = unsafe {
            (self.blas.cublasLtMatmulAlgoGetHeuristic)(
                self.handle.0,
                description.0,
                plan.weight.0,
                plan.x.0,
                plan.y.0,
                plan.y.0,
                preference.handle,
                1,
                result.as_mut_ptr(),
                &raw mut count,
            )
        };
        if status == NOT_SUPPORTED || (status == 0 && count < 1) {
            return Ok(None);
        }
        self.check("cublasLtMatmulAlgoGetHeuristic", status)?;
        // SAFETY: the algorithm is plain numbers, and cuBLASLt has written it.
        Ok(Some(unsafe { (&raw const (*result.as_ptr()).algo).read() }))
    }

    fn set_attribute<T>(
        &self,
        description: CudaHandle<cublasLtMatmulDescOpaque_t>,
        attribute: cublasLtMatmulDescAttributes_t,
        value: &T,
    ) -> Result<()> {
        // SAFETY: the value is of the attribute's type, as cublasLt.h says: an address for a bias, 32 bits for all others.
        let status = unsafe {
            (self.blas.cublasLtMatmulDescSetAttribute)(
                description.0,
                attribute,
                ptr::from_ref(value).cast(),
                size_of::<T>(),
            )
        };
        self.check("cublasLtMatmulDescSetAttribute", status)
    }

    fn set_preference<T>(
        &self,
        preference: &MatmulPreference,
        attribute: cublasLtMatmulPreferenceAttributes_t,
        value: &T,
    ) -> Result<()> {
        // SAFETY: the value is of the attribute's type, as cublasLt.h says: u64 for the workspace, u32 for all others.
        let status = unsafe {
            (self.blas.cublasLtMatmulPreferenceSetAttribute)(
                preference.handle,
                attribute,
                ptr::from_ref(value).cast(),
                size_of::<T>(),
            )
        };
        self.check("cublasLtMatmulPreferenceSetAttribute", status)
    }

    fn check(&self, call: &'static str, status: u32) -> Result<()> {
        match status {
            0 => Ok(()),
            // SAFETY: the function is cuBLASLt's.
            status => Err(self
                .context
                .failed(call, unsafe { describe(self.blas.cublasLtGetStatusString, status) })),
        }
    }
}

impl Drop for CublasLt {
    fn drop(&mut self) {
        // On a device that has failed, freeing fails too.
        let _ = self.context.bind();
        if let Some(workspace) = self.workspace.get() {
            let _ = self.memory.free(*workspace);
        }
        if !self.handle.0.is_null() {
            // SAFETY: nobody else has the handle; the device has waited for all work before it drops this.
            unsafe { (self.blas.cublasLtDestroy)(self.handle.0) };
        }
    }
}
