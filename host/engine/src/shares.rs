//! How much of a step is whose: the share of each sequence in the operations and in the bytes that are read.
//!
//! ```text
//! operations   own matrix products and attention             what a step costs where it computes all the time
//! bytes        weights in equal parts, own keys and values   what it costs where it waits for memory
//! ```
//!
//! A step is somewhere in between (the roofline model: Williams, Waterman and Patterson, CACM 52(4), 2009). Which of the
//! two is nearer depends on the device, so both are told, and how far they are apart says how much is not known.

use crate::{Info, adapters::Adapted, flops::Counted};

/// What a step ran of one sequence.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Tokens run.
    pub new: usize,
    /// Tokens of it that were in the KV cache before.
    pub past: usize,
    /// Positions whose logits were computed.
    pub logits: usize,
    /// What they ran with.
    pub adapter: Option<&'a Adapted>,
}

/// A sequence's part of a step, between 0 and 1. The parts of all its sequences add up to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Share {
    /// Of the operations.
    pub operations: f64,
    /// Of the bytes that are read.
    pub bytes: f64,
}

/// The operations that each sequence of a step needs on this model, FLOP.
pub fn operations(info: &Info, rows: &[Rows<'_>]) -> Vec<f64> {
    let of = |rows: &Rows<'_>| {
        let counted = Counted::new(&info.shape, rows.adapter);
        counted.pass(rows.new, rows.past, rows.logits).total()
    };
    rows.iter().map(of).collect()
}

/// The shares of the sequences that a step ran on this model, which need these operations.
pub fn of_step(info: &Info, rows: &[Rows<'_>], operations: &[f64]) -> Vec<Share> {
    let kv_bytes = info.kv_bytes_per_token as f64;
    let weights = info.decode_weight_bytes as f64 / rows.len() as f64;
    let bytes = |rows: &Rows<'_>| weights + (rows.past + rows.new) as f64 * kv_bytes;
    let all = Share { operations: operations.iter().sum(), bytes: rows.iter().map(bytes).sum() };
    let even = 1.0 / rows.len() as f64;
    let part = |one: f64, all: f64| if all > 0.0 { one / all } else { even };
    let share = |(rows, operations): (&Rows<'_>, &f64)| Share {
        operations: part(*operations, all.operations),
        bytes: part(bytes(rows), all.bytes),
    };
    rows.iter().zip(operations).map(share).collect()
}

impl Share {
    /// Half way between the two.
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
        let row = |new, past| Rows { new, past, logits: 1, adapter: None };
        let of_step =
            |rows: &[Rows<'_>]| of_step(model.info(), rows, &operations(model.info(), rows));
        let shares = of_step(&[row(1, 10), row(1, 500), row(100, 0), row(1, 10)]);
        let sum = |of: fn(&Share) -> f64| shares.iter().map(of).sum::<f64>();
        assert!((sum(|share| share.operations) - 1.0).abs() < 1e-12);
        assert!((sum(|share| share.bytes) - 1.0).abs() < 1e-12);
        assert!((sum(|share| share.mean()) - 1.0).abs() < 1e-12);
        assert_eq!(shares[0], shares[3]);
        // A longer context costs more of both; a prompt is nearly all of the operations, and one reader of the weights.
        assert!(shares[1].operations > shares[0].operations && shares[1].bytes > shares[0].bytes);
        assert!(shares[2].operations > 0.9 && shares[2].bytes < 0.5, "{shares:?}");
        assert_eq!(of_step(&[row(7, 3)]), [Share { operations: 1.0, bytes: 1.0 }]);
        assert!(of_step(&[]).is_empty());
    }
}
