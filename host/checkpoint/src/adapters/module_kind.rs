//! The kinds of modules that adapters change.

/// The kind of a module. It decides whether `all-linear` includes the module, and which tensors may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModuleKind {
    /// A projection of attention or of a dense MLP.
    Projection,
    /// A projection of an expert, and its place in the tensor of all experts.
    Expert(ExpertSlice),
    /// The router, which chooses the experts of a token.
    Router,
    /// The LM head.
    Head,
    /// An embedding table.
    Embedding,
}

/// The place of an expert's projection in the tensor that transformers 5 has for all experts of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertSlice {
    /// The number of the expert.
    pub index: usize,
    /// The number of all experts in the layer.
    pub count: usize,
    /// The projection's first output feature within the expert's part of the tensor. It is 0 for the gate. The up
    /// projection follows the gate.
    pub start: usize,
    /// The number of output features of an expert in the tensor.
    pub outputs: usize,
    /// The name of the tensor: `gate_up_proj` or `down_proj`.
    pub parameter: &'static str,
}
