//! The sequences and KV caches of one replica: who has which cache, and what each cache holds.

use super::{reuse::Origin, sequence::Sequence};
use crate::{
    adapters::{Adapted, AdapterId},
    parallel::{BatchRoom, command::KvCopy},
};
use llem_checkpoint::families::RopeRange;
use std::collections::BTreeMap;

/// What runs on one replica.
pub(super) struct Lane {
    pub room: BatchRoom,
    pub running: Vec<Sequence>,
    /// What sequences that have ended keep, by their names.
    pub held: BTreeMap<u64, Cached>,
    /// Caches that no sequence has, in the order in which they were let go of.
    pub free: Vec<Cached>,
    /// What is to be copied, in this order, before anything else is run.
    pub copies: Vec<KvCopy>,
    prefix_cache: bool,
    /// Prompt tokens for which prefixes were looked for.
    pub prefix_queries: u64,
    /// Those of them that were found.
    pub prefix_hits: u64,
}

/// A KV cache, and the sequence that it was last used for.
pub(super) struct Cached {
    pub slot: usize,
    /// The sequence's prompt and output.
    pub context: Vec<u32>,
    /// How many of those have their keys and values in the cache, from the first.
    pub past: usize,
    /// What they ran with.
    pub adapter: Option<Adapted>,
    /// Which frequencies their keys are rotated with.
    pub rope_range: RopeRange,
}

impl Cached {
    /// The cache of a sequence that does not run any more.
    pub fn of(sequence: &Sequence) -> Self {
        Self {
            slot: sequence.slot,
            context: sequence.context().collect(),
            past: sequence.past(),
            adapter: sequence.adapter.clone(),
            rope_range: sequence.rope_range,
        }
    }

    /// A cache that holds nothing.
    fn blank(slot: usize) -> Self {
        let rope_range = RopeRange::Original;
        Self { slot, context: Vec::new(), past: 0, adapter: None, rope_range }
    }
}

/// What an adapter changes keys and values by; none where it is part of the weights, as it is then for all sequences.
pub(super) fn adapter_id(adapter: Option<&Adapted>) -> Option<AdapterId> {
    Some(adapter?.attached()?.id)
}

impl Lane {
    /// With so many KV caches.
    pub fn new(room: BatchRoom, caches: usize, prefix_cache: bool) -> Self {
        Self {
            room,
            running: Vec::new(),
            held: BTreeMap::new(),
            free: (0..caches).rev().map(Cached::blank).collect(),
            copies: Vec::new(),
            prefix_cache,
            prefix_queries: 0,
            prefix_hits: 0,
        }
    }

    /// Runs a sequence from a free cache, of which there must be one. It takes over what it forks or, with a prefix
    /// cache, the longest prefix that any cache holds.
    pub fn start(&mut self, mut sequence: Sequence) {
        let source = match sequence.origin {
            Some(Origin::Fork { slot, .. }) => Some((slot, sequence.past())),
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

    /// The place of the free cache whose content is missed least: with a prefix cache a blank one, or else the one
    /// that was let go of longest ago; otherwise the last, whose memory was touched already.
    fn least_useful(&self) -> usize {
        match self.prefix_cache {
            true => self.free.iter().rposition(|cached| cached.past == 0).unwrap_or(0),
            false => self.free.len() - 1,
        }
    }

    /// The slot of the cache that holds the longest prefix of a prompt, without its last token, and the prefix's length; a
    /// free cache rather than another. None where no cache holds its first token.
    fn find_prefix(&mut self, sequence: &Sequence) -> Option<(usize, usize)> {
        let adapter = adapter_id(sequence.adapter.as_ref());
        let most = sequence.prompt_tokens() - 1;
        let in_cache = |cached: &Cached| {
            let known = cached.context.iter().copied().take(cached.past);
            let is_same = adapter_id(cached.adapter.as_ref()) == adapter
                && cached.rope_range.serves(sequence.rope_range);
            is_same.then(|| (cached.slot, common(sequence, known, most)))
        };
        let in_running = |other: &Sequence| {
            let known = other.context().take(other.past());
            let is_same = adapter_id(other.adapter.as_ref()) == adapter
                && other.rope_range.serves(sequence.rope_range);
            is_same.then(|| (other.slot, common(sequence, known, most)))
        };
        let found = self.held.values().filter_map(in_cache);
        let found = found.chain(self.running.iter().filter_map(in_running));
        // Of several that are as long, `max_by_key` takes the last.
        let found = found.chain(self.free.iter().filter_map(in_cache));
        let found = found.max_by_key(|&(_, tokens)| tokens).filter(|&(_, tokens)| tokens > 0);
        self.prefix_queries += sequence.prompt_tokens() as u64;
        self.prefix_hits += found.map_or(0, |(_, tokens)| tokens as u64);
        found
    }

    /// Takes out the sequences that have ended. Those that hold their caches keep them.
    pub fn take_ended(&mut self) -> Vec<Sequence> {
        let has_ended = |sequence: &mut Sequence| !sequence.is_running();
        let ended: Vec<Sequence> = self.running.extract_if(.., has_ended).collect();
        for sequence in &ended {
            let cached = Cached::of(sequence);
            match sequence.hold {
                true => drop(self.held.insert(sequence.name, cached)),
                false => self.free.push(cached),
            }
        }
        ended
    }
}

/// How many of the `known` tokens a sequence's prompt begins with, at most `most`.
fn common(sequence: &Sequence, known: impl Iterator<Item = u32>, most: usize) -> usize {
    sequence.context().take(most).zip(known).take_while(|(ours, theirs)| ours == theirs).count()
}
