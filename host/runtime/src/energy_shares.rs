//! Energy by phase and by sequence: each step's energy, as the meter tells it afterwards, is counted to the step's phase
//! and shared among its sequences.
//!
//! ```text
//! step        ├── prefill ──┤├ decode ┤├ decode ┤        from one moment to another, on the engine's clock
//! energy      E(t₁) − E(t₀)                             of the devices that it ran on, by the meter's curve
//! sequence    Σ share × energy                          half way between the share of operations and of bytes
//! ```
//!
//! What a sum over steps is uncertain by follows from E(t) at the moments at which the sequence's share changes: between
//! two steps of one share the moment cancels out.

use llem_engine::shares::Share;
use llem_meter::{Domain, Joined, Span, Total, window::Reached};
use llem_quantity::{Quantity, Reading, Source};
use llem_record::energy::{DomainRecord, OPERATIONS_AND_BYTES, SequenceEnergy};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Moments nearer than this are as wrong as one another: gauges are read about as often.
const ALIKE: Duration = Duration::from_millis(10);

/// What a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It ran prompts only.
    Prefill,
    /// Its sequences only generated.
    Decode,
    /// Both.
    Mixed,
}

/// A step whose energy is to be shared.
#[derive(Debug)]
pub struct Step {
    /// What it is.
    pub phase: Phase,
    /// When it began.
    pub from: Instant,
    /// When it ended.
    pub to: Instant,
    /// Each sequence that it ran: its name, whether its prompt was run, and its share.
    pub sequences: Vec<(u64, bool, Share)>,
}

/// Energy of some shares of steps, in order of time.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    joules: f64,
    variance: f64,
    last: Option<Edge>,
}

/// The end of the last step: its share, when, and how uncertain energy until then is, J.
#[derive(Clone, Copy, Debug)]
struct Edge {
    share: f64,
    at: Instant,
    uncertainty: f64,
}

impl Tally {
    fn add(&mut self, share: f64, from: (Instant, Reached), to: (Instant, Reached)) {
        self.joules += share * (to.1.joules - from.1.joules);
        let starts = share * from.1.uncertainty;
        self.variance += match self.last {
            Some(edge) if from.0.saturating_duration_since(edge.at) < ALIKE => {
                (edge.share * edge.uncertainty - starts).powi(2)
            }
            Some(edge) => (edge.share * edge.uncertainty).powi(2) + starts.powi(2),
            None => starts.powi(2),
        };
        self.last = Some(Edge { share, at: to.0, uncertainty: to.1.uncertainty });
    }

    fn variance(&self) -> f64 {
        let last = self.last.map_or(0.0, |edge| edge.share * edge.uncertainty);
        self.variance + last.powi(2)
    }
}

/// Energy of the phases of all that was run.
#[derive(Clone, Debug, Default)]
pub struct PhaseEnergy {
    phases: [Tally; 3],
    source: Option<Source>,
    /// Steps whose energy is not known, and why that of the last is not.
    lost: u64,
    reason: Arc<str>,
}

/// Energy of a span by phase, J: prefill, decode, mixed.
pub type ByPhase = [Reading; 3];

impl PhaseEnergy {
    /// What has come since `earlier`.
    pub fn since(&self, earlier: &Self) -> ByPhase {
        if self.lost > earlier.lost {
            return [(); 3].map(|()| Err(self.reason.to_string()));
        }
        let pairs = [0, 1, 2].map(|phase| (&self.phases[phase], &earlier.phases[phase]));
        pairs.map(|(now, before)| {
            let joules = now.joules - before.joules;
            let variance = (now.variance() - before.variance()).max(0.0);
            match self.source {
                Some(source) => Ok(Quantity::new(joules, variance.sqrt(), "J", source)),
                None => Ok(Quantity::exact(0.0, "J", Source::Counted)),
            }
        })
    }
}

/// What a sequence has used.
#[derive(Clone, Debug, Default)]
pub struct SequenceTally {
    prefill: Part,
    decode: Part,
    whole: Part,
    source: Option<Source>,
    covers: Vec<Domain>,
    lost: Option<String>,
}

