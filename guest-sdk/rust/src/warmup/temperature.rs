//! Warm-up until the devices are as warm as the work makes them: leakage, and with it power, follows temperature.

use crate::{
    Result,
    policy::{Warmup, WarmupPolicy},
    trial::Trial,
};
use std::time::Duration;

/// Runs the workload's first request until no device's temperature has moved for some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TemperaturePlateau {
    /// How far a temperature may move, K.
    pub kelvin: f64,
    /// Over how long.
    pub over: Duration,
    /// Gives up, saying so, after this long.
    pub most: Duration,
    /// Tokens that each run generates at most; none leaves the request as it is.
    pub max_new_tokens: Option<u32>,
}

impl Default for TemperaturePlateau {
    /// Sensors tell whole degrees: one of them is none.
    fn default() -> Self {
        let (over, most) = (Duration::from_secs(30), Duration::from_secs(600));
        Self { kelvin: 1.0, over, most, max_new_tokens: None }
    }
}

impl WarmupPolicy for TemperaturePlateau {
    fn next(&mut self, history: &[Trial]) -> Result<Warmup> {
        let (Some(first), Some(last)) = (history.first(), history.last()) else {
            return Ok(Warmup::reduced(self.max_new_tokens));
        };
        let ended = last.ended();
        let elapsed = Duration::from_nanos(ended - first.began());
        if elapsed < self.over {
            return Ok(Warmup::reduced(self.max_new_tokens));
        }
        let since = ended - self.over.as_nanos() as u64;
        let recent = history.iter().filter(|trial| trial.ended() > since);
        let (seconds, spread) = (elapsed.as_secs_f64(), largest_spread(recent));
        Ok(match spread {
            None => Warmup::Done(format!("{seconds:.1} s; no device tells its temperature")),
            Some(spread) if spread <= self.kelvin => Warmup::Done(format!(
                "temperature moved by {spread:.0} K in the last of {seconds:.1} s"
            )),
            Some(spread) if elapsed >= self.most => Warmup::Done(format!(
                "not steady: temperature still moved by {spread:.0} K after {seconds:.1} s"
            )),
            Some(_) => Warmup::reduced(self.max_new_tokens),
        })
    }
}

/// How far the temperature of the device that moved most moved; none where none tells it.
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
    use crate::warmup::fixtures::{drive, heating, lasting};

    #[test]
    fn a_warming_card_is_waited_for() {
        let temperatures = [40.0, 50.0, 57.0, 61.0, 62.0, 62.0, 62.0, 62.0, 62.0];
        // 30 s hold three trials of 10 s: 62, 62 and 62 are reached with the seventh, which began at 62.
        assert_eq!(
            drive(&mut TemperaturePlateau::default(), &heating(10.0, &temperatures)),
            Some(7)
        );
    }

    #[test]
    fn one_that_never_settles_is_given_up() {
        let temperatures: Vec<f64> = (0..80).map(|run| 40.0 + f64::from(run % 9)).collect();
        assert_eq!(
            drive(&mut TemperaturePlateau::default(), &heating(10.0, &temperatures)),
            Some(60)
        );
    }

    #[test]
    fn without_a_sensor_only_time_is_waited_for() {
        assert_eq!(drive(&mut TemperaturePlateau::default(), &lasting(&[10.0; 9])), Some(3));
    }
}
