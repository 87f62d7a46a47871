//! The given energy of a synthetic host. It is an exact function of virtual time:
//!
//! ```text
//! joules │                ·───── at rest
//!        │            ╱
//!        │          ╱     work: power at rest, plus what the work drew
//!        │    ·───·
//!        └──────────────── virtual time
//! ```
//!
//! Nothing is measured, so its source is [`Source::Simulated`] and its uncertainty is 0.

use crate::{
    clock::Seconds,
    curve::{Curve, Knot},
    device::{Device, DeviceKind, DeviceState},
    domain::DomainId,
    energy_until::EnergyUncertainty,
};
use llem_clock::WorkLedger;
use llem_quantity::{Cause, Reading, Source, Unavailable};
use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    time::Instant,
};

/// The given power of a synthetic host.
#[derive(Clone, Debug)]
pub struct SyntheticPower {
    /// Power at rest, W.
    pub idle_watts: f64,
    /// The work of the engine, with the energy that it draws on top of the power at rest.
    pub work: WorkLedger,
}

/// Returns the only domain of a synthetic host.
pub(crate) fn domain() -> DomainId {
    DomainId::new("cpu", "package-0")
}

/// Describes the only device of a synthetic host. It is the same on every machine.
pub(crate) fn device() -> Device {
    Device {
        id: "cpu".to_owned(),
        kind: DeviceKind::Cpu,
        name: "synthetic processor".to_owned(),
        uuid: None,
        memory_bytes: None,
        compute_capability: None,
        energy_source: Ok(Source::Simulated),
        notes: Vec::new(),
        settings: BTreeMap::new(),
    }
}

/// Returns why a synthetic host does not tell `what`.
pub(crate) fn not_given(what: &str) -> Unavailable {
    Unavailable::new(Cause::NotSupported, format!("a synthetic host has no {what}"))
}

/// Returns the state of a synthetic host's device: none of it is given.
pub(crate) fn state() -> DeviceState {
    let absent = |what: &str| -> Reading { Err(not_given(what)) };
    DeviceState {
        power: absent("power sensor"),
        temperature: absent("temperature"),
        core_clock: absent("core clock"),
        memory_clock: absent("memory clock"),
        utilisation: absent("utilisation"),
        memory_used: absent("memory in use"),
        pcie: absent("PCIe"),
        throttle_reasons: Vec::new(),
    }
}

/// The energy of a synthetic host until each moment at which its power changes.
pub(crate) struct SyntheticReader {
    power: SyntheticPower,
    /// The moment at which the meter's clock was 0.
    epoch: Instant,
    /// Energy that all work so far has drawn on top of the power at rest, J.
    drawn: f64,
    /// The moments since `retain_from` at which power changed or was read, and the last one before. There is at least one.
    knots: VecDeque<Knot>,
    retain_from: Seconds,
    /// The knots that have not become samples yet, each with the mean power since the knot before, W.
    fresh: Vec<(Knot, f64)>,
}

impl SyntheticReader {
    pub(crate) fn new(power: SyntheticPower, epoch: Instant) -> Self {
        let start = Knot { at: 0.0, joules: 0.0, uncertainty: EnergyUncertainty::NONE };
        let (knots, retain_from) = (VecDeque::from([start]), f64::INFINITY);
        Self { power, epoch, drawn: 0.0, knots, retain_from, fresh: Vec::new() }
    }

    /// Takes the work since the last reading, and reads the energy until `now`.
    pub(crate) fn read(&mut self, now: Seconds) {
        for work in self.power.work.take() {
            let [began, ended] = [work.began, work.ended]
                .map(|moment| moment.saturating_duration_since(self.epoch).as_secs_f64());
            self.add_knot(began);
            self.drawn += work.joules;
            self.add_knot(ended);
        }
        self.add_knot(now);
        self.forget();
    }

    fn add_knot(&mut self, at: Seconds) {
        let last = self.last();
        if at > last.at {
            let joules = self.power.idle_watts * at + self.drawn;
            let knot = Knot { at, joules, uncertainty: EnergyUncertainty::NONE };
            self.knots.push_back(knot);
            self.fresh.push((knot, (joules - last.joules) / (at - last.at)));
        }
    }

    /// Keeps the knots from `moment` on, until another moment is set.
    pub(crate) fn retain_from(&mut self, moment: Seconds) {
        self.retain_from = moment;
        self.forget();
    }

    fn forget(&mut self) {
        while self.knots.len() > 1 && self.knots[1].at <= self.retain_from {
            self.knots.pop_front();
        }
    }

    /// Returns the knots since the last call, each with the mean power since the knot before, W.
    pub(crate) fn take_fresh(&mut self) -> Vec<(Knot, f64)> {
        mem::take(&mut self.fresh)
    }

    /// Returns the energy until the last reading, J.
    pub(crate) fn total(&self) -> f64 {
        self.last().joules
    }

    fn last(&self) -> Knot {
        self.knots[self.knots.len() - 1]
    }

    /// Returns the energy until a moment that is not before the kept knots. Power is constant between two knots, so it is
    /// exact. After the last reading, the host is at rest.
    pub(crate) fn position(&self, at: Seconds) -> Knot {
        let next = self.knots.partition_point(|knot| knot.at <= at);
        let before = self.knots[next.saturating_sub(1)];
        let joules = match self.knots.get(next) {
            Some(after) if after.at > before.at => {
                let share = ((at - before.at) / (after.at - before.at)).clamp(0.0, 1.0);
                before.joules + share * (after.joules - before.joules)
            }
            _ => before.joules + self.power.idle_watts * (at - before.at).max(0.0),
        };
        Knot { at, joules, uncertainty: EnergyUncertainty::NONE }
    }

    /// Returns the knots after `from` and before `to`.
    pub(crate) fn knots(&self, from: Seconds, to: Seconds) -> Vec<Knot> {
        self.knots.iter().copied().filter(|knot| knot.at > from && knot.at < to).collect()
    }

    /// Returns the time of the last reading, until which the energy is known.
    pub(crate) fn known_until(&self) -> Seconds {
        self.last().at
    }

    /// Returns the energy between two moments as a curve through the knots between them.
    pub(crate) fn curve(&self, from: Knot, to: Knot) -> Curve {
        Curve::new(from, self.knots(from.at, to.at), to, 0.0)
    }
}
