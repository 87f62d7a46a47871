//! The mean figures of an earlier run, for a synthetic host that replays it.
//!
//! Energies of a record contain the power at rest. A synthetic host adds it by itself, so it is subtracted here:
//!
//! ```text
//! joules per token = (energy of the phase − idle watts × time of the phase) / tokens of the phase
//! ```

use super::GivenFigures;
use llem_quantity::ReadingRecord;
use llem_record::{RequestGroup, RunRecord};

/// The time, energy and tokens of one phase, over all groups of requests that have them.
#[derive(Clone, Copy, Default)]
struct PhaseSums {
    seconds: f64,
    joules: Option<f64>,
    tokens: f64,
}

/// Returns the mean figures of a run. What its record lacks is `None`. `idle_watts` is the power at rest that is
/// subtracted if the record has no baseline.
pub(super) fn from_record(record: &RunRecord, idle_watts: f64) -> GivenFigures {
    let loads = record.models.iter().map(|model| model.load_ns as f64 * 1e-9);
    let idle = record
        .baselines
        .last()
        .map(|baseline| baseline.power.iter().filter_map(|idle| value(&idle.power)).sum::<f64>());
    // Only static requests have times of their phases. A sequence of a batch shares its steps with others.
    let prefill = sums(record, |group| {
        let activity = &group.activity;
        (activity.prefill_ns, group.energy_prefill.as_ref(), activity.prompt_tokens)
    });
    let decode = sums(record, |group| {
        let activity = &group.activity;
        let decoded = activity.output_tokens.saturating_sub(activity.requests);
        (activity.decode_ns, group.energy_decode.as_ref(), decoded)
    });
    let gaps = record.groups.iter().filter_map(|group| group.itl_s.as_ref());
    let gaps = gaps.map(|itl| (itl.mean * itl.count as f64, itl.count as f64));
    let joules = |sums: PhaseSums| {
        let work = sums.joules? - idle.unwrap_or(idle_watts) * sums.seconds;
        (sums.tokens > 0.0).then(|| (work / sums.tokens).max(0.0))
    };
    GivenFigures {
        seed: None,
        load_s: mean(loads.map(|load| (load, 1.0))),
        prefill_s_per_token: mean([(prefill.seconds, prefill.tokens)]).filter(|&mean| mean > 0.0),
        decode_s_per_step: mean(gaps).filter(|&mean| mean > 0.0),
        idle_watts: idle.filter(|&watts| watts > 0.0),
        prefill_joules_per_token: joules(prefill),
        decode_joules_per_token: joules(decode),
    }
}

/// Sums a phase over all groups in which it took time.
fn sums<'a>(
    record: &'a RunRecord,
    phase: impl Fn(&'a RequestGroup) -> (u64, Option<&'a ReadingRecord>, u64),
) -> PhaseSums {
    let groups = record.groups.iter().map(phase).filter(|(time, ..)| *time > 0);
    groups.fold(PhaseSums { joules: Some(0.0), ..PhaseSums::default() }, |sum, group| {
        let (time, energy, tokens) = group;
        PhaseSums {
            seconds: sum.seconds + time as f64 * 1e-9,
            joules: sum.joules.zip(energy.and_then(value)).map(|(sum, joules)| sum + joules),
            tokens: sum.tokens + tokens as f64,
        }
    })
}

/// Returns the mean of sums over counts, or `None` if nothing was counted.
fn mean(parts: impl IntoIterator<Item = (f64, f64)>) -> Option<f64> {
    let add = |(sum, count), (more, counted)| (sum + more, count + counted);
    let (sum, count) = parts.into_iter().fold((0.0, 0.0), add);
    (count > 0.0).then(|| sum / count)
}

fn value(reading: &ReadingRecord) -> Option<f64> {
    reading.reading().ok().map(|quantity| quantity.value)
}
