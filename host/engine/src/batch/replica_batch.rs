//! The sequences and KV caches of one replica: which sequence has which cache, and what each cache contains.

use super::{kv_reuse::CacheOrigin, sequence::Sequence};
use crate::{
    adapters::{ActiveAdapter, AdapterId},
    parallel::{BatchMemory, rank_command::KvCopy},
};
use llem_checkpoint::RopeRange;
use std::collections::BTreeMap;

/// The part of a continuous batch that runs on one replica.
pub(super) struct ReplicaBatch {
    pub memory: BatchMemory,
    pub running: Vec<Sequence>,
    /// The caches of ended sequences that hold their KV memory, by the sequences' names.
    pub held: BTreeMap<u64, CacheSlot>,
    /// Caches that no sequence has, in the order in which they were freed.
    pub free: Vec<CacheSlot>,
    /// Copies between caches, in this order, that must be made before the next pass.
    pub copies: Vec<KvCopy>,
    prefix_cache: bool,
    /// Number of prompt tokens for which a cached prefix was looked for.
    pub prefix_queries: u64,
    /// Number of these tokens that were found in a cache.
    pub prefix_hits: u64,
}

/// A KV cache, and what the last sequence has left in it.
pub(super) struct CacheSlot {
    pub slot: usize,
    /// Prompt and output of the sequence.
    pub context: Vec<u32>,
    /// Number of these tokens, counted from the first, whose keys and values are in the cache.
    pub past: usize,
    /// The adapter that the sequence ran with.
    pub adapter: Option<ActiveAdapter>,
    /// The rotary frequencies of the cached keys.
    pub rope_range: RopeRange,
}

impl CacheSlot {
    /// Creates the slot of a sequence that does not run any more.
    pub(super) fn from_sequence(sequence: &Sequence) -> Self {
        Self {
            slot: sequence.slot,
            context: sequence.context().collect(),
            past: sequence.past(),
            adapter: sequence.adapter.clone(),
            rope_range: sequence.rope_range,
        }
    }

    /// Creates a slot whose cache is empty.
    fn empty(slot: usize) -> Self {
        let rope_range = RopeRange::Original;
        Self { slot, context: Vec::new(), past: 0, adapter: None, rope_range }
    }
}

/// Returns the adapter that changes keys and values. Returns `None` if the adapter is merged, because then it changes
/// those of all sequences.
pub(super) fn adapter_id(adapter: Option<&ActiveAdapter>) -> Option<AdapterId> {
    Some(adapter?.attached()?.id)
}

impl ReplicaBatch {
    /// Creates a replica's part with `caches` KV caches.
    pub(super) fn new(memory: BatchMemory, caches: usize, prefix_cache: bool) -> Self {
        Self {
            memory,
            running: Vec::new(),
            held: BTreeMap::new(),
            free: (0..caches).rev().map(CacheSlot::empty).collect(),
            copies: Vec::new(),
            prefix_cache,
            prefix_queries: 0,
            prefix_hits: 0,
        }
    }

    /// Starts a sequence in a free cache. There must be a free one. The sequence takes over the cache that it is
    /// forked from or, with a prefix cache, the longest prefix that any cache contains.
    pub(super) fn start(&mut self, mut sequence: Sequence) {
        let source = match sequence.origin {
            Some(CacheOrigin::Fork { slot, .. }) => Some((slot, sequence.past())),
            _ if self.prefix_cache && !sequence.keeps_logits() => self.find_prefix(&sequence),
            _ => None,
        };
        let in_place =
            source.and_then(|(slot, _)| self.free.iter().position(|cached| cached.slot == slot));
        let place = in_place.unwrap_or_else(|| self.least_useful());
        sequence.slot = self.free.remove(place).slot;
        if let Some((from, tokens)) = source {
            sequence.take_over(tokens);
            if in_place.is_none() {
                self.copies.push(KvCopy { from, to: sequence.slot, tokens });
            }
        }
        self.running.push(sequence);
    }

    /// Returns the index of the free cache whose content is least useful. With a prefix cache this is an empty one,
    /// or else the one that was freed first. Otherwise it is the one that was freed last, because its memory has been
    /// touched already.
    fn least_useful(&self) -> usize {
        match self.prefix_cache {
            true => self.free.iter().rposition(|cached| cached.past == 0).unwrap_or(0),
            false => self.free.len() - 1,
        }
    }

    /// Finds the cache with the longest prefix of a prompt without its last token, and returns the cache's slot and
    /// the prefix's length. A free cache is preferred. Returns `None` if no cache contains the prompt's first token.
    fn find_prefix(&mut self, sequence: &Sequence) -> Option<(usize, usize)> {
        let adapter = adapter_id(sequence.adapter.as_ref());
        let most = sequence.prompt_tokens() - 1;
        let in_cache = |cached: &CacheSlot| {
            let known = cached.context.iter().copied().take(cached.past);
            let is_same = adapter_id(cached.adapter.as_ref()) == adapter
                && cached.rope_range.is_compatible_with(sequence.rope_range);
            is_same.then(|| (cached.slot, common(sequence, known, most)))
        };
        let in_running = |other: &Sequence| {
            let known = other.context().take(other.past());
            let is_same = adapter_id(other.adapter.as_ref()) == adapter
                && other.rope_range.is_compatible_with(sequence.rope_range);
            is_same.then(|| (other.slot, common(sequence, known, most)))
        };
        let found = self.held.values().filter_map(in_cache);
        let found = found.chain(self.running.iter().filter_map(in_running));
        // `max_by_key` takes the last of several equal ones.
        let found = found.chain(self.free.iter().filter_map(in_cache));
        let found = found.max_by_key(|&(_, tokens)| tokens).filter(|&(_, tokens)| tokens > 0);
        self.prefix_queries += sequence.prompt_tokens() as u64;
        self.prefix_hits += found.map_or(0, |(_, tokens)| tokens as u64);
        found
    }

    /// Takes out the sequences that have ended. Those that hold their KV memory keep their caches.
    pub(super) fn take_ended(&mut self) -> Vec<Sequence> {
        let has_ended = |sequence: &mut Sequence| !sequence.is_running();
        let ended: Vec<Sequence> = self.running.extract_if(.., has_ended).collect();
        for sequence in &ended {
            let cached = CacheSlot::from_sequence(sequence);
            match sequence.hold {
                true => drop(self.held.insert(sequence.name, cached)),
                false => self.free.push(cached),
            }
        }
        ended
    }
}

/// Counts with how many of the `known` tokens the sequence's prompt begins, at most `most`.
fn common(sequence: &Sequence, known: impl Iterator<Item = u32>, most: usize) -> usize {
    sequence.context().take(most).zip(known).take_while(|(ours, theirs)| ours == theirs).count()
}
