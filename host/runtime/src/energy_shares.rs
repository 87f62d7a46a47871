//! Energy by phase and by sequence. The meter computes the energy of each step afterwards. It is added to the step's
//! phase and divided among the step's sequences.
//!
//! ```text
//! step        ├── prefill ──┤├ decode ┤├ decode ┤        between two moments on the engine's clock
//! energy      E(t₁) − E(t₀)                             of the devices that the step ran on, from the meter's curve
//! sequence    Σ share × energy                          the mean of its share of operations and its share of bytes
//! ```

use crate::{
    energy_tally::{NEAR, Tally},
    usage_history::Usage,
};
use llem_engine::StepShare;
use llem_meter::{ClosedWindow, DomainId, EnergyUntil, SummedCurve};
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use llem_record::{DomainRecord, OPERATIONS_AND_BYTES, SequenceEnergy};
use std::{collections::BTreeMap, time::Instant};

/// The kind of work that a step did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StepPhase {
    /// The step ran prompts only.
    Prefill,
    /// The step only generated tokens.
    Decode,
    /// The step did both.
    Mixed,
}

/// A step whose energy is to be shared.
#[derive(Debug)]
pub(crate) struct SharedStep {
    pub phase: StepPhase,
    /// When the step began.
    pub from: Instant,
    /// When the step ended.
    pub to: Instant,
    /// Each sequence of the step: its name, whether the step ran its prompt, and its share.
    pub sequences: Vec<(u64, bool, StepShare)>,
}

/// The energy of each phase since the run began.
#[derive(Clone, Debug, Default)]
pub(crate) struct PhaseEnergy {
    /// The sums of the span that has not ended.
    open: [Tally; 3],
    /// The sums of all spans that have ended.
    ended: [EndedSum; 3],
    /// The number of steps of each phase.
    steps: [u64; 3],
    /// The number of steps whose energy is not known. `reason` says why for the last of them.
    lost: u64,
    reason: Option<Unavailable>,
    /// The domains that the energy of the last steps covers.
    covers: Vec<DomainId>,
    changed: u64,
}

/// The energy of spans that have ended, in joules.
#[derive(Clone, Copy, Debug, Default)]
struct EndedSum {
    joules: f64,
    /// The variance without that of a model, J².
    variance: f64,
    /// The uncertainty from the model of a power, in joules.
    model: f64,
}

/// The energy of a span in joules: prefill, decode, mixed. `None` for a phase without steps.
pub(crate) type EnergyByPhase = [Option<Reading>; 3];

impl PhaseEnergy {
    /// Ends the current span and begins another. The uncertainty of all sums until now is fixed.
    pub(crate) fn end_span(&mut self) {
        for (open, ended) in self.open.iter_mut().zip(&mut self.ended) {
            let tally = std::mem::take(open);
            ended.joules += tally.joules;
            ended.variance += tally.variance();
            ended.model += tally.model;
        }
    }

    /// The energy since `earlier`, as readings with this source. [`Self::end_span`] must have been called at both
    /// moments. The readings are parts of a total that covers these domains.
    pub(crate) fn since(
        &self,
        earlier: &Self,
        covers: &[DomainId],
        source: Source,
    ) -> EnergyByPhase {
        let is_part = self.covers.iter().all(|domain| covers.contains(domain));
        let is_one = self.changed == earlier.changed || earlier.steps == [0; 3];
        [0, 1, 2].map(|phase| {
            let (now, before) = (self.ended[phase], earlier.ended[phase]);
            if self.steps[phase] == earlier.steps[phase] {
                return None;
            }
            if self.lost > earlier.lost {
                return self.reason.clone().map(Err);
            }
            if !(is_part && is_one) {
                let reason =
                    "its steps do not cover what the total covers: a counter failed meanwhile";
                return Some(Err(reason.into()));
            }
            let variance = (now.variance - before.variance).max(0.0);
            let uncertainty = variance.sqrt().hypot(now.model - before.model);
            Some(Ok(Quantity::new(now.joules - before.joules, uncertainty, "J", source)))
        })
    }
}

/// The energy that a sequence has used.
#[derive(Clone, Debug, Default)]
pub(crate) struct SequenceTally {
    prefill: PhaseTally,
    decode: PhaseTally,
    whole: Tally,
    source: Option<Source>,
    covers: Vec<DomainId>,
    lost: Option<Unavailable>,
}

/// The energy of a sequence in one phase, by both rules of sharing, in joules.
#[derive(Clone, Copy, Debug, Default)]
struct PhaseTally {
    tally: Tally,
    by_operations: f64,
    by_bytes: f64,
}

impl PhaseTally {
    fn add(&mut self, share: StepShare, from: (Instant, EnergyUntil), to: (Instant, EnergyUntil)) {
        let joules = to.1.joules - from.1.joules;
        self.by_operations += share.operations * joules;
        self.by_bytes += share.bytes * joules;
        self.tally.add(share.mean(), from, to);
    }

    /// The uncertainty from the choice between the two rules: the value may lie anywhere between them (GUM 4.3.7).
    fn between_rules(&self) -> f64 {
        (self.by_operations - self.by_bytes) / 12f64.sqrt()
    }
}

impl SequenceTally {
    /// Marks the sequence's energy as unknown.
    pub(crate) fn mark_unknown(&mut self, reason: &Unavailable) {
        self.lost.get_or_insert_with(|| reason.clone());
    }

