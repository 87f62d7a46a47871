//! The functions between an MLP's matrix products.

/// An activation function of an MLP. The discriminants are the numbers that `kernels/activation.cu` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationFunction {
    /// `x / (1 + e^-x)`. Configs call it `silu` or `swish`.
    Silu,
    /// `x Φ(x) = x/2 (1 + erf(x / sqrt 2))`. Configs call it `gelu`.
    Gelu,
    /// `x/2 (1 + tanh(sqrt(2/π) (x + 0.044715 x³)))`. Configs call it `gelu_new` or `gelu_pytorch_tanh`.
    GeluTanh,
}
