//! A bias added to a product after it (`kernels/bias.cu`), where cuBLASLt cannot do it in one.

use crate::{Device, Grid, Parameters, Product, Result, Source};

/// Threads of a block.
const THREADS: usize = 128;

/// Rows that are added to side by side: a grid has at most 65535 blocks in y.
const ROWS: usize = 1024;

/// The kernel's parameters.
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

/// Queues it.
///
/// # Safety
/// As [`Device::product`].
pub unsafe fn add(device: &dyn Device, product: &Product) -> Result<()> {
    let source = Source {
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
    let grid = Grid { blocks, threads: THREADS as u32, shared: 0 };
    // SAFETY: the caller's: the matrices have these sizes.
    unsafe { device.launch(kernel, grid, Parameters::of(&parameters)) }
}