/// A part of it by both models, J.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    tally: Tally,
    by_operations: f64,
    by_bytes: f64,
}

impl Part {
    fn add(&mut self, share: Share, from: (Instant, Reached), to: (Instant, Reached)) {
        let joules = to.1.joules - from.1.joules;
        self.by_operations += share.operations * joules;
        self.by_bytes += share.bytes * joules;
        self.tally.add(share.mean(), from, to);
    }

    fn energy(&self, source: Source) -> Quantity {
        // Anywhere between the two models (GUM 4.3.7).
        let model = (self.by_operations - self.by_bytes) / 12f64.sqrt();
        let uncertainty = self.tally.variance().sqrt().hypot(model);
        Quantity::new(self.tally.joules, uncertainty, "J", source)
    }
}

impl SequenceTally {
    /// As the record keeps it.
    pub fn record(&self) -> SequenceEnergy {
        let part = |part: &Part| -> Reading {
            match (&self.lost, self.source) {
                (Some(reason), _) => Err(reason.clone()),
                (None, Some(source)) => Ok(part.energy(source)),
                (None, None) => Err("it took part in no step".to_owned()),
            }
        };
        let whole = part(&self.whole);
        SequenceEnergy {
            prefill: whole.is_ok().then(|| (&part(&self.prefill)).into()),
            decode: whole.is_ok().then(|| (&part(&self.decode)).into()),
            share: (&whole).into(),
            covers: self.covers.iter().map(domain_record).collect(),
            model: OPERATIONS_AND_BYTES.to_owned(),
        }
    }
}

/// A power domain as the record keeps it.
pub fn domain_record(Domain { device, domain }: &Domain) -> DomainRecord {
    DomainRecord { device: device.clone(), domain: domain.clone() }
}

/// Counts steps, in order of time, to their phases and to the sequences that they ran. `energy` is that of the domains
/// `covers` over all of them.
pub fn share_out(
    energy: &Result<Joined, String>,
    covers: &[Domain],
    steps: &[Step],
    phases: &mut PhaseEnergy,
    sequences: &mut BTreeMap<u64, SequenceTally>,
) {
    let energy = match energy {
        Ok(energy) => energy,
        Err(reason) => {
            phases.lost += steps.len() as u64;
            phases.reason = reason.as_str().into();
            for (name, ..) in steps.iter().flat_map(|step| &step.sequences) {
                sequences.entry(*name).or_default().lost.get_or_insert_with(|| reason.clone());
            }
            return;
        }
    };
    phases.source =
        Some(phases.source.map_or(energy.source(), |known| both(known, energy.source())));
    for step in steps {
        let [from, to] = [step.from, step.to].map(|at| (at, energy.at(at)));
        phases.phases[step.phase as usize].add(1.0, from, to);
        for &(name, is_prompt, share) in &step.sequences {
            let sequence = sequences.entry(name).or_default();
            let part = if is_prompt { &mut sequence.prefill } else { &mut sequence.decode };
            part.add(share, from, to);
            sequence.whole.add(share, from, to);
            sequence.source = Some(as_shared(energy.source()));
            if sequence.covers.is_empty() {
                sequence.covers = covers.to_vec();
            }
        }
    }
}

/// The source of a sum of energies of two sources.
fn both(one: Source, other: Source) -> Source {
    let [one, other] = [one, other].map(|source| Quantity::exact(0.0, "J", source));
    one.plus(&other).map_or(Source::Derived, |sum| sum.source)
}

/// The source of a share of an energy of this source.
fn as_shared(source: Source) -> Source {
    let energy = Quantity::exact(0.0, "J", source);
    energy.times(&Quantity::exact(1.0, "1", Source::Derived), "J").source
}

/// The course of what a span's total covers, in which these steps lie.
pub fn course(span: &Span, total: &Total, steps: &[Step]) -> Result<Joined, String> {
    let pairs = steps.windows(2).filter(|pair| pair[0].phase != pair[1].phase);
    let boundaries: Vec<Instant> = pairs.map(|pair| pair[1].from).collect();
    total.energy.as_ref().map_err(Clone::clone)?;
    span.curves.joined(&total.covers, &boundaries)
}
