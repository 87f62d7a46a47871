//! Spans of time with the energy that every device used in them.

use crate::{
    curve::Curve,
    estimate::Estimate,
    gauge::Mark,
    memory::{MemoryPeak, ResidentWindow},
    sampler::Keep,
    sources::{UNMEASURED, Unmetered},
    timeline::DeviceSpan,
    warning::Warning,
};
use llem_quantity::{Quantity, Reading, Source};
use std::time::{Duration, Instant};

/// An open window: what stood on the gauges when it opened.
pub struct Window {
    /// When it opened.
    pub started: Instant,
    pub(crate) marks: Vec<Mark>,
    pub(crate) resident: ResidentWindow,
    /// Held where all that gauges tell meanwhile is kept.
    pub(crate) keep: Option<Keep>,
}

/// A closed window.
#[derive(Clone, Debug)]
pub struct Span {
    /// When it opened.
    pub started: Instant,
    /// How long it was open.
    pub wall: Duration,
    /// Energy of each device and domain.
    pub energy: Vec<DeviceEnergy>,
    /// The course of each, if the window was followed.
    pub curves: Curves,
    /// How each device was meanwhile.
    pub devices: Vec<DeviceSpan>,
    /// The most memory that was in use; empty for a part of what is followed.
    pub memory: Vec<MemoryPeak>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
}

/// A power domain of a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Domain {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
}

/// Energy of one device's power domain over a window.
#[derive(Clone, Debug)]
pub struct DeviceEnergy {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Joules, or why there are none.
    pub energy: Reading,
}

/// How finely a device's energy can be told.
#[derive(Clone, Debug)]
pub struct Resolution {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// What measures it, or why nothing does.
    pub source: Result<Source, String>,
    /// Time between two updates, s: as it was seen (`sensor`), or as it is known of its kind (`modelled`).
    pub update_period: Reading,
}

impl DeviceEnergy {
    /// Whose energy it is.
    pub fn of(&self) -> Domain {
        Domain { device: self.device.clone(), domain: self.domain.clone() }
    }
}

impl From<&Unmetered> for DeviceEnergy {
    fn from(unmetered: &Unmetered) -> Self {
        Self {
            device: unmetered.device.clone(),
            domain: unmetered.domain.clone().unwrap_or_else(|| UNMEASURED.to_owned()),
            energy: Err(unmetered.reason.clone()),
        }
    }
}

/// The courses of all domains' energy over a span.
#[derive(Clone, Debug, Default)]
pub struct Curves {
    /// When the curves' clock was 0.
    pub(crate) epoch: Option<Instant>,
    pub(crate) all: Vec<(Domain, Source, Result<Curve, String>)>,
}

/// The course of the energy of several domains together.
#[derive(Clone, Debug)]
pub struct Joined {
    epoch: Instant,
    curves: Vec<Curve>,
    /// What kind of reading it is.
    source: Source,
}

impl Span {
    /// The same with the energy of each domain by its course, where there is one: of a span that is too short for its
    /// counter it is a guess, as uncertain as that is.
    pub fn by_courses(&self) -> Self {
        let courses: Vec<DeviceEnergy> = self.curves.energies().collect();
        let by_course = |part: &DeviceEnergy| {
            let course = courses.iter().find(|course| course.of() == part.of());
            course.filter(|course| course.energy.is_ok()).unwrap_or(part).clone()
        };
        Self { energy: self.energy.iter().map(by_course).collect(), ..self.clone() }
    }
}

impl Curves {
    /// What each domain used over all of it.
    pub(crate) fn energies(&self) -> impl Iterator<Item = DeviceEnergy> {
        self.all.iter().map(|(Domain { device, domain }, source, curve)| DeviceEnergy {
            device: device.clone(),
            domain: domain.clone(),
            energy: curve.as_ref().map_err(Clone::clone).map(|curve| {
                let uncertainty = curve.start().uncertainty.hypot(curve.end().uncertainty);
                Quantity::new(curve.total(), uncertainty, "J", *source)
            }),
        })
    }

    /// That of `domains` together. `boundaries` are the moments, in order, at which the work changes. Fails where one
    /// of them has none.
    pub fn joined(&self, domains: &[Domain], boundaries: &[Instant]) -> Result<Joined, String> {
        let epoch = self.epoch.ok_or("the span was not followed")?;
        let seconds = |&at: &Instant| at.saturating_duration_since(epoch).as_secs_f64();
        let boundaries: Vec<f64> = boundaries.iter().map(seconds).collect();
        let mut sources = Vec::new();
        let curves = domains.iter().map(|domain| {
            let found = self.all.iter().find(|(of, ..)| of == domain);
            let (_, source, curve) = found
                .ok_or_else(|| format!("{} {} is not metered", domain.device, domain.domain))?;
            sources.push(*source);
            let curve = curve
                .as_ref()
                .map_err(|reason| format!("{} {}: {reason}", domain.device, domain.domain))?;
            Ok(curve.with_boundaries(&boundaries))
        });
        let curves = curves.collect::<Result<Vec<_>, String>>()?;
        let zero = |&source: &Source| Quantity::exact(0.0, "J", source);
        let sum = sources.iter().map(zero).reduce(|sum, next| sum.plus(&next).unwrap_or(sum));
        let source = sum.ok_or("no device")?.source;
        Ok(Joined { epoch, curves, source })
    }
}

impl Joined {
    /// Energy until a moment, J, counted from wherever the gauges count.
    pub fn at(&self, moment: Instant) -> Estimate {
        let at = moment.saturating_duration_since(self.epoch).as_secs_f64();
        let parts = self.curves.iter().map(|curve| curve.at(at));
        parts.fold(Estimate { value: 0.0, uncertainty: 0.0 }, |sum, part| Estimate {
            value: sum.value + part.value,
            uncertainty: sum.uncertainty.hypot(part.uncertainty),
        })
    }

    /// From when on all of it is known.
    pub fn begins(&self) -> Instant {
        let first = self.curves.iter().map(|curve| curve.start().at).fold(0.0, f64::max);
        self.epoch + Duration::from_secs_f64(first)
    }

    /// What kind of reading it is.
    pub fn source(&self) -> Source {
        self.source
    }
}
