//! The latest messages of a run.

use crate::watch::message::RunMessage;
use std::collections::VecDeque;

/// The most messages that are kept. All of them are in the record.
const KEPT: usize = 1000;

/// Messages with the times at which they came, ns since the run began, numbered from 0.
#[derive(Debug, Default)]
pub(super) struct MessageLog {
    kept: VecDeque<(u64, RunMessage)>,
    count: u64,
}

impl MessageLog {
    pub(super) fn add(&mut self, t_ns: u64, message: RunMessage) {
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back((t_ns, message));
        self.count += 1;
    }

    /// The number of messages so far, also of those that are not kept.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The kept messages before the one with number `end`, newest first.
    pub(super) fn newest_first(&self, end: u64) -> impl Iterator<Item = &(u64, RunMessage)> {
        let skipped = self.count.saturating_sub(end) as usize;
        self.kept.iter().rev().skip(skipped)
    }
}
