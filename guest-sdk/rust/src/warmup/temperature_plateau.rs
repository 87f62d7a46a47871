//! Warm-up until the temperature of the devices is steady. Leakage, and with it power, follows temperature.

use crate::{
    Result,
    policy::{WarmupPolicy, WarmupStep},
    trial::Trial,
};
use std::time::Duration;

/// Warms up with the workload's first request until no device's temperature has changed for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperaturePlateau {
    /// The maximum change of a temperature that counts as steady, in K.
    pub kelvin: f64,
    /// The time over which the change is taken.
    pub period: Duration,
    /// The maximum length of the warm-up. After it the warm-up ends, and the record says that the temperature was not
    /// steady.
    pub max_time: Duration,
    /// The maximum number of tokens that each run generates. `None` leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for TemperaturePlateau {
    /// Returns a maximum change of 1 K in 30 s, because sensors report whole degrees, and at most 10 minutes.
    fn default() -> Self {
        let (period, max_time) = (Duration::from_secs(30), Duration::from_secs(600));
        Self { kelvin: 1.0, period, max_time, max_new_tokens: None }
    }
}

impl WarmupPolicy for TemperaturePlateau {
    fn next(&mut self, history: &[Trial]) -> Result<WarmupStep> {
        let (Some(first), Some(last)) = (history.first(), history.last()) else {
            return Ok(WarmupStep::run_first(self.max_new_tokens));
        };
        let ended = last.ended();
        let elapsed = Duration::from_nanos(ended - first.began());
        if elapsed < self.period {
            return Ok(WarmupStep::run_first(self.max_new_tokens));
        }
        let since = ended - self.period.as_nanos() as u64;
        let recent = history.iter().filter(|trial| trial.ended() > since);
        let (seconds, spread) = (elapsed.as_secs_f64(), largest_spread(recent));
        Ok(match spread {
            None => WarmupStep::Done(format!("{seconds:.1} s; no device tells its temperature")),
            Some(spread) if spread <= self.kelvin => WarmupStep::Done(format!(
                "temperature moved by {spread:.0} K in the last of {seconds:.1} s"
            )),
            Some(spread) if elapsed >= self.max_time => WarmupStep::Done(format!(
                "not steady: temperature still moved by {spread:.0} K after {seconds:.1} s"
            )),
            Some(_) => WarmupStep::run_first(self.max_new_tokens),
        })
    }
}

/// Returns the largest change of a device's temperature over these trials, in K, or `None` if no device reports its
/// temperature.
fn largest_spread<'a>(trials: impl Iterator<Item = &'a Trial>) -> Option<f64> {
    let mut extremes: Vec<(&str, f64, f64)> = Vec::new();
    let generations = trials.filter_map(|trial| trial.generation().ok());
    for course in generations.flat_map(|generation| generation.measurement.temperatures()) {
        match extremes.iter_mut().find(|(name, ..)| *name == course.device) {
            Some((_, min, max)) => (*min, *max) = (min.min(course.min), max.max(course.max)),
            None => extremes.push((&course.device, course.min, course.max)),
        }
    }
    extremes.into_iter().map(|(_, min, max)| max - min).reduce(f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{runs_until_done, trials_heating, trials_lasting};

    #[test]
    fn the_warm_up_lasts_until_the_temperature_is_steady() {
        let temperatures = [40.0, 50.0, 57.0, 61.0, 62.0, 62.0, 62.0, 62.0, 62.0];
        // 30 s hold three trials of 10 s: 62, 62 and 62 are reached with the seventh, which began at 62.
        assert_eq!(
            runs_until_done(
                &mut TemperaturePlateau::default(),
                &trials_heating(10.0, &temperatures)
            ),
            Some(7)
        );
    }

    #[test]
    fn the_warm_up_ends_if_the_temperature_never_settles() {
        let temperatures: Vec<f64> = (0..80).map(|run| 40.0 + f64::from(run % 9)).collect();
        assert_eq!(
            runs_until_done(
                &mut TemperaturePlateau::default(),
                &trials_heating(10.0, &temperatures)
            ),
            Some(60)
        );
    }

    #[test]
    fn without_a_sensor_the_warm_up_ends_after_the_period() {
        assert_eq!(
            runs_until_done(&mut TemperaturePlateau::default(), &trials_lasting(&[10.0; 9])),
            Some(3)
        );
    }
}
