//! Windows: spans of time with the energy that every device used in them.

use crate::{
    device::{self, Device, State},
    sources::{Counter, Reading as CounterReading, nvml::Gpus, rapl},
};
use llem_quantity::{Quantity, Reading, Source};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// All devices and counters of this machine.
pub struct Meter {
    counters: Vec<Box<dyn Counter>>,
    unavailable: Vec<(String, String)>,
    gpus: Result<Gpus, String>,
}

/// An open window: what stood on the counters when it opened.
pub struct Window {
    /// When it opened.
    pub started: Instant,
    readings: Vec<Result<CounterReading, String>>,
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
    /// Time between two updates of the counter.
    pub update_period: Option<Duration>,
}

/// Stands for the domains of a device that nothing measures.
const UNMEASURED: &str = "all";

impl Meter {
    /// Looks for every device and counter.
    pub fn discover() -> Self {
        Self::with(rapl::discover(Path::new(rapl::POWERCAP)), Gpus::open())
    }

    fn with(cpu: crate::sources::Counters, gpus: Result<Gpus, String>) -> Self {
        let mut counters = cpu;
        if let Ok(gpus) = &gpus {
            let more = gpus.counters();
            counters.available.extend(more.available);
            counters.unavailable.extend(more.unavailable);
        }
        Self { counters: counters.available, unavailable: counters.unavailable, gpus }
    }

    /// Opens a window. The clock is read last, next to the work.
    pub fn open(&self) -> Window {
        let readings = self.counters.iter().map(|counter| counter.read()).collect();
        Window { readings, started: Instant::now() }
    }

    /// Closes a window. The clock is read first, next to the work.
    pub fn close(&self, window: Window) -> Span {
        let wall = window.started.elapsed();
        let measured =
            self.counters.iter().zip(window.readings).map(|(counter, before)| DeviceEnergy {
                device: counter.device().to_owned(),
                domain: counter.domain().to_owned(),
                energy: energy(&**counter, before, wall),
            });
        let missing = self.unavailable.iter().map(|(device, reason)| DeviceEnergy {
            device: device.clone(),
            domain: UNMEASURED.to_owned(),
            energy: Err(reason.clone()),
        });
        Span { started: window.started, wall, energy: measured.chain(missing).collect() }
    }

    /// How finely each counter tells.
    pub fn resolutions(&self) -> Vec<Resolution> {
        let measured = self.counters.iter().map(|counter| Resolution {
            device: counter.device().to_owned(),
            domain: counter.domain().to_owned(),
            source: Ok(counter.source()),
            update_period: Some(counter.update_period()),
        });
        let missing = self.unavailable.iter().map(|(device, reason)| Resolution {
            device: device.clone(),
            domain: UNMEASURED.to_owned(),
            source: Err(reason.clone()),
            update_period: None,
        });
        measured.chain(missing).collect()
    }

    /// Every device, the CPU first.
    pub fn devices(&self) -> Vec<Device> {
        let cpu_source = self
            .counters
            .iter()
            .find(|counter| counter.device() == "cpu")
            .map(|counter| counter.source())
            .ok_or_else(|| {
                let reason = self.unavailable.iter().find(|(device, _)| device == "cpu");
                reason.map_or_else(String::new, |(_, reason)| reason.clone())
            });
        let mut devices = vec![device::cpu(cpu_source)];
        if let Ok(gpus) = &self.gpus {
            devices.extend(gpus.devices());
        }
        devices
    }

    /// Why there are no GPUs, where there are none.
    pub fn gpus_missing(&self) -> Option<&str> {
        self.gpus.as_ref().err().map(String::as_str)
    }

    /// A device now; none where no device has that id.
    pub fn state(&self, id: &str) -> Option<State> {
        if id == "cpu" {
            return Some(device::cpu_state());
        }
        let ordinal = id.strip_prefix("cuda:")?.parse().ok()?;
        self.gpus.as_ref().ok()?.state(ordinal)
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

/// Energy of one counter over a window, with the uncertainty of its step at both edges.
///
/// An edge falls anywhere within an update period T, during which the device drew about the mean
/// power P, so each edge is uniform over P·T: u² = 2 (P·T)²/12 (GUM 4.3.7).
fn energy(
    counter: &dyn Counter,
    before: Result<CounterReading, String>,
    wall: Duration,
) -> Reading {
    let joules = counter.joules(before?, counter.read()?);
    let period = counter.update_period();
    if joules == 0.0 && wall < period {
        return Err(format!(
            "the window of {:.3} ms is shorter than the counter's update period of {} ms",
            wall.as_secs_f64() * 1e3,
            period.as_millis()
        ));
    }
    let step = joules * period.as_secs_f64() / wall.as_secs_f64().max(period.as_secs_f64());
    Ok(Quantity::new(joules, step / 6f64.sqrt(), "J", counter.source()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sources::Counters;
    use std::{fs, thread};

    fn meter(energy: &str) -> (tempfile::TempDir, Meter) {
        let root = tempfile::tempdir().expect("a folder");
        let domain = root.path().join("intel-rapl:0");
        fs::create_dir(&domain).expect("a domain");
        for (name, content) in
            [("name", "package-0"), ("max_energy_range_uj", "262143328850"), ("energy_uj", energy)]
        {
            fs::write(domain.join(name), content).expect("a file");
        }
        let counters = rapl::discover(root.path());
        (root, Meter::with(counters, Err("no GPU in this test".to_owned())))
    }

    fn cpu() -> Vec<String> {
        vec!["cpu".to_owned()]
    }

    #[test]
    fn a_window_holds_what_the_counter_gained() {
        let (root, meter) = meter("1000000");
        let window = meter.open();
        thread::sleep(Duration::from_millis(20));
        fs::write(root.path().join("intel-rapl:0/energy_uj"), "3500000").expect("written");
        let total = meter.close(window).total(&cpu()).expect("measured");
        assert!((total.value - 2.5).abs() < 1e-9);
        assert!(total.uncertainty > 0.0 && total.uncertainty < 0.1);
        assert_eq!(total.source, Source::Rapl);
    }

    #[test]
    fn a_counter_that_vanishes_leaves_no_sum() {
        let (root, meter) = meter("1000000");
        let window = meter.open();
        fs::remove_file(root.path().join("intel-rapl:0/energy_uj")).expect("removed");
        assert!(meter.close(window).total(&cpu()).is_err());
    }

    #[test]
    fn imbalance_is_the_excess_of_the_most_over_the_mean() {
        let part = |device: &str, joules: f64| DeviceEnergy {
            device: device.to_owned(),
            domain: "gpu".to_owned(),
            energy: Ok(Quantity::new(joules, 1.0, "J", Source::NvmlCounter)),
        };
        let energy = vec![part("cuda:0", 90.0), part("cuda:1", 110.0)];
        let span = Span { started: Instant::now(), wall: Duration::from_secs(1), energy };
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
    fn a_machine_without_counters_says_so() {
        let counters =
            Counters { unavailable: vec![("cpu".into(), "no RAPL".into())], ..Default::default() };
        let meter = Meter::with(counters, Err("no GPU".to_owned()));
        let span = meter.close(meter.open());
        assert_eq!(span.total(&cpu()), Err("cpu: no RAPL".to_owned()));
    }
}
