//! Requests of a run as its journal tells them: samples of latencies, shares of energy, arrivals, and passes.

use llem_record::{
    BatchSequenceRecord, Event, GenerationRecord, JournalLine, SequenceEnergy, SequenceRecord,
};
use std::collections::BTreeMap;

/// The most sequences of which shares are kept for one batch.
const SHARES: usize = 64;

/// What the requests of a group have in common, as in [`llem_record::RequestGroup`].
pub(crate) type Key = (Option<u64>, String, String);

/// What the journal tells of the requests of each group, and of each batch.
#[derive(Debug, Default)]
pub(crate) struct Requests {
    groups: BTreeMap<Key, GroupSamples>,
    /// Sequences that shared steps, in the order of the journal.
    pub batches: Vec<SharedBatch>,
}

/// The samples of one group.
#[derive(Debug, Default)]
pub(crate) struct GroupSamples {
    /// Times to first token, s, ascending. So are the following.
    pub ttft: Vec<f64>,
    /// Times between tokens, s.
    pub itl: Vec<f64>,
    /// Times per output token, s.
    pub tpot: Vec<f64>,
    /// End-to-end latencies, s.
    pub e2el: Vec<f64>,
    /// Arrivals of sequences of continuous batches, ns since the run began.
    pub arrivals: Vec<u64>,
    /// Number of decode passes of static requests: the tokens after the first of each request's longest sequence.
    pub decode_passes: u64,
    /// Number of tokens whose keys and values the decode passes of static requests read, summed over passes and sequences: each
    /// pass of a sequence reads those of all tokens before it.
    pub decode_cached_tokens: u64,
    /// Number of static requests.
    pub static_requests: u64,
}

/// Sequences that shared the steps of a continuous batch or of a static request with several prompts.
#[derive(Debug)]
pub(crate) struct SharedBatch {
    /// The number of the continuous batch. `None` for a static request.
    pub number: Option<u64>,
    pub label: String,
    pub phase: String,
    pub sequences: Vec<Share>,
    /// Number of sequences that are not in `sequences`.
    pub left_out: u64,
}

/// One sequence of a batch.
#[derive(Debug)]
pub(crate) struct Share {
    pub name: String,
    pub prompt_tokens: u32,
    pub output_tokens: usize,
    pub energy: Option<SequenceEnergy>,
}

impl Requests {
    /// Adds a line of the journal. Lines that are not about requests have no effect.
    pub(crate) fn add(&mut self, line: &JournalLine) {
        match &line.event {
            Event::Generation(generation) => self.add_generation(generation),
            Event::BatchSequence(sequence) => self.add_batch_sequence(sequence),
            _ => {}
        }
    }

    /// Sorts all samples. It is called once, after the last line.
    pub(crate) fn sort(&mut self) {
        for group in self.groups.values_mut() {
            for samples in [&mut group.ttft, &mut group.itl, &mut group.tpot, &mut group.e2el] {
                samples.sort_by(f64::total_cmp);
            }
            group.arrivals.sort_unstable();
        }
    }

    /// Returns the samples of a group, or `None` if the journal has none.
    pub(crate) fn group(&self, key: &Key) -> Option<&GroupSamples> {
        self.groups.get(key)
    }

    fn add_generation(&mut self, generation: &GenerationRecord) {
        let window = &generation.window;
        let key = (generation.model, window.phase.clone(), window.label.clone());
        let group = self.groups.entry(key).or_default();
        generation.sequences.iter().for_each(|sequence| group.add(sequence));
        let longest = generation.sequences.iter().map(|sequence| sequence.tokens.len()).max();
        group.decode_passes += longest.unwrap_or(0).saturating_sub(1) as u64;
        group.decode_cached_tokens += generation.sequences.iter().map(cached_tokens).sum::<u64>();
        group.static_requests += 1;
        let is_first = group.static_requests == 1;
        if is_first && generation.sequences.len() > 1 {
            let shares = generation.sequences.iter().enumerate();
            let mut batch = SharedBatch::new(None, &window.label, &window.phase);
            shares.for_each(|(place, sequence)| batch.add(format!("{}", place + 1), sequence));
            self.batches.push(batch);
        }
    }

    fn add_batch_sequence(&mut self, ended: &BatchSequenceRecord) {
        let key = (ended.model, ended.phase.clone(), ended.label.clone());
        let group = self.groups.entry(key).or_default();
        group.add(&ended.sequence);
        group.arrivals.push(ended.sequence.submitted_ns);
        let same = |batch: &SharedBatch| batch.number == Some(ended.batch);
        let place = self.batches.iter().position(same).unwrap_or_else(|| {
            self.batches.push(SharedBatch::new(Some(ended.batch), &ended.label, &ended.phase));
            self.batches.len() - 1
        });
        self.batches[place].add(format!("{}", ended.name), &ended.sequence);
    }
}

/// Returns the tokens whose keys and values the decode passes of a sequence read. The first pass reads those of the prompt and
/// of the first token, and each later pass those of one token more.
fn cached_tokens(sequence: &SequenceRecord) -> u64 {
    let passes = sequence.tokens.len().saturating_sub(1) as u64;
    passes * u64::from(sequence.prompt_tokens) + passes * (passes + 1) / 2
}

impl GroupSamples {
    fn add(&mut self, sequence: &SequenceRecord) {
        let (Some(first), Some(last)) = (sequence.token_ns.first(), sequence.token_ns.last())
        else {
            return;
        };
        let since = |from: u64, to: u64| to.saturating_sub(from) as f64 * 1e-9;
        self.ttft.push(since(sequence.submitted_ns, *first));
        self.e2el.push(since(sequence.submitted_ns, *last));
        self.itl.extend(sequence.token_ns.windows(2).map(|pair| since(pair[0], pair[1])));
        let after_first = sequence.token_ns.len() - 1;
        if after_first > 0 {
            self.tpot.push(since(*first, *last) / after_first as f64);
        }
    }
}

impl SharedBatch {
    fn new(number: Option<u64>, label: &str, phase: &str) -> Self {
        let (label, phase) = (label.to_owned(), phase.to_owned());
        Self { number, label, phase, sequences: Vec::new(), left_out: 0 }
    }

    fn add(&mut self, name: String, sequence: &SequenceRecord) {
        if self.sequences.len() == SHARES {
            self.left_out += 1;
            return;
        }
        self.sequences.push(Share {
            name,
            prompt_tokens: sequence.prompt_tokens,
            output_tokens: sequence.tokens.len(),
            energy: sequence.energy.clone(),
        });
    }
}
