//! Plans of matrix products: the descriptions and the kernel of cuBLASLt that all products of one kind share.

use super::{context::CudaHandle, functions::Blas};
use crate::{DType, MatrixProduct};
use cudarc::cublaslt::sys::{
    cublasLtMatmulAlgo_t, cublasLtMatmulDescOpaque_t, cublasLtMatmulPreferenceOpaque_t,
    cublasLtMatrixLayoutOpaque_t,
    cudaDataType_t::{self, CUDA_R_16BF, CUDA_R_16F, CUDA_R_32F},
};
use std::{
    ptr,
    sync::{Mutex, PoisonError},
};

/// A kind of product: everything that cuBLASLt's choice of a kernel depends on. The key of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct MatmulKey {
    pub(super) rows: usize,
    pub(super) inputs: usize,
    pub(super) outputs: usize,
    pub(super) y_stride: usize,
    pub(super) dtype: DType,
    pub(super) y_dtype: DType,
    pub(super) accumulate: bool,
    /// Whether the same kernel should add a bias.
    pub(super) has_bias: bool,
    /// Alignments of `W`, `x` and `y`, in bytes.
    pub(super) alignments: [u32; 3],
}

impl MatmulKey {
    pub(super) fn from_product(product: &MatrixProduct) -> Self {
        let MatrixProduct { rows, inputs, outputs, y_stride, dtype, y_dtype, accumulate, .. } =
            *product;
        let alignments = [product.weight, product.x, product.y].map(alignment);
        // cuBLASLt only takes a bias in the format of `y`, and loads several of its numbers at once.
        let has_bias = product.bias != 0 && y_dtype == dtype && alignment(product.bias) >= 16;
        Self { rows, inputs, outputs, y_stride, dtype, y_dtype, accumulate, has_bias, alignments }
    }
}

/// Returns the alignment of an address, in bytes. Kernels do not distinguish others than these.
fn alignment(address: u64) -> u32 {
    match address.trailing_zeros() {
        8.. => 256,
        4.. => 16,
        zeros => 1 << zeros,
    }
}

pub(super) fn data_type(dtype: DType) -> cudaDataType_t {
    match dtype {
        DType::F32 => CUDA_R_32F,
        DType::Bf16 => CUDA_R_16BF,
        DType::F16 => CUDA_R_16F,
    }
}

/// What the choice of a kernel has to respect. The handle is destroyed on drop.
pub(super) struct MatmulPreference {
    pub(super) blas: &'static Blas,
    pub(super) handle: *mut cublasLtMatmulPreferenceOpaque_t,
}

impl Drop for MatmulPreference {
    fn drop(&mut self) {
        if !self.handle.is_null() {
            // SAFETY: nobody else has the handle.
            unsafe { (self.blas.cublasLtMatmulPreferenceDestroy)(self.handle) };
        }
    }
}

/// The descriptions of a kind of product and the chosen kernel. Every product of the kind uses them again. The handles
/// are destroyed on drop.
pub(super) struct MatmulPlan {
    pub(super) blas: &'static Blas,
    pub(super) description: Mutex<CudaHandle<cublasLtMatmulDescOpaque_t>>,
    /// Whether the kernel adds a bias.
    pub(super) has_bias: bool,
    pub(super) weight: CudaHandle<cublasLtMatrixLayoutOpaque_t>,
    pub(super) x: CudaHandle<cublasLtMatrixLayoutOpaque_t>,
    pub(super) y: CudaHandle<cublasLtMatrixLayoutOpaque_t>,
    pub(super) algorithm: cublasLtMatmulAlgo_t,
}

impl MatmulPlan {
    pub(super) fn new(blas: &'static Blas, has_bias: bool) -> Self {
        let (description, layout) =
            (Mutex::new(CudaHandle(ptr::null_mut())), CudaHandle(ptr::null_mut()));
        let algorithm = cublasLtMatmulAlgo_t { data: [0; 8] };
        Self { blas, description, has_bias, weight: layout, x: layout, y: layout, algorithm }
    }
}

impl Drop for MatmulPlan {
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
