//! The activation functions between an MLP's products (`kernels/activation.cu`).

use super::launch::{VectorKernel, checked_product, row_grid, to_u32};
use crate::{
    ActivationFunction, ComputeDevice, DType, KernelParameters, KernelSource, Result, View,
};
use std::sync::Arc;

/// The activation kernels, compiled for one device and number format.
pub struct ActivationKernels {
    device: Arc<dyn ComputeDevice>,
    dtype: DType,
    activate: VectorKernel,
}

/// Mirrors `struct Activate` of `kernels/activation.cu`.
#[repr(C)]
#[derive(Clone, Copy)]
struct ActivateParameters {
    x: u64,
    out: u64,
    inner: u32,
    activation: u32,
    gated: u32,
    unused: u32,
}

impl ActivationKernels {
    /// Compiles the kernels for numbers of format `dtype`, or takes them from the cache.
    pub fn new(device: &Arc<dyn ComputeDevice>, dtype: DType) -> Result<Self> {
        let source = KernelSource {
            file: "activation",
            text: include_str!("../../kernels/activation.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["activate", "activate_vector"];
        let activate = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        Ok(Self { device: Arc::clone(device), dtype, activate })
    }

    /// Queues an activation function, one launch. Without a gate, `out = f(x)`. With a gate, `out = f(gate) · up`,
    /// where each row of `x` is `[gate, up]`.
    ///
    /// # Shapes
    /// - `x`: `[rows, inner]`, or `[rows, 2 * inner]` with a gate
    /// - `out`: `[rows, inner]`, written
    ///
    /// # Errors
    /// [`Error::Bug`](crate::Error::Bug) if a view is too small.
    pub fn activate(
        &self,
        activation: ActivationFunction,
        gated: bool,
        rows: usize,
        inner: usize,
        x: View<'_>,
        out: View<'_>,
    ) -> Result<()> {
        if rows == 0 || inner == 0 {
            return Ok(());
        }
        let bytes = checked_product(&[rows, inner, self.dtype.size()])?;
        let parts = 1 + usize::from(gated);
        let parameters = ActivateParameters {
            x: x.checked_address("an activation's input", checked_product(&[bytes, parts])?)?,
            out: out.checked_address("an activation's output", bytes)?,
            inner: to_u32(inner)?,
            activation: activation as u32,
            gated: gated.into(),
            unused: 0,
        };
        let (kernel, numbers) = self.activate.select(&[inner], &[parameters.x, parameters.out]);
        let grid = row_grid(rows, inner / numbers)?;
        // SAFETY: the struct has the kernel's layout, and both views hold as many rows as it reads and writes.
        unsafe { self.device.launch(kernel, grid, KernelParameters::new(&parameters)) }
    }
}
