//! Power of a machine that does nothing, whether it was steady, and where it is kept for later runs.
//!
//! ```text
//! baseline ── part ── part ── part ── part ── part ──     each part's energy over its time, W
//!             steady: no trend and no scatter beyond 5 % of the mean or what the readings are uncertain by
//! ```

use crate::{clock::unix_seconds, window::Span};
use llem_files::Store;
use llem_quantity::{Quantity, Reading, Source};
use serde::{Deserialize, Serialize};
use std::{path::PathBuf, time::Duration};

/// Parts that a baseline is measured in: enough for a trend.
pub const PARTS: u32 = 5;

/// Trend and scatter below this share of the mean are steady.
const STEADY: f64 = 0.05;

/// Idle power of one device's domain.
#[derive(Clone, Debug, PartialEq)]
pub struct IdlePower {
    /// The device's id.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Mean power, W, or why there is none. Its uncertainty covers the scatter of the parts.
    pub power: Reading,
    /// Why the device was not idle or not settled, if it was not.
    pub unsteady: Option<String>,
    /// Whether a model was on the device, which keeps a GPU from its deepest rest.
    pub holds_model: bool,
}

/// What consecutive spans of idleness tell of each domain. Models are on the devices `holders`.
pub fn judge(parts: &[Span], holders: &[String]) -> Vec<IdlePower> {
    let Some(first) = parts.first() else { return Vec::new() };
    let domains = first.energy.iter().enumerate();
    let idle = domains.map(|(index, domain)| {
        let powers: Result<Vec<Quantity>, String> =
            parts.iter().map(|part| mean_power(part, index)).collect();
        let (power, unsteady) = match powers {
            Ok(powers) => steadiness(&powers),
            Err(reason) => (Err(reason), None),
        };
        let (device, domain) = (domain.device.clone(), domain.domain.clone());
        let holds_model = holders.contains(&device);
        IdlePower { device, domain, power, unsteady, holds_model }
    });
    idle.collect()
}

fn mean_power(part: &Span, index: usize) -> Reading {
    let energy = part.energy.get(index).ok_or("the device is gone")?;
    let energy = energy.energy.clone()?;
    let seconds = Quantity::exact(part.wall.as_secs_f64(), "s", Source::Clock);
    let power = energy.per(&seconds, "W").ok_or("no time passed")?;
    Ok(Quantity { source: energy.source, ..power })
}

/// The mean of the parts, and what is wrong with them.
fn steadiness(powers: &[Quantity]) -> (Reading, Option<String>) {
    let count = powers.len() as f64;
    let mean = powers.iter().map(|power| power.value).sum::<f64>() / count;
    let deviations = || powers.iter().map(|power| power.value - mean);
    let spread = (deviations().map(|d| d * d).sum::<f64>() / (count - 1.0).max(1.0)).sqrt();
    let own = (powers.iter().map(|power| power.uncertainty.powi(2)).sum::<f64>() / count).sqrt();
    // Least squares over the parts' places, from the first to the last.
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

/// A baseline as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The device: its unique id where it has one, or else the machine's and its name.
    pub device: String,
    /// The power domain within it.
    pub domain: String,
    /// Whether a model was loaded on it, which keeps a GPU from its deepest rest.
    pub holds_model: bool,
    /// Mean power, W.
    pub power: Quantity,
    /// When it was measured, seconds since 1970.
    pub measured_at: u64,
    /// How long that took, s.
    pub length: f64,
}

/// Baselines of earlier runs.
pub struct Baselines(Store<Kept>);

impl Baselines {
    /// In this file, which need not exist.
    pub fn new(file: PathBuf) -> Self {
        Self(Store::new(file))
    }

    /// The baseline of a device's domain, if it is not older than `lifetime`.
    pub fn find(
        &self,
        device: &str,
        domain: &str,
        holds_model: bool,
        lifetime: Duration,
    ) -> Option<Kept> {
        let now = unix_seconds();
        self.0.all().into_iter().find(|kept| {
            (&kept.device[..], &kept.domain[..], kept.holds_model) == (device, domain, holds_model)
                && kept.measured_at <= now
                && now - kept.measured_at <= lifetime.as_secs()
        })
    }

    /// Keeps baselines in place of older ones of the same domains.
    pub fn keep(&self, new: Vec<Kept>) -> Result<(), String> {
        self.0.keep(new, |a, b| {
            (&a.device, &a.domain, a.holds_model) == (&b.device, &b.domain, b.holds_model)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::{Curves, DeviceEnergy};
    use std::time::Instant;

    fn spans(watts: &[f64]) -> Vec<Span> {
        let span = |&watts: &f64| Span {
            started: Instant::now(),
            wall: Duration::from_secs(2),
            energy: vec![DeviceEnergy {
                device: "cuda:0".to_owned(),
                domain: "gpu".to_owned(),
                energy: Ok(Quantity::new(2.0 * watts, 0.5, "J", Source::NvmlCounter)),
            }],
            curves: Curves::default(),
            devices: Vec::new(),
            memory: Vec::new(),
            warnings: Vec::new(),
        };
        watts.iter().map(span).collect()
    }

    #[test]
    fn steady_power_is_told_from_a_trend_and_from_scatter() {
        let steady = judge(&spans(&[70.0, 70.4, 69.8, 70.1, 69.7]), &[]);
        assert_eq!(steady[0].unsteady, None);
        let power = steady[0].power.as_ref().expect("measured");
        assert!((power.value - 70.0).abs() < 1e-9 && power.source == Source::NvmlCounter);
        let cooling = judge(&spans(&[90.0, 85.0, 80.0, 75.0, 70.0]), &[]);
        assert_eq!(cooling[0].unsteady.as_deref(), Some("power went from 90.0 to 70.0 W"));
        let busy = judge(&spans(&[70.0, 110.0, 70.0, 110.0, 70.0]), &[]);
        assert!(busy[0].unsteady.as_deref().is_some_and(|reason| reason.contains("scattered")));
    }

    #[test]
    fn a_kept_baseline_is_found_until_it_is_old() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Baselines::new(folder.path().join("cache/baselines.json"));
        let kept = |watts: f64, measured_at| Kept {
            device: "GPU-1".to_owned(),
            domain: "gpu".to_owned(),
            holds_model: false,
            power: Quantity::new(watts, 0.1, "W", Source::NvmlCounter),
            measured_at,
            length: 10.0,
        };
        let find = |lifetime| store.find("GPU-1", "gpu", false, Duration::from_secs(lifetime));
        assert_eq!(find(60), None);
        store.keep(vec![kept(70.0, unix_seconds() - 100)]).expect("kept");
        assert_eq!(find(60), None);
        assert_eq!(find(200).map(|kept| kept.power.value), Some(70.0));
        store.keep(vec![kept(71.0, unix_seconds())]).expect("kept");
        assert_eq!(find(60).map(|kept| kept.power.value), Some(71.0));
        assert_eq!(store.find("GPU-1", "gpu", true, Duration::from_secs(60)), None);
    }
}
