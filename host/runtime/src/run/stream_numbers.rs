//! The numbers of the streams that sequences draw their random numbers from.
//!
//! ```text
//! phase            sequences      streams
//! warmup           0 1 2          0·2³²  0·2³² + 1  0·2³² + 2
//! measure          0 1            1·2³²  1·2³² + 1
//! ```
//!
//! A warm-up that goes on until times settle has another length in each run. So each phase has streams of its own, by the
//! order in which the phases first had a request, and a phase's tokens do not depend on how many requests another had.

use std::collections::HashMap;

/// The streams that one phase has. The numbers stay below 2^53, which is exact in every reader of JSON, up to 2^21 phases.
const PER_PHASE: u64 = 1 << 32;

/// The streams that the sequences of a run have used so far.
#[derive(Debug, Default)]
pub(crate) struct StreamNumbers {
    /// By the names of the open phases, joined by `/`: the next stream.
    next: HashMap<String, u64>,
}

impl StreamNumbers {
    /// Reserves `count` streams that no sequence of the run has used, and returns the number of the first.
    pub(crate) fn reserve(&mut self, phase: &str, count: usize) -> u64 {
        let phases = self.next.len() as u64;
        let next = self.next.entry(phase.to_owned()).or_insert(phases * PER_PHASE);
        let first = *next;
        *next += count as u64;
        first
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phase_has_the_same_streams_however_many_requests_another_had() {
        let of_measure = [1, 100].map(|warm_up| {
            let mut streams = StreamNumbers::default();
            for _ in 0..warm_up {
                streams.reserve("batch/warmup", 4);
            }
            [streams.reserve("batch", 3), streams.reserve("batch", 1)]
        });
        assert_eq!(of_measure, [[PER_PHASE, PER_PHASE + 3]; 2]);
    }

    #[test]
    fn a_phase_that_is_opened_again_goes_on() {
        let mut streams = StreamNumbers::default();
        let used = ["a", "b", "a", ""].map(|phase| streams.reserve(phase, 2));
        assert_eq!(used, [0, PER_PHASE, 2, 2 * PER_PHASE]);
    }
}
