//! The operations of a whole request, counted in several ways.

use super::{
    ComponentFlops, FlopCount, FlopCounter, LogitPositions, active_parameters, decode_passes,
};
use crate::adapters::AdapterFlops;
use llem_checkpoint::Shape;

/// A static batch of equal sequences, whose operations are counted.
///
/// ```
/// use llem_engine::{
///     LoadOptions, Model,
///     flops::{FlopCounter, LogitPositions, RequestShape},
/// };
///
/// let model = Model::load(&LoadOptions::new("synthetic:tiny".parse()?))?;
/// let shape = &model.info().shape;
/// let adapter = FlopCounter::new(shape, None).adapter;
/// let request = RequestShape { batch: 2, prompt: 10, output: 3, logits: LogitPositions::Last };
/// let estimate = request.estimate(shape, adapter);
///
/// // The first token of a sequence comes from prefill, and each of the other two from a decode step.
/// assert_eq!(request.tokens(), [20.0, 4.0]);
/// assert_eq!(estimate.needed.prefill.total(), 126_803_968.0);
/// assert_eq!(estimate.needed.decode.total(), 26_402_816.0);
///
/// // Causal attention needs 55 pairs of query and key for 10 tokens. Eager frameworks multiply all 100.
/// assert_eq!(estimate.needed.prefill.attention, 450_560.0);
/// assert_eq!(estimate.executed.prefill.attention, 819_200.0);
/// # Ok::<(), llem_engine::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct RequestShape {
    /// The number of sequences.
    pub batch: usize,
    /// The length of each prompt, in tokens.
    pub prompt: usize,
    /// The number of tokens that each sequence generates. The first one comes from prefill.
    pub output: usize,
    /// The positions of the prompt whose logits are computed.
    pub logits: LogitPositions,
}

/// The operations of both phases, in FLOP.
#[derive(Clone, Copy, Debug)]
pub struct PhaseFlops {
    /// The operations of processing the prompt, up to the first token.
    pub prefill: ComponentFlops,
    /// The operations of all decode steps.
    pub decode: ComponentFlops,
}

/// The operations of a request, counted in three ways.
#[derive(Clone, Copy, Debug)]
pub struct FlopEstimate {
    /// The count of [`FlopCount::Needed`].
    pub needed: PhaseFlops,
    /// The count of [`FlopCount::Executed`].
    pub executed: PhaseFlops,
    /// Twice the [`active_parameters`] for each token, of prefill and of decode, in FLOP.
    pub doubled: [f64; 2],
}

impl RequestShape {
    /// Returns the numbers of tokens that prefill and decode run.
    pub fn tokens(&self) -> [f64; 2] {
        [self.prompt, decode_passes(self.output)].map(|tokens| (tokens * self.batch) as f64)
    }

    /// Counts the operations of the request on a model, and the operations that an adapter adds.
    pub fn estimate(&self, shape: &Shape, adapter: AdapterFlops) -> FlopEstimate {
        let batch = self.batch as f64;
        let phases = |count| {
            let counted = FlopCounter { shape, adapter, count };
            let (prefill, decode) = counted.generation(self.prompt, self.output, self.logits);
            PhaseFlops { prefill: prefill * batch, decode: decode * batch }
        };
        let doubled = 2.0 * active_parameters(shape);
        FlopEstimate {
            needed: phases(FlopCount::Needed),
            executed: phases(FlopCount::Executed),
            doubled: self.tokens().map(|tokens| doubled * tokens),
        }
    }
}
