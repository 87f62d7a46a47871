//! What kinds of modules adapters change.

/// What kind of module a name stands for, as far as `all-linear` and checks for missing tensors care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A projection of attention or of a dense MLP.
    Projection,
    /// A projection of an expert.
    Expert(ExpertPart),
    /// What chooses the experts.
    Router,
    /// The LM head.
    Head,
    /// A table of embeddings.
    Embedding,
}

/// Where a projection lies in the tensor that transformers 5 keeps of all experts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpertPart {
    /// Which expert.
    pub index: usize,
    /// Of how many.
    pub count: usize,
    /// Its first output feature there: that of the gate is 0, and the other one follows the gate.
    pub start: usize,
    /// Output features of an expert there.
    pub outputs: usize,
    /// What the tensor is called: `gate_up_proj` or `down_proj`.
    pub parameter: &'static str,
}
