//! Measures trials that all begin at the same temperature, as `zeus.profile` does. Leakage power follows temperature,
//! so trials without a pause would each take more energy than the previous one until the chip has settled.
//!
//! ```text
//! |<-- cooldown -->|        |<------- window ------->|
//! +----- idle -----+-warmup-+ run, run, ..., run     +      one trial; repeated to see the spread
//! ```
//!
//! The necessary lengths of cooldown and window depend on chip and cooling. [`ThermalProtocol::sweep`] finds the
//! shortest ones whose trials agree.

use crate::{
    Result, meter,
    quantity::{Quantity, Reading},
    report::{Metric, Phase},
    statistics::coefficient_of_variation,
    wait::{nanoseconds, sleep_for},
    window::Window,
};
use std::time::Duration;

/// The lengths and counts by which trials are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThermalProtocol {
    /// The idle time before each trial.
    pub cooldown: Duration,
    /// The number of runs before the window of each trial.
    pub warmup_runs: u32,
    /// The minimum length of the window.
    pub window: Duration,
    /// The number of trials.
    pub trials: u32,
    /// The standard deviation of the trials' energies, as a share of their mean, below which they count as steady.
    pub threshold: f64,
}

impl Default for ThermalProtocol {
    /// Returns zeus.profile's longest cooldown and window, and its ten trials. The threshold is 1 %, whereas
    /// zeus.profile has one in joules.
    fn default() -> Self {
        Self {
            cooldown: Duration::from_secs(10),
            warmup_runs: 10,
            window: Duration::from_secs(10),
            trials: 10,
            threshold: 0.01,
        }
    }
}

/// The result of one trial.
#[derive(Clone, Debug)]
pub struct ThermalTrial {
    /// The energy of a run, in J, or the reason why it is not known.
    pub energy_per_run: Reading,
    /// The number of runs in the window.
    pub runs: u32,
    /// The length of the window, in s.
    pub seconds: f64,
    /// Each device that reports its temperature, with the temperatures at the beginning and end of the window, in Cel.
    pub temperatures: Vec<(String, f64, f64)>,
}

/// The result of a sweep over windows and cooldowns.
#[derive(Clone, Debug)]
pub struct ThermalSweep {
    /// The protocol with the shortest window and cooldown whose trials were steady.
    pub protocol: ThermalProtocol,
    /// Whether any trials were steady. If not, `protocol` has the longest window and cooldown.
    pub is_steady: bool,
    /// Every tried setting: cooldown in s, window in s, and the relative standard deviation of its trials.
    pub tried: Vec<(f64, f64, f64)>,
}

impl ThermalProtocol {
    /// Runs the trials. `work` is one run. Cooldown, warm-up and window of each trial are phases of the record.
    pub fn run(&self, mut work: impl FnMut() -> Result<()>) -> Result<Vec<ThermalTrial>> {
        (0..self.trials).map(|_| self.trial(&mut work)).collect()
    }

    fn trial(&self, work: &mut impl FnMut() -> Result<()>) -> Result<ThermalTrial> {
        let cooling = Phase::begin("cooldown")?;
        if !self.cooldown.is_zero() {
            sleep_for(self.cooldown);
        }
        Phase::end(cooling)?;
        let warming = Phase::begin("warmup")?;
        for _ in 0..self.warmup_runs {
            work()?;
        }
        Phase::end(warming)?;
        let _measuring = Phase::begin("trial")?;
        let window = Window::open("trial")?;
        let (began, mut runs) = (meter::now(), 0);
        while runs == 0 || meter::now() - began < nanoseconds(self.window) {
            work()?;
            runs += 1;
        }
        let measurement = window.close()?;
        let temperatures = measurement
            .temperatures()
            .map(|course| (course.device.clone(), course.first, course.last))
            .collect();
        Ok(ThermalTrial {
            energy_per_run: measurement.energy_total.and_then(|energy| {
                energy.per(f64::from(runs), "J").ok_or_else(|| "nothing ran".to_owned())
            }),
            runs,
            seconds: measurement.wall_time as f64 * 1e-9,
            temperatures,
        })
    }

    /// Finds the shortest steady window and cooldown. It tries windows with the longest cooldown first, then cooldowns
    /// with the window that was found, each from the shortest. Fails if `windows` or `cooldowns` is empty.
    pub fn sweep(
        &self,
        windows: &[Duration],
        cooldowns: &[Duration],
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<ThermalSweep> {
        let longest = |all: &[Duration]| all.iter().max().copied().ok_or("nothing to sweep over");
        let mut protocol =
            Self { window: longest(windows)?, cooldown: longest(cooldowns)?, ..*self };
        let mut tried = Vec::new();
        let mut is_steady = |protocol: &Self| -> Result<bool> {
            let deviation = relative_deviation(&protocol.run(&mut work)?)?;
            tried.push((protocol.cooldown.as_secs_f64(), protocol.window.as_secs_f64(), deviation));
            Ok(deviation < protocol.threshold)
        };
        let sorted = |all: &[Duration]| {
            let mut all = all.to_vec();
            all.sort();
            all
        };
        let mut has_steady_window = false;
        for window in sorted(windows) {
            let candidate = Self { window, ..protocol };
            if is_steady(&candidate)? {
                (protocol, has_steady_window) = (candidate, true);
                break;
            }
        }
        for cooldown in sorted(cooldowns).into_iter().filter(|_| has_steady_window) {
            let candidate = Self { cooldown, ..protocol };
            if cooldown == protocol.cooldown || is_steady(&candidate)? {
                protocol = candidate;
                break;
            }
        }
        Ok(ThermalSweep { protocol, is_steady: has_steady_window, tried })
    }
}

/// Returns the mean energy of a run as the metric `joules_per_run`. Fails with the reason if the energy of a trial is
/// not known.
pub fn joules_per_run(trials: &[ThermalTrial]) -> Result<Vec<Metric>> {
    let energies = trials.iter().map(|trial| trial.energy_per_run.clone());
    let energies = energies.collect::<Result<Vec<_>, _>>()?;
    Ok(Quantity::mean_of(energies)
        .map(|mean| mean.into_metric("joules_per_run"))
        .into_iter()
        .collect())
}

/// Returns the standard deviation of the trials' energies divided by their mean, or infinity if it is not defined.
fn relative_deviation(trials: &[ThermalTrial]) -> Result<f64> {
    let energies = trials.iter().map(|trial| Ok(trial.energy_per_run.clone()?.value));
    let energies: Vec<f64> = energies.collect::<Result<_, String>>()?;
    if energies.is_empty() {
        return Err("no trial was run".into());
    }
    Ok(coefficient_of_variation(&energies).unwrap_or(f64::INFINITY))
}