    /// The sequence's energy for the record.
    pub(crate) fn record(&self) -> SequenceEnergy {
        let energy = |tally: &Tally, between_rules: f64| -> Reading {
            if let Some(reason) = &self.lost {
                return Err(reason.clone());
            }
            // A sequence that never ran has used no energy.
            let source = self.source.unwrap_or(Source::Counted);
            let uncertainty = tally.uncertainty().hypot(between_rules);
            Ok(Quantity::new(tally.joules, uncertainty, "J", source))
        };
        let [prefill, decode] = [&self.prefill, &self.decode];
        let whole = energy(&self.whole, prefill.between_rules().hypot(decode.between_rules()));
        let part = |part: &PhaseTally| (&energy(&part.tally, part.between_rules())).into();
        SequenceEnergy {
            prefill: whole.is_ok().then(|| part(prefill)),
            decode: whole.is_ok().then(|| part(decode)),
            share: (&whole).into(),
            covers: self.covers.iter().map(domain_record).collect(),
            shared_by: OPERATIONS_AND_BYTES.to_owned(),
        }
    }
}

/// A power domain for the record.
pub(crate) fn domain_record(DomainId { device, domain }: &DomainId) -> DomainRecord {
    DomainRecord { device: device.clone(), domain: domain.clone() }
}

/// The energy curve of these domains over a span that contains these steps.
fn joined_curve(
    span: &ClosedWindow,
    covers: &[DomainId],
    steps: &[SharedStep],
) -> Result<SummedCurve, Unavailable> {
    let mut boundaries: Vec<Instant> = Vec::new();
    let mut before: Option<&SharedStep> = None;
    for step in steps {
        // During a pause, power differs from the power of the work.
        let ended = before.map_or(span.started, |before| before.to);
        let follows = step.from.saturating_duration_since(ended) < NEAR;
        match before {
            Some(before) if follows && before.phase == step.phase => {}
            _ if follows => boundaries.push(step.from),
            _ => boundaries.extend([ended, step.from]),
        }
        before = Some(step);
    }
    boundaries.extend(before.map(|last| last.to));
    let curve = span.curves.sum(covers, &boundaries)?;
    match steps.first().is_some_and(|first| first.from + NEAR < curve.known_from()) {
        true => Err(Unavailable::new(
            Cause::TooShort,
            "the counter had ticked too seldom before for its energy to be told",
        )),
        false => Ok(curve),
    }
}

/// Returns the domains that a span's energy covers, and its curve. A span that is too short for a total has a curve
/// too, with a large uncertainty, so that the energy is not missing from the spans around it.
pub(crate) fn span_energy(
    span: &ClosedWindow,
    held: &Usage,
    steps: &[SharedStep],
) -> (Vec<DomainId>, Result<SummedCurve, Unavailable>) {
    let total = held.total(&span.with_curve_energies());
    let curve = match total.energy {
        Ok(_) => joined_curve(span, &total.covers, steps),
        Err(reason) => Err(reason),
    };
    (total.covers, curve)
}

/// Adds steps, in order of time, to their phases and to the sequences that they ran. `energy` is the curve of the
/// domains `covers` over all steps.
pub(crate) fn share_out(
    energy: &Result<SummedCurve, Unavailable>,
    covers: &[DomainId],
    steps: &[SharedStep],
    phases: &mut PhaseEnergy,
    sequences: &mut BTreeMap<u64, SequenceTally>,
) {
    for step in steps {
        phases.steps[step.phase as usize] += 1;
    }
    let energy = match energy {
        Ok(energy) => energy,
        Err(reason) => {
            phases.lost += steps.len() as u64;
            phases.reason = Some(reason.clone());
            for (name, ..) in steps.iter().flat_map(|step| &step.sequences) {
                sequences.entry(*name).or_default().mark_unknown(reason);
            }
            return;
        }
    };
    if phases.covers != covers {
        phases.covers = covers.to_vec();
        phases.changed += 1;
    }
    let source = shared_source(energy.source());
    for step in steps {
        let [from, to] = [step.from, step.to].map(|at| (at, energy.at(at)));
        phases.open[step.phase as usize].add(1.0, from, to);
        for &(name, is_prompt, share) in &step.sequences {
            let sequence = sequences.entry(name).or_default();
            let part = if is_prompt { &mut sequence.prefill } else { &mut sequence.decode };
            part.add(share, from, to);
            sequence.whole.add(share.mean(), from, to);
            sequence.source = Some(source);
            if sequence.covers.is_empty() {
                sequence.covers = covers.to_vec();
            } else if sequence.covers != covers {
                sequence.mark_unknown(
                    &"its steps cover different devices: a counter failed meanwhile".into(),
                );
            }
        }
    }
}

/// The source of a share of an energy with this source.
fn shared_source(source: Source) -> Source {
    let energy = Quantity::exact(0.0, "J", source);
    energy.times(&Quantity::exact(1.0, "1", Source::Derived), "J").source
}

#[cfg(test)]
mod tests {
    use super::*;
    use llem_meter::EnergyUncertainty;
    use std::time::Duration;

    #[test]
    fn a_model_has_one_error_over_all_spans() {
        let mut phases = PhaseEnergy::default();
        let began = Instant::now();
        for span in 0..4 {
            let at = |seconds: u64| {
                let joules = 2.0 * seconds as f64;
                let uncertainty = EnergyUncertainty { model: 0.1 * joules, ..Default::default() };
                (began + Duration::from_secs(seconds), EnergyUntil { joules, uncertainty })
            };
            phases.open[StepPhase::Prefill as usize].add(1.0, at(2 * span), at(2 * span + 1));
            phases.steps[StepPhase::Prefill as usize] += 1;
            phases.end_span();
        }
        let [prefill, ..] = phases.since(&PhaseEnergy::default(), &[], Source::Modelled);
        let prefill = prefill.expect("it ran").expect("it is known");
        assert_eq!(prefill.value, 8.0);
        assert!((prefill.uncertainty - 0.8).abs() < 1e-9, "{prefill:?}");
    }
}
