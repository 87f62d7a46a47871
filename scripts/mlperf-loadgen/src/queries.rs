//! The queries of a run, all generated beforehand: which samples, and when they are due.

use crate::{
    random::Mt19937,
    settings::{MS, Scenario, Settings},
};

/// A query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Query {
    /// The indices of its samples.
    pub(crate) samples: Vec<u64>,
    /// When it is due after the start, in ns. Only in Server it is sent at that time.
    pub(crate) due: u64,
}

/// Returns the indices of the loaded samples in their order (`GenerateLoadableSets`; the first set). In MultiStream the
/// first ones are there again at the end, so that any query can have samples in a row.
pub(crate) fn loaded_samples(settings: &Settings) -> Vec<u64> {
    let loaded = settings.performance_sample_count.min(settings.total_sample_count);
    let mut samples: Vec<u64> = (0..loaded).collect();
    Mt19937::new(settings.requested.qsl_rng_seed).shuffle(&mut samples);
    if settings.scenario() == Scenario::MultiStream {
        for at in 0..settings.samples_per_query as usize - 1 {
            samples.push(samples[at]);
        }
    }
    samples
}

/// Returns the queries of a run (`GenerateQueries`), and when the next one would be due, in ns. `loaded` is what
/// [`loaded_samples`] returned.
///
/// One generator draws all orders of samples, so that every draw below counts, also those whose result is not used.
pub(crate) fn generate(settings: &Settings, loaded: &[u64]) -> (Vec<Query>, u64) {
    let (requested, scenario) = (&settings.requested, settings.scenario());
    let mut sample_random = Mt19937::new(requested.sample_index_rng_seed);
    let mut schedule_random = Mt19937::new(requested.schedule_rng_seed);
    let (set, equal_issue) = (loaded.len() as u64, requested.equal_issue);
    // The set without what MultiStream adds to it.
    let distinct = settings.performance_sample_count.min(settings.total_sample_count);
    let stride = if scenario == Scenario::MultiStream { settings.samples_per_query } else { 1 };
    let mut unique: Vec<u64> = (0..distinct).step_by(stride as usize).collect();
    sample_random.shuffle(&mut unique);
    let order = permutations(settings.min_query_count, set, &mut sample_random);

    let mut samples_per_query = settings.samples_per_query;
    let mut min_queries = settings.min_query_count;
    if equal_issue {
        let padded =
            if scenario == Scenario::Offline { &mut samples_per_query } else { &mut min_queries };
        *padded = padded.next_multiple_of(set);
    }
    let duration = settings.target_duration * MS * if scenario == Scenario::Server { 1 } else { 2 };
    let (mut due, mut last_due) = (0, 0);
    let mut queries = Vec::new();
    while last_due < duration || (queries.len() as u64) < min_queries {
        let samples = match scenario {
            Scenario::MultiStream => {
                let first = sample_random.below(distinct as u32) as usize;
                loaded[first..first + samples_per_query as usize].to_vec()
            }
            Scenario::Offline => {
                all_at_once(samples_per_query, loaded, equal_issue, &mut sample_random)
            }
            Scenario::SingleStream | Scenario::Server if equal_issue => {
                vec![loaded[order[queries.len() % order.len()]]]
            }
            Scenario::SingleStream | Scenario::Server => {
                vec![loaded[sample_random.below(distinct as u32) as usize]]
            }
        };
        queries.push(Query { samples, due });
        last_due = due;
        due += match scenario {
            Scenario::Server => schedule_random.exponential(settings.target_qps) * 1e9,
            _ => 1.0 / settings.target_qps * 1e9,
        } as u64;
        let is_enough = queries.len() as u64 >= min_queries;
        if equal_issue && is_enough && last_due < duration && scenario != Scenario::Offline {
            min_queries += set;
        }
    }
    (queries, due)
}

/// Returns positions in the loaded set: permutations of all, one after another, at least `count` positions in total.
fn permutations(count: u64, set: u64, random: &mut Mt19937) -> Vec<usize> {
    let mut positions: Vec<usize> = (0..set as usize).collect();
    let mut order = Vec::new();
    for _ in 0..count.div_ceil(set) {
        random.shuffle(&mut positions);
        order.extend_from_slice(&positions);
    }
    order
}

/// Returns the samples of the only query of Offline: the loaded set again and again, each time shuffled in equal issue mode.
fn all_at_once(count: u64, loaded: &[u64], shuffled: bool, random: &mut Mt19937) -> Vec<u64> {
    let mut samples = Vec::with_capacity(count as usize);
    while samples.len() < count as usize {
        let rest = (count as usize - samples.len()).min(loaded.len());
        let from = samples.len();
        samples.extend_from_slice(&loaded[..rest]);
        if shuffled {
            random.shuffle(&mut samples[from..]);
        }
    }
    samples
}
