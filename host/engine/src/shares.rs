//! The share of each sequence in the cost of a step: in its operations, and in the bytes that it reads.
//!
//! ```text
//! operations   own matrix products and attention             what a step costs where it computes all the time
//! bytes        weights in equal parts, own keys and values   what it costs where it waits for memory
//! ```
//!
//! The true cost lies between the two shares (the roofline model: Williams, Waterman and Patterson, CACM 52(4),
//! 2009). It depends on the device which of them is closer. So both are reported, and their distance is the
//! uncertainty.

use crate::{ModelInfo, adapters::ActiveAdapter, flops::FlopCounter};

/// The rows of one sequence in a step.
#[derive(Clone, Copy, Debug)]
pub struct SequenceRows<'a> {
    /// Number of tokens that were run.
    pub new: usize,
    /// Number of the sequence's tokens that were in the KV cache before.
    pub past: usize,
    /// Number of positions whose logits were computed.
    pub logits: usize,
    /// The adapter that the rows ran with.
    pub adapter: Option<&'a ActiveAdapter>,
}

/// A sequence's share in a step, between 0 and 1. The shares of all sequences of the step add up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StepShare {
    /// Share in the step's floating-point operations.
    pub operations: f64,
    /// Share in the bytes that the step reads.
    pub bytes: f64,
}

/// Returns the FLOP that each sequence of a step needs.
pub fn sequence_operations(info: &ModelInfo, rows: &[SequenceRows<'_>]) -> Vec<f64> {
    let of = |rows: &SequenceRows<'_>| {
        let counted = FlopCounter::new(&info.shape, rows.adapter);
        counted.pass(rows.new, rows.past, rows.logits).total()
    };
    rows.iter().map(of).collect()
}

/// Returns the shares of the sequences of a step. `operations` are their FLOP, as [`sequence_operations`] returns
/// them.
pub fn step_shares(
    info: &ModelInfo,
    rows: &[SequenceRows<'_>],
    operations: &[f64],
) -> Vec<StepShare> {
    let kv_bytes = info.kv_bytes_per_token as f64;
    let weights = info.decode_weight_bytes as f64 / rows.len() as f64;
    let bytes = |rows: &SequenceRows<'_>| weights + (rows.past + rows.new) as f64 * kv_bytes;
    let all =
        StepShare { operations: operations.iter().sum(), bytes: rows.iter().map(bytes).sum() };
    let even = 1.0 / rows.len() as f64;
    let part = |one: f64, all: f64| if all > 0.0 { one / all } else { even };
    let share = |(rows, operations): (&SequenceRows<'_>, &f64)| StepShare {
        operations: part(*operations, all.operations),
        bytes: part(bytes(rows), all.bytes),
    };
    rows.iter().zip(operations).map(share).collect()
}

impl StepShare {
    /// Returns the mean of both shares.
    pub fn mean(self) -> f64 {
        f64::midpoint(self.operations, self.bytes)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

    use super::*;
    use crate::{LoadOptions, Model};

    #[test]
    fn shares_add_up_and_go_by_what_each_sequence_ran() {
        let model = Model::load(&LoadOptions::new("synthetic:tiny".parse().unwrap())).unwrap();
        let row = |new, past| SequenceRows { new, past, logits: 1, adapter: None };
        let step_shares = |rows: &[SequenceRows<'_>]| {
            step_shares(model.info(), rows, &sequence_operations(model.info(), rows))
        };
        let shares = step_shares(&[row(1, 10), row(1, 500), row(100, 0), row(1, 10)]);
        let sum = |of: fn(&StepShare) -> f64| shares.iter().map(of).sum::<f64>();
        assert!((sum(|share| share.operations) - 1.0).abs() < 1e-12);
        assert!((sum(|share| share.bytes) - 1.0).abs() < 1e-12);
        assert!((sum(|share| share.mean()) - 1.0).abs() < 1e-12);
        assert_eq!(shares[0], shares[3]);
        // A longer context costs more of both. A prompt has nearly all of the operations, but only one part of the
        // weights' bytes.
        assert!(shares[1].operations > shares[0].operations && shares[1].bytes > shares[0].bytes);
        assert!(shares[2].operations > 0.9 && shares[2].bytes < 0.5, "{shares:?}");
        assert_eq!(step_shares(&[row(7, 3)]), [StepShare { operations: 1.0, bytes: 1.0 }]);
        assert!(step_shares(&[]).is_empty());
    }
}
