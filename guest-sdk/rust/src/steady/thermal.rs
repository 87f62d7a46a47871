//! Trials that all begin as warm as each other, as `zeus.profile` runs them: leakage follows temperature, so trials in a row
//! each cost more than the last until the chip has settled.
//!
//! ```text
//! |<-- cooldown -->|        |<------- window ------->|
//! +----- idle -----+-warmup-+ run, run, ..., run     +      one trial; several tell how much they differ
//! ```
//!
//! How long cooldown and window must be depends on chip and cooling: [`Protocol::sweep`] finds the shortest that are
//! steady.

use crate::{
    Result,
    interval::coefficient_of_variation,
    meter,
    quantity::{Quantity, Reading},
    report::{Metric, Phase},
    rest::{nanoseconds, rest},
    window::Window,
};
use std::time::Duration;

/// How trials are run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Protocol {
    /// Rest before each trial.
    pub cooldown: Duration,
    /// Runs before the window of each trial.
    pub warmup_runs: u32,
    /// At least this long is measured.
    pub window: Duration,
    /// Trials.
    pub trials: u32,
    /// Trials may differ by this share of their mean (standard deviation).
    pub threshold: f64,
}

impl Default for Protocol {
    /// Cooldown and window as zeus.profile's longest, and its ten trials; a threshold of 1 % where it has joules.
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

/// One trial.
#[derive(Clone, Debug)]
pub struct ThermalTrial {
    /// Energy of a run, J, or why there is none.
    pub energy_per_run: Reading,
    /// Runs in the window.
    pub runs: u32,
    /// How long the window was, s.
    pub seconds: f64,
    /// Temperatures at its beginning and end, Cel, of each device that tells them.
    pub temperatures: Vec<(String, f64, f64)>,
}

/// What a sweep has found.
#[derive(Clone, Debug)]
pub struct Sweep {
    /// The protocol with the shortest window and cooldown whose trials were steady.
    pub protocol: Protocol,
    /// Whether there was one; if not, `protocol` has the longest of both.
    pub is_steady: bool,
    /// Every setting that was tried: cooldown and window, s, and the trials' relative standard deviation.
    pub tried: Vec<(f64, f64, f64)>,
}

impl Protocol {
    /// Runs the trials of `work`, each in a phase of its own.
    pub fn run(&self, mut work: impl FnMut() -> Result<()>) -> Result<Vec<ThermalTrial>> {
        (0..self.trials).map(|_| self.trial(&mut work)).collect()
    }

    fn trial(&self, work: &mut impl FnMut() -> Result<()>) -> Result<ThermalTrial> {
        let cooling = Phase::begin("cooldown")?;
        if !self.cooldown.is_zero() {
            rest(self.cooldown);
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

    /// Finds how long window and cooldown must be: first windows at the longest cooldown, then cooldowns at the window
    /// that was found, the shortest first. `windows` and `cooldowns` are not empty.
    pub fn sweep(
        &self,
        windows: &[Duration],
        cooldowns: &[Duration],
        mut work: impl FnMut() -> Result<()>,
    ) -> Result<Sweep> {
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
        let mut found = false;
        for window in sorted(windows) {
            let candidate = Self { window, ..protocol };
            if is_steady(&candidate)? {
                (protocol, found) = (candidate, true);
                break;
            }
        }
        for cooldown in sorted(cooldowns).into_iter().filter(|_| found) {
            let candidate = Self { cooldown, ..protocol };
            if cooldown == protocol.cooldown || is_steady(&candidate)? {
                protocol = candidate;
                break;
            }
        }
        Ok(Sweep { protocol, is_steady: found, tried })
    }
}

/// The mean energy of a run, as a metric.
pub fn metrics(trials: &[ThermalTrial]) -> Result<Vec<Metric>> {
    let energies = trials.iter().map(|trial| trial.energy_per_run.clone());
    let energies = energies.collect::<Result<Vec<_>, _>>()?;
    Ok(Quantity::mean_of(energies).map(|mean| mean.named("joules_per_run")).into_iter().collect())
}

/// Standard deviation over mean of the trials' energies.
fn relative_deviation(trials: &[ThermalTrial]) -> Result<f64> {
    let energies = trials.iter().map(|trial| Ok(trial.energy_per_run.clone()?.value));
    let energies: Vec<f64> = energies.collect::<Result<_, String>>()?;
    if energies.is_empty() {
        return Err("no trial was run".into());
    }
    Ok(coefficient_of_variation(&energies))
}
