//! Energy by phase and by sequence: each step's energy, as the meter tells it afterwards, is counted to the step's phase
//! and shared among its sequences.
//!
//! ```text
//! step        ├── prefill ──┤├ decode ┤├ decode ┤        from one moment to another, on the engine's clock
//! energy      E(t₁) − E(t₀)                             of the devices that it ran on, by the meter's curve
//! sequence    Σ share × energy                          half way between the share of operations and of bytes
//! ```
//!
//! What a sum over steps is uncertain by follows from E(t) at the moments at which its share changes: between two steps of
//! one share the moment cancels out. A counter that ticks more seldom than the work changes is wrong in the same direction
//! each time, so what is uncertain within a sum adds up linearly.

use crate::holdings::During;
use llem_engine::shares::Share;
use llem_meter::{Domain, Estimate, Joined, Span};
use llem_quantity::{Quantity, Reading, Source};
use llem_record::energy::{DomainRecord, OPERATIONS_AND_BYTES, SequenceEnergy};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// Steps nearer than this follow one another without anything between them.
const NEAR: Duration = Duration::from_millis(1);

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
    /// What is uncertain within, J.
    inner: f64,
    first: f64,
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
    fn add(&mut self, share: f64, from: (Instant, Estimate), to: (Instant, Estimate)) {
        self.joules += share * (to.1.value - from.1.value);
        let starts = share * from.1.uncertainty;
        match self.last {
            None => self.first = starts,
            Some(edge) => {
                let ended = edge.share * edge.uncertainty;
                let follows = from.0.saturating_duration_since(edge.at) < NEAR;
                self.inner += if follows { (ended - starts).abs() } else { ended + starts };
            }
        }
        self.last = Some(Edge { share, at: to.0, uncertainty: to.1.uncertainty });
    }

    fn variance(&self) -> f64 {
        let last = self.last.map_or(0.0, |edge| edge.share * edge.uncertainty);
        self.first.powi(2) + self.inner.powi(2) + last.powi(2)
    }
}

/// Energy of the phases of all that was run.
#[derive(Clone, Debug, Default)]
pub struct PhaseEnergy {
    /// Of the span that is not ended.
    open: [Tally; 3],
    /// Joules and their variance until it began.
    ended: [(f64, f64); 3],
    /// How many steps there were of each.
    steps: [u64; 3],
    /// Steps whose energy is not known, and why that of the last is not.
    lost: u64,
    reason: Arc<str>,
    /// What the last steps' energy is of, and how often that has changed.
    covers: Vec<Domain>,
    changed: u64,
}

/// Energy of a span by phase, J: prefill, decode, mixed. None of a phase of which there was no step.
pub type ByPhase = [Option<Reading>; 3];

impl PhaseEnergy {
    /// Ends a span, or begins one: what is known until here is as uncertain as it is, whatever comes next.
    pub fn end_span(&mut self) {
        for (open, ended) in self.open.iter_mut().zip(&mut self.ended) {
            let tally = std::mem::take(open);
            *ended = (ended.0 + tally.joules, ended.1 + tally.variance());
        }
    }

    /// What has come since `earlier`, both ends having been ended, as readings of this source. It is to be part of a total
    /// that covers these domains.
    pub fn since(&self, earlier: &Self, covers: &[Domain], source: Source) -> ByPhase {
        let is_part = self.covers.iter().all(|domain| covers.contains(domain));
        let is_one = self.changed == earlier.changed || earlier.steps == [0; 3];
        [0, 1, 2].map(|phase| {
            let (now, before) = (self.ended[phase], earlier.ended[phase]);
            if self.steps[phase] == earlier.steps[phase] {
                return None;
            }
            if self.lost > earlier.lost {
                return Some(Err(self.reason.to_string()));
            }
            if !(is_part && is_one) {
                let reason =
                    "its steps do not cover what the total covers: a counter failed meanwhile";
                return Some(Err(reason.to_owned()));
            }
            let uncertainty = (now.1 - before.1).max(0.0).sqrt();
            Some(Ok(Quantity::new(now.0 - before.0, uncertainty, "J", source)))
        })
    }
}

