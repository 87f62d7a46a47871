//! What is between an MLP's products (`kernels/activation.cu`).

use super::launch::{VectorKernel, over_rows, product, size};
use crate::{DType, Device, Parameters, Result, Source, View};
use std::sync::Arc;

/// The function, by the number that the kernel knows it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// `x / (1 + exp(-x))`
    Silu,
    /// `x/2 (1 + erf(x / sqrt 2))`
    Gelu,
    /// `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x³)))`
    GeluTanh,
}

/// The kernels, compiled for a device and a format.
pub struct Activations {
    device: Arc<dyn Device>,
    dtype: DType,
    activate: VectorKernel,
}

/// `struct Activate` of the kernel.
#[repr(C)]
#[derive(Clone, Copy)]
struct KernelActivate {
    x: u64,
    out: u64,
    inner: u32,
    activation: u32,
    gated: u32,
    unused: u32,
}

impl Activations {
    /// Compiles them.
    pub fn new(device: &Arc<dyn Device>, dtype: DType) -> Result<Self> {
        let source = Source {
            file: "activation",
            text: include_str!("../../kernels/activation.cu"),
            defines: vec![("REAL", dtype.kernel_type().to_owned())],
        };
        let names = ["activate", "activate_vector"];
        let activate = VectorKernel::new(device, &source, names, 16 / dtype.size())?;
        Ok(Self { device: Arc::clone(device), dtype, activate })
    }

    /// `out = f(x[.., ..inner]) · x[.., inner..]` with a gate (`x` is `[rows, 2 inner]`), `out = f(x)` without; `out` is
    /// `[rows, inner]`. One launch.
    pub fn activate(
        &self,
        activation: Activation,
        gated: bool,
        rows: usize,
        inner: usize,
        x: View<'_>,
        out: View<'_>,
    ) -> Result<()> {
        if rows == 0 || inner == 0 {
            return Ok(());
        }
        let bytes = product(&[rows, inner, self.dtype.size()])?;
        let parts = 1 + usize::from(gated);
        let parameters = KernelActivate {
            x: x.holds("an activation's input", product(&[bytes, parts])?)?,
            out: out.holds("an activation's output", bytes)?,
            inner: size(inner)?,
            activation: activation as u32,
            gated: gated.into(),
            unused: 0,
        };
        let (kernel, numbers) = self.activate.of(&[inner], &[parameters.x, parameters.out]);
        let grid = over_rows(rows, inner / numbers)?;
        // SAFETY: the struct is the kernel's, and both views hold as many rows as it reads and writes.
        unsafe { self.device.launch(kernel, grid, Parameters::of(&parameters)) }
    }
}
