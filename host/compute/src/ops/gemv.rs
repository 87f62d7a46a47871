//! Matrix products with weights. One or two rows go to a kernel of our own, which reads weights faster
//! (`kernels/gemv.cu`); more rows go to the device's library.

use crate::{
    ComputeDevice, DType, Kernel, KernelParameters, KernelSource, LaunchGrid, MatrixProduct, Result,
};
use std::sync::Arc;

/// Threads of a block. Each warp computes one output.
const THREADS: usize = 128;

/// The kernel loads 16 bytes at once. So `x` and `weight` have to start at multiples of 16 bytes, and rows have to be a
/// multiple of 8 numbers long.
const ALIGNMENT: u64 = 16;
const INPUTS: usize = 8;

/// Mirrors `struct Gemv` of `kernels/gemv.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct GemvParameters {
    x: u64,
    weight: u64,
    y: u64,
    bias: u64,
    y_stride: u64,
    inputs: u32,
    outputs: u32,
    y_is_float: u32,
    accumulate: u32,
}

/// The product kernels, compiled for one device and number format.
pub struct ProductKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    one_row: Kernel,
    two_rows: Kernel,
}

impl ProductKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "gemv",
            text: include_str!("../../kernels/gemv.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        Ok(Self {
            device: Arc::clone(device),
            dtype,
            one_row: device.kernel(&source, "one_row")?,
            two_rows: device.kernel(&source, "two_rows")?,
        })
    }

    /// Queues a product, one launch. Shapes are those of [`MatrixProduct`].
    ///
    /// # Safety
    /// The contract of [`ComputeDevice::product`].
    pub unsafe fn product(&self, product: &MatrixProduct) -> Result<()> {
        debug_assert_eq!(product.dtype, self.dtype);
        let is_aligned = (product.x | product.weight).is_multiple_of(ALIGNMENT)
            && product.inputs.is_multiple_of(INPUTS)
            && product.inputs > 0;
        let kernel = match product.rows {
            _ if product.rows == 0 || product.outputs == 0 => return Ok(()),
            1 if is_aligned => self.one_row,
            2 if is_aligned => self.two_rows,
            // SAFETY: the caller keeps this function's contract.
            _ => return unsafe { self.device.product(product) },
        };
        let parameters = GemvParameters {
            x: product.x,
            weight: product.weight,
            y: product.y,
            bias: product.bias,
            y_stride: product.y_stride as u64,
            inputs: product.inputs as u32,
            outputs: product.outputs as u32,
            y_is_float: u32::from(product.y_dtype == DType::F32),
            accumulate: u32::from(product.accumulate),
        };
        let blocks = product.outputs.div_ceil(THREADS / 32) as u32;
        let grid = LaunchGrid { blocks: [blocks, 1, 1], threads: THREADS as u32, shared: 0 };
        // SAFETY: the caller promises that the matrices have these sizes.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }
}
