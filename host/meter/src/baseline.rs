//! Power of an idle machine: whether it was steady, and where it is stored for later runs.
//!
//! ```text
//! baseline ── part ── part ── part ── part ── part ──     power of a part = its energy / its time, W
//!             steady: neither trend nor scatter exceeds 5 % of the mean or twice the uncertainty of the readings
//! ```

use crate::{clock::unix_seconds, domain::DomainId, window::ClosedWindow};
use llem_files::JsonStore;
use llem_quantity::{Cause, Quantity, Reading, Source, Unavailable};
use serde::{Deserialize, Serialize};
use std::{io, path::PathBuf, time::Duration};

/// The number of windows that a baseline is measured in: enough to see a trend.
pub const BASELINE_PARTS: u32 = 5;

/// A trend or scatter below this share of the mean power counts as steady.
const STEADY: f64 = 0.05;

/// Idle power of one domain.
#[derive(Clone, Debug, PartialEq)]
pub struct IdlePower {
    /// The domain.
    pub id: DomainId,
    /// Mean power, W, or why it is not known. Its uncertainty covers the scatter of the parts.
    pub power: Reading,
    /// Why the device was not idle or had not settled; `None` if power was steady.
    pub unsteady: Option<String>,
    /// Whether a model was on the device. A GPU that holds a model does not reach its lowest power state.
    pub holds_model: bool,
}

/// Computes the idle power of each domain from consecutive windows in which nothing ran. `holders` are the ids of the
/// devices that held a model.
pub fn compute_idle_power(parts: &[ClosedWindow], holders: &[String]) -> Vec<IdlePower> {
    let Some(first) = parts.first() else { return Vec::new() };
    let domains = first.energy.iter().enumerate();
    let idle = domains.map(|(index, domain)| {
        let powers: Result<Vec<Quantity>, Unavailable> =
            parts.iter().map(|part| mean_power(part, index)).collect();
        let (power, unsteady) = match powers {
            Ok(powers) => mean_and_unsteadiness(&powers),
            Err(reason) => (Err(reason), None),
        };
        let holds_model = holders.contains(&domain.id.device);
        IdlePower { id: domain.id.clone(), power, unsteady, holds_model }
    });
    idle.collect()
}

/// Returns the mean power of the domain with this index over a window, W.
fn mean_power(part: &ClosedWindow, index: usize) -> Reading {
    let gone = || Unavailable::new(Cause::Lost, "the device is gone");
    let energy = part.energy.get(index).ok_or_else(gone)?;
    let energy = energy.energy.clone()?;
    let seconds = Quantity::exact(part.wall.as_secs_f64(), "s", Source::Clock);
    let no_time = || Unavailable::new(Cause::TooShort, "no time passed");
    let power = energy.per(&seconds, "W").ok_or_else(no_time)?;
    Ok(Quantity { source: energy.source, ..power })
}

/// Returns the mean of the parts' powers, W, and why they are not steady, if they are not.
fn mean_and_unsteadiness(powers: &[Quantity]) -> (Reading, Option<String>) {
    let count = powers.len() as f64;
    let mean = powers.iter().map(|power| power.value).sum::<f64>() / count;
    let deviations = || powers.iter().map(|power| power.value - mean);
    let spread = (deviations().map(|d| d * d).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    let own = (powers.iter().map(|power| power.uncertainty.powi(2)).sum::<f64>() / count).sqrt();
    // A straight line is fitted by least squares over the parts' indices. The trend goes from the first part to the last.
    let places = || (0..powers.len()).map(|place| place as f64 - (count - 1.0) / 2.0);
    let squares: f64 = places().map(|place| place * place).sum();
    let slope =
        places().zip(deviations()).map(|(place, d)| place * d).sum::<f64>() / squares.max(1.0);
    let trend = slope * (count - 1.0);
    let allowed = (STEADY * mean).max(2.0 * own);
    let unsteady = if trend.abs() > allowed {
        Some(format!("power went from {:.1} to {:.1} W", mean - trend / 2.0, mean + trend / 2.0))
    } else if spread > allowed {
        Some(format!("power scattered by {spread:.1} W about {mean:.1} W"))
    } else {
        None
    };
    let uncertainty = own.max(spread) / count.sqrt();
    let source = powers.first().map_or(Source::Derived, |power| power.source);
    (Ok(Quantity::new(mean, uncertainty, "W", source)), unsteady)
}

/// A baseline in the file that later runs read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StoredBaseline {
    /// The device's key ([`crate::Device::key`]), which stays the same from run to run.
    pub device: String,
    /// The domain's name within the device.
    pub domain: String,
    /// Whether a model was on the device. A GPU that holds a model does not reach its lowest power state.
    pub holds_model: bool,
    /// Mean power, W.
    pub power: Quantity,
    /// When the baseline was measured, in seconds since 1970-01-01 UTC.
    pub measured_at: u64,
    /// How long the measurement took, s.
    pub length: f64,
}