/// What a sequence has used.
#[derive(Clone, Debug, Default)]
pub struct SequenceTally {
    prefill: Part,
    decode: Part,
    whole: Tally,
    source: Option<Source>,
    covers: Vec<Domain>,
    lost: Option<String>,
}

/// A part of it by both rules, J.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    tally: Tally,
    by_operations: f64,
    by_bytes: f64,
}

impl Part {
    fn add(&mut self, share: Share, from: (Instant, Estimate), to: (Instant, Estimate)) {
        let joules = to.1.value - from.1.value;
        self.by_operations += share.operations * joules;
        self.by_bytes += share.bytes * joules;
        self.tally.add(share.mean(), from, to);
    }

    /// What the rule leaves open: anywhere between the two (GUM 4.3.7).
    fn between_rules(&self) -> f64 {
        (self.by_operations - self.by_bytes) / 12f64.sqrt()
    }
}

impl SequenceTally {
    /// Notes that its energy is not known.
    pub fn lose(&mut self, reason: &str) {
        self.lost.get_or_insert_with(|| reason.to_owned());
    }

    /// As the record keeps it.
    pub fn record(&self) -> SequenceEnergy {
        let energy = |tally: &Tally, between_rules: f64| -> Reading {
            if let Some(reason) = &self.lost {
                return Err(reason.clone());
            }
            // One that never ran has used nothing.
            let source = self.source.unwrap_or(Source::Counted);
            let uncertainty = tally.variance().sqrt().hypot(between_rules);
            Ok(Quantity::new(tally.joules, uncertainty, "J", source))
        };
        let [prefill, decode] = [&self.prefill, &self.decode];
        let whole = energy(&self.whole, prefill.between_rules().hypot(decode.between_rules()));
        let part = |part: &Part| (&energy(&part.tally, part.between_rules())).into();
        SequenceEnergy {
            prefill: whole.is_ok().then(|| part(prefill)),
            decode: whole.is_ok().then(|| part(decode)),
            share: (&whole).into(),
            covers: self.covers.iter().map(domain_record).collect(),
            shared_by: OPERATIONS_AND_BYTES.to_owned(),
        }
    }
}

/// A power domain as the record keeps it.
pub fn domain_record(Domain { device, domain }: &Domain) -> DomainRecord {
    DomainRecord { device: device.clone(), domain: domain.clone() }
}

/// The course of the energy of these domains over a span, in which these steps lie.
fn course(span: &Span, covers: &[Domain], steps: &[Step]) -> Result<Joined, String> {
    let mut boundaries: Vec<Instant> = Vec::new();
    let mut before: Option<&Step> = None;
    for step in steps {
        // Beside a pause, power is another than the work's.
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
    let course = span.curves.joined(covers, &boundaries)?;
    match steps.first().is_some_and(|first| first.from + NEAR < course.begins()) {
        true => {
            Err("the counter had ticked too seldom before for its energy to be told".to_owned())
        }
        false => Ok(course),
    }
}

/// What the energy of a followed span is of, and its course. A span that is too short for a total has a course all the
/// same, as uncertain as that is: what it used is missing from no span around it.
pub fn followed(
    span: &Span,
    held: &During,
    steps: &[Step],
) -> (Vec<Domain>, Result<Joined, String>) {
    let total = held.total(&span.by_courses());
    let course = match total.energy {
        Ok(_) => course(span, &total.covers, steps),
        Err(reason) => Err(reason),
    };
    (total.covers, course)
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
    for step in steps {
        phases.steps[step.phase as usize] += 1;
    }
    let energy = match energy {
        Ok(energy) => energy,
        Err(reason) => {
            phases.lost += steps.len() as u64;
            phases.reason = reason.as_str().into();
            for (name, ..) in steps.iter().flat_map(|step| &step.sequences) {
                sequences.entry(*name).or_default().lose(reason);
            }
            return;
        }
    };
    if phases.covers != covers {
        phases.covers = covers.to_vec();
        phases.changed += 1;
    }
    let source = as_shared(energy.source());
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
                sequence.lose("its steps cover different devices: a counter failed meanwhile");
            }
        }
    }
}

/// The source of a share of an energy of this source.
fn as_shared(source: Source) -> Source {
    let energy = Quantity::exact(0.0, "J", source);
    energy.times(&Quantity::exact(1.0, "1", Source::Derived), "J").source
}
