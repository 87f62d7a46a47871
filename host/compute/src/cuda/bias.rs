//! The bias of a product, added by a kernel of our own (`kernels/bias.cu`) where cuBLASLt cannot add it within the
//! product.

use crate::{ComputeDevice, KernelParameters, KernelSource, LaunchGrid, MatrixProduct, Result};

/// Threads of a block.
const THREADS: usize = 128;

/// Most blocks in y. Each block adds the bias to every 1024th row. A grid has at most 65535 blocks in y.
const ROWS: usize = 1024;

/// Mirrors `struct AddBias` of `kernels/bias.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct AddBias {
    y: u64,
    bias: u64,
    rows: u32,
    outputs: u32,
    y_stride: u32,
    unused: u32,
}

/// Queues the addition of a product's bias to every row of its `y`, one launch. Shapes are those of [`MatrixProduct`].
///
/// # Safety
/// The contract of [`ComputeDevice::product`].
pub(super) unsafe fn add(device: &dyn ComputeDevice, product: &MatrixProduct) -> Result<()> {
    let source = KernelSource {
        file: "bias",
        text: include_str!("../../kernels/bias.cu"),
        defines: vec![
            ("REAL", product.dtype.kernel_type().to_owned()),
            ("Y", product.y_dtype.kernel_type().to_owned()),
        ],
    };
    let kernel = device.kernel(&source, "add_bias")?;
    let parameters = AddBias {
        y: product.y,
        bias: product.bias,
        rows: product.rows as u32,
        outputs: product.outputs as u32,
        y_stride: product.y_stride as u32,
        unused: 0,
    };
    let columns = product.outputs.div_ceil(THREADS) as u32;
    let blocks = [columns, product.rows.min(ROWS) as u32, 1];
    let grid = LaunchGrid { blocks, threads: THREADS as u32, shared: 0 };
    // SAFETY: the caller promises that the matrices have these sizes.
    unsafe { device.launch(kernel, grid, KernelParameters::new(&parameters)) }
}
