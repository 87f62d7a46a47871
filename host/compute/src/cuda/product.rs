//! Matrix products by cuBLASLt.
//!
//! cuBLASLt's matrices are column by column. Read so, `y = x Wᵀ` of row-major matrices is `y = Wᵀ x`: `W` is `[inputs, outputs]`
//! and transposed, `x` is `[inputs, rows]`, and `y` is `[outputs, rows]`.

use super::{
    context::{Context, Handle},
    functions::{Blas, blas, described},
    memory::Memory,
};
use crate::{DType, Error, Product, Result};
use cudarc::{
    cublaslt::sys::{
        cublasComputeType_t::CUBLAS_COMPUTE_32F,
        cublasLtContext, cublasLtMatmulAlgo_t,
        cublasLtMatmulDescAttributes_t::{self, *},
        cublasLtMatmulDescOpaque_t, cublasLtMatmulHeuristicResult_t,
        cublasLtMatmulPreferenceAttributes_t::{self, *},
        cublasLtMatmulPreferenceOpaque_t, cublasLtMatrixLayoutOpaque_t,
        cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE,
        cudaDataType_t::{self, CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F},
    },
    driver::sys::CUstream_st,
};
use std::{
    collections::HashMap,
    ffi::c_void,
    mem::MaybeUninit,
    ptr,
    sync::{Arc, Mutex, OnceLock, PoisonError, RwLock},
};

/// Bytes of workspace: what cuBLAS itself takes on Hopper is 32 MiB, and some products split their sums further.
const WORKSPACE: usize = 64 << 20;

/// Plans that are kept. Chunks of prompts may have any number of rows.
const PLANS: usize = 8192;

/// `CUBLAS_OP_T`.
const TRANSPOSED: i32 = 1;

/// `CUBLASLT_EPILOGUE_BIAS`: a number for each row of cuBLASLt's `y`, which is a column of ours.
const BIAS: u32 = 4;

/// `CUBLAS_STATUS_NOT_SUPPORTED`.
const NOT_SUPPORTED: u32 = 15;

/// A kind of product: what the choice of its kernel depends on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Kind {
    rows: usize,
    inputs: usize,
    outputs: usize,
    y_stride: usize,
    dtype: DType,
    y_dtype: DType,
    accumulate: bool,
    /// Whether a bias is to be added by the same kernel.
    has_bias: bool,
    /// Of `W`, `x` and `y`.
    alignments: [u32; 3],
}

impl Kind {
    fn of(product: &Product) -> Self {
        let Product { rows, inputs, outputs, y_stride, dtype, y_dtype, accumulate, .. } = *product;
        let alignments = [product.weight, product.x, product.y].map(alignment);
        // cuBLASLt takes a bias of the format of `y` only, and loads several numbers at once.
        let has_bias = product.bias != 0 && y_dtype == dtype && alignment(product.bias) >= 16;
        Self { rows, inputs, outputs, y_stride, dtype, y_dtype, accumulate, has_bias, alignments }
    }
}

/// Of an address, in bytes. Kernels distinguish no more than these.
fn alignment(address: u64) -> u32 {
    match address.trailing_zeros() {
        8.. => 256,
        4.. => 16,
        zeros => 1 << zeros,
    }
}

/// What calls cuBLASLt.
pub struct Products {
    context: Arc<Context>,
    memory: Arc<Memory>,
    blas: &'static Blas,
    handle: Handle<cublasLtContext>,
    /// Shared by all products, since they run one after another. Allocated by the first.
    workspace: OnceLock<u64>,
    plans: RwLock<HashMap<Kind, Plan>>,
}

impl Products {
    /// Opens cuBLASLt.
    ///
    /// # Errors
    /// [`Error::Missing`] without it.
    pub fn new(context: &Arc<Context>, memory: &Arc<Memory>) -> Result<Self> {
        let blas = blas()?;
        let mut products = Self {
            context: Arc::clone(context),
            memory: Arc::clone(memory),
            blas,
            handle: Handle(ptr::null_mut()),
            workspace: OnceLock::new(),
            plans: RwLock::default(),
        };
        // SAFETY: it writes a handle.
        let status = unsafe { (blas.cublasLtCreate)(&raw mut products.handle.0) };
        products.check("cublasLtCreate", status)?;
        Ok(products)
    }