/// The file of baselines that earlier runs measured.
pub struct BaselineStore(JsonStore<StoredBaseline>);

impl BaselineStore {
    /// Uses this file, which need not exist.
    pub fn new(file: PathBuf) -> Self {
        Self(JsonStore::new(file))
    }

    /// Returns the baseline of a device's domain, or `None` if there is none that is at most `lifetime` old. `device` is
    /// the device's key.
    pub fn find(
        &self,
        device: &str,
        domain: &str,
        holds_model: bool,
        lifetime: Duration,
    ) -> Option<StoredBaseline> {
        let now = unix_seconds();
        self.0.read().into_iter().find(|stored| {
            (&stored.device[..], &stored.domain[..], stored.holds_model)
                == (device, domain, holds_model)
                && stored.measured_at <= now
                && now - stored.measured_at <= lifetime.as_secs()
        })
    }

    /// Stores baselines in place of older ones of the same domains.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn insert(&self, new: Vec<StoredBaseline>) -> io::Result<()> {
        self.0.insert(new, |a, b| {
            (&a.device, &a.domain, a.holds_model) == (&b.device, &b.domain, b.holds_model)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{domain_curves::DomainCurves, window::DeviceEnergy};
    use std::time::Instant;

    fn windows(watts: &[f64]) -> Vec<ClosedWindow> {
        let window = |&watts: &f64| ClosedWindow {
            started: Instant::now(),
            wall: Duration::from_secs(2),
            energy: vec![DeviceEnergy {
                id: DomainId::new("cuda:0", "gpu"),
                energy: Ok(Quantity::new(2.0 * watts, 0.5, "J", Source::NvmlCounter)),
            }],
            curves: DomainCurves::default(),
            devices: Vec::new(),
            memory: Vec::new(),
            warnings: Vec::new(),
        };
        watts.iter().map(window).collect()
    }

    #[test]
    fn steady_power_is_told_from_a_trend_and_from_scatter() {
        let steady = compute_idle_power(&windows(&[70.0, 70.4, 69.8, 70.1, 69.7]), &[]);
        assert_eq!(steady[0].unsteady, None);
        let power = steady[0].power.as_ref().expect("measured");
        assert!((power.value - 70.0).abs() < 1e-9 && power.source == Source::NvmlCounter);
        let cooling = compute_idle_power(&windows(&[90.0, 85.0, 80.0, 75.0, 70.0]), &[]);
        assert_eq!(cooling[0].unsteady.as_deref(), Some("power went from 90.0 to 70.0 W"));
        let busy = compute_idle_power(&windows(&[70.0, 110.0, 70.0, 110.0, 70.0]), &[]);
        assert!(busy[0].unsteady.as_deref().is_some_and(|reason| reason.contains("scattered")));
    }

    #[test]
    fn a_stored_baseline_is_found_until_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = BaselineStore::new(folder.path().join("cache/baselines.json"));
        let stored = |watts: f64, measured_at| StoredBaseline {
            device: "GPU-1".to_owned(),
            domain: "gpu".to_owned(),
            holds_model: false,
            power: Quantity::new(watts, 0.1, "W", Source::NvmlCounter),
            measured_at,
            length: 10.0,
        };
        let find = |lifetime| store.find("GPU-1", "gpu", false, Duration::from_secs(lifetime));
        assert_eq!(find(60), None);
        store.insert(vec![stored(70.0, unix_seconds() - 100)]).expect("kept");
        assert_eq!(find(60), None);
        assert_eq!(find(200).map(|stored| stored.power.value), Some(70.0));
        store.insert(vec![stored(71.0, unix_seconds())]).expect("kept");
        assert_eq!(find(60).map(|stored| stored.power.value), Some(71.0));
        assert_eq!(store.find("GPU-1", "gpu", true, Duration::from_secs(60)), None);
    }
}
