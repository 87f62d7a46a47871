//! Products with weights: the device's library, or a kernel of our own where one reads weights faster (`kernels/gemv.cu`).

use crate::{DType, Device, Grid, Kernel, Parameters, Product, Result, Source};
use std::sync::Arc;

/// Threads of a block, each warp of which makes one output.
const THREADS: usize = 128;

/// What the kernel loads at once: this many bytes, from addresses of this alignment, of rows of a multiple of so many numbers.
const ALIGNMENT: u64 = 16;
const INPUTS: usize = 8;

/// The kernel's parameters.
#[repr(C)]
#[derive(Clone, Copy)]
struct Gemv {
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

/// The kernels, compiled for a device and a format.
pub struct Products {
    device: Arc<dyn Device>,
    dtype: DType,
    one_row: Kernel,
    two_rows: Kernel,
}

impl Products {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
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

    /// Queues a product; one launch.
    ///
    /// # Safety
    /// As for [`Device::product`].
    pub unsafe fn product(&self, product: &Product) -> Result<()> {
        debug_assert_eq!(product.dtype, self.dtype);
        let is_aligned = (product.x | product.weight).is_multiple_of(ALIGNMENT)
            && product.inputs.is_multiple_of(INPUTS)
            && product.inputs > 0;
        let kernel = match product.rows {
            _ if product.rows == 0 || product.outputs == 0 => return Ok(()),
            1 if is_aligned => self.one_row,
            2 if is_aligned => self.two_rows,
            // SAFETY: the caller's.
            _ => return unsafe { self.device.product(product) },
        };
        let parameters = Gemv {
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
        let grid = Grid { blocks: [blocks, 1, 1], threads: THREADS as u32, shared: 0 };
        // SAFETY: the caller's: the matrices have these sizes.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }
}
