//! What the engine works on: the running request, the open batches, and how much has ended.

use std::collections::BTreeMap;

/// What the engine works on now.
#[derive(Debug, Default)]
pub(super) struct WorkInProgress {
    pub request: Option<RunningRequest>,
    /// A call of `score` that goes on: requests in the call, and completed ones.
    pub scoring: Option<(u64, u64)>,
    batches: BTreeMap<u64, BatchWork>,
    /// The number of static requests, calls of `score` and sequences of batches that have ended.
    pub ended: u64,
}

/// A static request, or a call of `score`, on the engine's thread.
#[derive(Debug)]
pub(super) struct RunningRequest {
    pub label: String,
    /// The most tokens that it can have.
    pub most: u64,
    pub began_ns: u64,
    /// The number of its tokens so far.
    pub tokens: u64,
}

/// A continuous batch.
#[derive(Debug, Default)]
pub(super) struct BatchWork {
    /// The highest number of sequences that run at a time; 0 if it is not known.
    pub most: u64,
    pub ended: u64,
    open: BTreeMap<u64, OpenSequence>,
}

/// A sequence of a batch that has not ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OpenSequence {
    /// The number of tokens that were counted.
    pub counted: u32,
    /// When the last of them was on the host, ns.
    pub last_ns: Option<u64>,
}

impl WorkInProgress {
    pub(super) fn open_batch(&mut self, batch: u64, most: u64) {
        // A script works on one batch at a time, or on few. The others have nothing that a view shows.
        self.batches.retain(|_, other| !other.open.is_empty());
        self.batches.insert(batch, BatchWork { most, ..BatchWork::default() });
    }

    pub(super) fn add_sequences(&mut self, batch: u64, names: &[u64]) {
        let open = &mut self.batches.entry(batch).or_default().open;
        open.extend(names.iter().map(|&name| (name, OpenSequence::default())));
    }

    /// The sequence of a batch, which is open.
    pub(super) fn sequence(&mut self, batch: u64, name: u64) -> &mut OpenSequence {
        self.batches.entry(batch).or_default().open.entry(name).or_default()
    }

    pub(super) fn end_sequence(&mut self, batch: u64, name: u64) {
        let found = self.batches.entry(batch).or_default();
        found.open.remove(&name);
        found.ended += 1;
        self.ended += 1;
    }

    /// The batches that are open, by number, the latest last.
    pub(super) fn batches(&self) -> impl DoubleEndedIterator<Item = (u64, &BatchWork)> {
        self.batches.iter().map(|(&number, batch)| (number, batch))
    }
}

impl BatchWork {
    /// The number of sequences that have tokens and go on.
    pub(super) fn running(&self) -> usize {
        self.open.values().filter(|sequence| sequence.counted > 0).count()
    }

    /// The number of sequences that have no token yet: they wait, or their prompt is processed.
    pub(super) fn waiting(&self) -> usize {
        self.open.len() - self.running()
    }
}