    /// Queues a product. Returns whether its bias, if it has one, is left to be added.
    ///
    /// # Safety
    /// As [`Device::product`](crate::Device::product).
    pub unsafe fn run(&self, stream: Handle<CUstream_st>, product: &Product) -> Result<bool> {
        let workspace = self.workspace()?;
        let kind = Kind::of(product);
        let plans = self.plans.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(plan) = plans.get(&kind) {
            // SAFETY: the caller's.
            unsafe { self.multiply(stream, workspace, plan, product) }?;
            return Ok(product.bias != 0 && !plan.has_bias);
        }
        drop(plans);
        let plan = self.plan(&kind, product.bias)?;
        let is_bias_left = product.bias != 0 && !plan.has_bias;
        // SAFETY: the caller's.
        unsafe { self.multiply(stream, workspace, &plan, product) }?;
        let mut plans = self.plans.write().unwrap_or_else(PoisonError::into_inner);
        if plans.len() >= PLANS {
            plans.clear();
        }
        plans.insert(kind, plan);
        Ok(is_bias_left)
    }

    fn workspace(&self) -> Result<u64> {
        if let Some(address) = self.workspace.get() {
            return Ok(*address);
        }
        let address = self.memory.allocate(WORKSPACE)?;
        if self.workspace.set(address).is_err() {
            // Another thread was first.
            self.memory.free(address)?;
        }
        Ok(*self.workspace.get().unwrap_or(&address))
    }

    /// # Safety
    /// As [`Device::product`](crate::Device::product); the plan is one for this product.
    unsafe fn multiply(
        &self,
        stream: Handle<CUstream_st>,
        workspace: u64,
        plan: &Plan,
        product: &Product,
    ) -> Result<()> {
        let (one, beta) = (1f32, if product.accumulate { 1f32 } else { 0f32 });
        let at = |address: u64| address as *mut c_void;
        let y = at(product.y);
        // Locked, since the bias is a part of the description.
        let description = plan.description.lock().unwrap_or_else(PoisonError::into_inner);
        if plan.has_bias {
            self.describe(*description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &product.bias)?;
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

    /// Asks cuBLASLt for its kernel for a kind of product. If it has none that adds the bias, one that leaves it.
    fn plan(&self, kind: &Kind, bias: u64) -> Result<Plan> {
        if kind.has_bias
            && let Some(plan) = self.try_plan(kind, bias)?
        {
            return Ok(plan);
        }
        self.try_plan(kind, 0)?.ok_or_else(|| {
            let Kind { rows, inputs, outputs, dtype, y_dtype, .. } = kind;
            Error::Unsupported(format!(
                "{}: cuBLASLt has no kernel for [{rows}, {inputs}] x [{inputs}, {outputs}] of {dtype} to {y_dtype}",
                self.context.name
            ))
        })
    }

    /// A plan, with a bias unless that is 0. None if there is no kernel for it.
    fn try_plan(&self, kind: &Kind, bias: u64) -> Result<Option<Plan>> {
        let mut plan = Plan::new(self.blas, bias != 0);
        let [inputs, outputs, rows] =
            [kind.inputs, kind.outputs, kind.rows].map(|size| size as u64);
        let (data_type, y_type) = (data_type(kind.dtype), data_type(kind.y_dtype));
        let mut description = Handle(ptr::null_mut());
        // SAFETY: it writes a handle.
        let status = unsafe {
            (self.blas.cublasLtMatmulDescCreate)(
                &raw mut description.0,
                CUBLAS_COMPUTE_32F,
                CUDA_R_32F,
            )
        };
        self.check("cublasLtMatmulDescCreate", status)?;
        *plan.description.get_mut().unwrap_or_else(PoisonError::into_inner) = description;
        self.describe(description, CUBLASLT_MATMUL_DESC_TRANSA, &TRANSPOSED)?;
        if plan.has_bias {
            self.describe(description, CUBLASLT_MATMUL_DESC_EPILOGUE, &BIAS)?;
            self.describe(description, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias)?;
        }
        for (layout, data_type, rows, columns, stride) in [
            (&mut plan.weight, data_type, inputs, outputs, kind.inputs),
            (&mut plan.x, data_type, inputs, rows, kind.inputs),
            (&mut plan.y, y_type, outputs, rows, kind.y_stride),
        ] {
            // SAFETY: it writes a handle.
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
        let algorithm = self.algorithm(description, &plan, kind)?;
        Ok(algorithm.map(|algorithm| {
            plan.algorithm = algorithm;
            plan
        }))
    }

    /// The kernel that cuBLASLt takes for the best, or none if it has none.
    fn algorithm(
        &self,
        description: Handle<cublasLtMatmulDescOpaque_t>,
        plan: &Plan,
        kind: &Kind,
    ) -> Result<Option<cublasLtMatmulAlgo_t>> {
        let mut preference = Preference { blas: self.blas, handle: ptr::null_mut() };
        // SAFETY: it writes a handle.
        let status =
            unsafe { (self.blas.cublasLtMatmulPreferenceCreate)(&raw mut preference.handle) };
        self.check("cublasLtMatmulPreferenceCreate", status)?;
        let [weight, x, y] = kind.alignments;
        // A sum that is split is added up in f32, not in the format of `y`.
        let reduction = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &(WORKSPACE as u64))?;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, &reduction)?;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, &weight)?;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, &x)?;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, &y)?;
        self.prefer(&preference, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, &y)?;

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

    fn describe<T>(
        &self,
        description: Handle<cublasLtMatmulDescOpaque_t>,
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

    fn prefer<T>(
        &self,
        preference: &Preference,
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
                .failed(call, unsafe { described(self.blas.cublasLtGetStatusString, status) })),
        }
    }
}

