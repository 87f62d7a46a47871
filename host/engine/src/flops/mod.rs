//! Floating-point operations, counted from a model's shape.
//!
//! Only matrix products are counted, and a multiply-add counts as two (Kaplan et al., arXiv 2001.08361, table 1).
//! Embeddings are lookups and cost nothing. Of a mixture, the router and the experts that a token goes to are
//! counted. The factors of an unmerged adapter are counted by themselves.
//!
//! There are two counts, which differ in attention:
//!
//! | count | keys that a query is multiplied with |
//! |---|---|
//! | needed | the keys that it sees: causal, real lengths, the last `window` of a windowed layer |
//! | executed | all keys of its pass and its cache, which eager frameworks mask afterwards |
//!
//! The executed count equals what torch's `FlopCounterMode` counts on transformers' models with eager attention.
//!
//! Start at [`FlopCounter`], [`RequestShape`] and [`ModuleFlops`].

mod component_flops;
mod flop_counter;
mod flop_estimate;
mod module_flops;

pub use component_flops::ComponentFlops;
pub use flop_counter::{FlopCount, FlopCounter, LogitPositions, active_parameters, decode_passes};
pub use flop_estimate::{FlopEstimate, PhaseFlops, RequestShape};
pub use module_flops::{ADAPTER, ModuleFlops};
