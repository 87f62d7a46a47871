//! Spans of time with the energy that every device used in them.

use crate::{
    baseline::IdlePower, gauge::Mark, sources::Unmetered, timeline::DeviceSpan, warning::Warning,
};
use llem_quantity::{Quantity, Reading, Source};
use std::time::{Duration, Instant};

/// Stands for the domains of a device that nothing measures.
pub const UNMEASURED: &str = "all";

/// An open window: what stood on the gauges when it opened.
pub struct Window {
    /// When it opened.
    pub started: Instant,
    pub(crate) marks: Vec<Mark>,
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
    /// How each device was meanwhile.
    pub devices: Vec<DeviceSpan>,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
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

impl From<&Unmetered> for DeviceEnergy {
    fn from(unmetered: &Unmetered) -> Self {
        Self {
            device: unmetered.device.clone(),
            domain: unmetered.domain.clone().unwrap_or_else(|| UNMEASURED.to_owned()),
            energy: Err(unmetered.reason.clone()),
        }
    }
}

impl Span {
    /// The sum over the domains of `devices`: none where nothing was measured, and none where a
    /// part failed, since a sum without it would pass for the whole. A device without any counter
    /// is not part of the sum if others have one; `energy` says which are.
    pub fn total(&self, devices: &[String]) -> Reading {
        let parts: Vec<&DeviceEnergy> =
            self.energy.iter().filter(|part| devices.contains(&part.device)).collect();
        let mut known = parts.iter().filter_map(|part| part.energy.as_ref().ok());
        let Some(first) = known.next() else {
            let reason = |part: &&DeviceEnergy| {
                Some(format!("{}: {}", part.device, part.energy.as_ref().err()?))
            };
            let reasons: Vec<String> = parts.iter().filter_map(reason).collect();
            return Err(if reasons.is_empty() {
                "no device".to_owned()
            } else {
                reasons.join("; ")
            });
        };
        let failed = parts.iter().filter(|part| part.domain != UNMEASURED);
        for part in failed {
            if let Err(reason) = &part.energy {
                return Err(format!("{} {}: {reason}", part.device, part.domain));
            }
        }
        let sum = known.try_fold(first.clone(), |sum, next| sum.plus(next));
        sum.ok_or_else(|| "energies are in different units".to_owned())
    }
}

impl Span {
    /// The sum over `devices` less what they would have used at rest.
    pub fn above_idle(&self, idle: &[IdlePower], devices: &[String]) -> Reading {
        let total = self.total(devices)?;
        let wall = Quantity::exact(self.wall.as_secs_f64(), "s", Source::Clock);
        let measured =
            self.energy.iter().filter(|part| devices.contains(&part.device) && part.energy.is_ok());
        measured.into_iter().try_fold(total, |rest, part| {
            let known = idle
                .iter()
                .find(|idle| (&idle.device, &idle.domain) == (&part.device, &part.domain));
            let power =
                known.map_or_else(|| Err("no baseline".to_owned()), |idle| idle.power.clone());
            let power = power
                .map_err(|reason| format!("{} {} at rest: {reason}", part.device, part.domain))?;
            let rest = rest.minus(&power.times(&wall, "J"));
            rest.ok_or_else(|| "energies are in different units".to_owned())
        })
    }

    /// How much more energy the one with the most of `devices` used than their mean, as a share of it.
    pub fn imbalance(&self, devices: &[String]) -> Reading {
        let each: Vec<Quantity> = devices
            .iter()
            .map(|device| self.total(std::slice::from_ref(device)))
            .collect::<Result<_, _>>()?;
        let most = each.iter().max_by(|a, b| a.value.total_cmp(&b.value));
        let (Some(most), true) = (most, each.len() > 1) else {
            return Err("fewer than two devices hold a model".to_owned());
        };
        let count = each.len() as f64;
        let mean = each.iter().map(|energy| energy.value).sum::<f64>() / count;
        if mean <= 0.0 {
            return Err("the devices used no energy that was measured".to_owned());
        }
        let ratio = most.value / mean;
        // r = n e_max / sum(e): dr/de_max = (n - r) / sum, dr/de_i = -r / sum for the others.
        let gradient = |energy: &Quantity| {
            let of = if std::ptr::eq(energy, most) { count - ratio } else { -ratio };
            of / (mean * count) * energy.uncertainty
        };
        let uncertainty = each.iter().map(|energy| gradient(energy).powi(2)).sum::<f64>().sqrt();
        Ok(Quantity::new(ratio - 1.0, uncertainty, "1", Source::Derived))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(energy: Vec<DeviceEnergy>) -> Span {
        let (devices, warnings) = (Vec::new(), Vec::new());
        Span { started: Instant::now(), wall: Duration::from_secs(1), energy, devices, warnings }
    }

    fn part(device: &str, domain: &str, energy: Reading) -> DeviceEnergy {
        DeviceEnergy { device: device.to_owned(), domain: domain.to_owned(), energy }
    }

    #[test]
    fn imbalance_is_the_excess_of_the_most_over_the_mean() {
        let known = |joules: f64| Ok(Quantity::new(joules, 1.0, "J", Source::NvmlCounter));
        let span =
            span(vec![part("cuda:0", "gpu", known(90.0)), part("cuda:1", "gpu", known(110.0))]);
        let devices = ["cuda:0".to_owned(), "cuda:1".to_owned()];
        let imbalance = span.imbalance(&devices).expect("both are measured");
        assert!((imbalance.value - 0.1).abs() < 1e-12);
        // r = 2 b / (a + b): u² = (2 a u / 200²)² + (2 b u / 200²)²
        let expected = (180f64.powi(2) + 220f64.powi(2)).sqrt() / 40_000.0;
        assert!((imbalance.uncertainty - expected).abs() < 1e-12);
        assert!(span.imbalance(&devices[..1]).is_err());
        assert!(span.imbalance(&["cuda:0".to_owned(), "cuda:7".to_owned()]).is_err());
    }

    #[test]
    fn what_is_above_idle_takes_the_baseline_of_every_part() {
        let known =
            |joules: f64, u: f64, unit: &str| Ok(Quantity::new(joules, u, unit, Source::Rapl));
        let span = span(vec![part("cpu", "package-0", known(50.0, 0.3, "J"))]);
        let cpu = ["cpu".to_owned()];
        let power = known(20.0, 0.4, "W");
        let idle =
            IdlePower { device: "cpu".into(), domain: "package-0".into(), power, unsteady: None };
        let above = span.above_idle(&[idle], &cpu).expect("both are known");
        assert!((above.value - 30.0).abs() < 1e-9 && (above.uncertainty - 0.5).abs() < 1e-9);
        assert!(span.above_idle(&[], &cpu).is_err());
    }

    #[test]
    fn a_sum_never_leaves_a_part_out() {
        let known = || Ok(Quantity::new(5.0, 0.1, "J", Source::Rapl));
        let lost = || Err("root only".to_owned());
        let cpu = ["cpu".to_owned()];
        let whole = span(vec![part("cpu", "package-0", known()), part("cpu", "dram-0", known())]);
        assert_eq!(whole.total(&cpu).map(|sum| sum.value), Ok(10.0));
        let cut = span(vec![part("cpu", "package-0", known()), part("cpu", "dram-0", lost())]);
        assert_eq!(cut.total(&cpu), Err("cpu dram-0: root only".to_owned()));
        let none = span(vec![part("cpu", UNMEASURED, lost())]);
        assert_eq!(none.total(&cpu), Err("cpu: root only".to_owned()));
    }
}