impl Drop for Products {
    fn drop(&mut self) {
        // A device that has failed cannot even give back.
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

fn data_type(dtype: DType) -> cudaDataType_t {
    match dtype {
        DType::F32 => CUDA_R_32F,
        DType::Bf16 => CUDA_R_16BF,
        DType::F16 => CUDA_R_16F,
    }
}

/// What is asked of a kernel.
struct Preference {
    blas: &'static Blas,
    handle: *mut cublasLtMatmulPreferenceOpaque_t,
}

impl Drop for Preference {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: nobody else has the handle.
            unsafe { (self.blas.cublasLtMatmulPreferenceDestroy)(self.handle) };
        }
    }
}

/// The descriptions of a kind of product and its kernel, which every product of the kind uses again.
struct Plan {
    blas: &'static Blas,
    description: Mutex<Handle<cublasLtMatmulDescOpaque_t>>,
    /// Whether the kernel adds a bias.
    has_bias: bool,
    weight: Handle<cublasLtMatrixLayoutOpaque_t>,
    x: Handle<cublasLtMatrixLayoutOpaque_t>,
    y: Handle<cublasLtMatrixLayoutOpaque_t>,
    algorithm: cublasLtMatmulAlgo_t,
}

impl Plan {
    fn new(blas: &'static Blas, has_bias: bool) -> Self {
        let (description, layout) = (Mutex::new(Handle(ptr::null_mut())), Handle(ptr::null_mut()));
        let algorithm = cublasLtMatmulAlgo_t { data: [0; 8] };
        Self { blas, description, has_bias, weight: layout, x: layout, y: layout, algorithm }
    }
}

impl Drop for Plan {
    fn drop(&mut self) {
        for layout in [self.weight, self.x, self.y].into_iter().filter(|layout| !layout.0.is_null())
        {
            // SAFETY: nobody else has the handle; a call that has returned needs it no more.
            unsafe { (self.blas.cublasLtMatrixLayoutDestroy)(layout.0) };
        }
        let description = self.description.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !description.0.is_null() {
            // SAFETY: as above.
            unsafe { (self.blas.cublasLtMatmulDescDestroy)(description.0) };
        }
    }
}
