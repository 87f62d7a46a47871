//! Times of arrival, one after another.

use super::gaps::gap;
use crate::{Error, Result, random::Uniform};
use std::time::Duration;

/// What decides when requests arrive.
#[derive(Clone, Debug)]
pub(super) enum Process {
    /// All at the beginning.
    AtOnce,
    /// As soon as they may: no times are given.
    WhenFree,
    /// At the end of gaps that are drawn.
    Drawn {
        /// How many a second.
        rate: Rate,
        /// The shape of the gaps' distribution; infinite: they are all as long as their mean.
        burstiness: f64,
    },
    /// At these times.
    Trace(Vec<Duration>),
}

/// How many requests a second.
#[derive(Clone, Copy, Debug)]
pub(super) enum Rate {
    /// The same for all.
    Steady(f64),
    /// From one to the other in equal differences.
    Linear { from: f64, to: f64, requests: u32 },
    /// From one to the other in equal ratios.
    Exponential { from: f64, to: f64, requests: u32 },
}

impl Rate {
    /// That by which the request of this index comes.
    fn of_request(self, index: u64) -> f64 {
        let share =
            |requests: u32| (index as f64 / f64::from(requests.saturating_sub(1).max(1))).min(1.0);
        match self {
            Self::Steady(rate) => rate,
            Self::Linear { from, to, requests } => from + (to - from) * share(requests),
            Self::Exponential { from, to, requests } => from * (to / from).powf(share(requests)),
        }
    }

    fn ends(self) -> [f64; 2] {
        match self {
            Self::Steady(rate) => [rate; 2],
            Self::Linear { from, to, .. } | Self::Exponential { from, to, .. } => [from, to],
        }
    }
}

/// Times of arrival, from the beginning, one after another.
#[derive(Clone, Debug)]
pub struct Offsets {
    process: Process,
    given: u64,
    seconds: f64,
}

impl Offsets {
    pub(super) fn new(process: Process) -> Result<Self> {
        match &process {
            Process::Drawn { rate, burstiness } => {
                for rate in rate.ends() {
                    if !(rate.is_finite() && rate > 0.0) {
                        let what =
                            format!("a rate of {rate} arrivals a second is no number above 0");
                        return Err(Error::invalid_argument(what));
                    }
                }
                if burstiness.is_nan() || *burstiness <= 0.0 {
                    let what = format!("a burstiness of {burstiness} is no number above 0");
                    return Err(Error::invalid_argument(what));
                }
            }
            Process::Trace(offsets) => {
                if let Some(index) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
                    let (before, after) = (offsets[index], offsets[index + 1]);
                    return Err(Error::invalid_argument(format!(
                        "arrival {} of the trace is at {after:?}, before the one that precedes it at {before:?}",
                        index + 1
                    )));
                }
            }
            Process::AtOnce | Process::WhenFree => {}
        }
        Ok(Self { process, given: 0, seconds: 0.0 })
    }

    /// The next: `Some(None)` where it is no certain time, none where a trace is at an end.
    pub fn draw(&mut self, uniform: &mut dyn Uniform) -> Option<Option<Duration>> {
        let index = self.given;
        self.given += 1;
        match &self.process {
            Process::AtOnce => Some(Some(Duration::ZERO)),
            Process::WhenFree => Some(None),
            Process::Trace(offsets) => offsets.get(index as usize).copied().map(Some),
            Process::Drawn { rate, burstiness } => {
                self.seconds += gap(rate.of_request(index), *burstiness, uniform);
                // Rates are finite and so are gaps, but a sum of many may be longer than a duration holds.
                Some(Some(Duration::try_from_secs_f64(self.seconds).unwrap_or(Duration::MAX)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arrivals::Arrivals, arrivals::gaps::tests::SplitMix};

    fn first(arrivals: &Arrivals, count: usize) -> Vec<Option<f64>> {
        let mut offsets = arrivals.offsets().expect("they are valid");
        let mut uniform = SplitMix(1);
        let mut draw =
            || offsets.draw(&mut uniform).map(|at| at.map_or(-1.0, |at| at.as_secs_f64()));
        (0..count).map(|_| draw()).collect()
    }

    #[test]
    fn what_is_not_drawn_comes_as_it_is_said() {
        assert_eq!(first(&Arrivals::constant(4.0), 3), [0.25, 0.5, 0.75].map(Some));
        assert_eq!(first(&Arrivals::at_once(), 2), [Some(0.0); 2]);
        assert_eq!(first(&Arrivals::closed_loop(3), 2), [Some(-1.0); 2]);
        let trace = Arrivals::trace([0.5, 0.5, 2.0].map(Duration::from_secs_f64));
        assert_eq!(first(&trace, 4), [Some(0.5), Some(0.5), Some(2.0), None]);
    }

    // vllm/benchmarks/serve.py, _get_current_request_rate: rates of 1, 2, 3, 4, 5 and of 1, 2, 4, 8, 16.
    #[test]
    fn ramps_go_from_one_rate_to_the_other_and_stay() {
        let gaps = |arrivals: Arrivals| {
            let at: Vec<f64> =
                first(&arrivals.burstiness(f64::INFINITY), 6).into_iter().flatten().collect();
            let gaps = std::iter::once(at[0]).chain(at.windows(2).map(|pair| pair[1] - pair[0]));
            gaps.map(|gap| (1.0 / gap * 1e6).round() / 1e6).collect::<Vec<_>>()
        };
        assert_eq!(gaps(Arrivals::linear_ramp(1.0, 5.0, 5)), [1.0, 2.0, 3.0, 4.0, 5.0, 5.0]);
        assert_eq!(
            gaps(Arrivals::exponential_ramp(1.0, 16.0, 5)),
            [1.0, 2.0, 4.0, 8.0, 16.0, 16.0]
        );
    }

    #[test]
    fn what_is_out_of_range_is_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Arrivals::poisson(rate).offsets().is_err(), "a rate of {rate}");
            assert!(Arrivals::linear_ramp(1.0, rate, 5).offsets().is_err(), "a ramp to {rate}");
        }
        for burstiness in [0.0, -1.0, f64::NAN] {
            assert!(Arrivals::gamma(1.0, burstiness).offsets().is_err(), "of {burstiness}");
        }
        let falls = Arrivals::trace([Duration::from_secs(2), Duration::from_secs(1)]);
        let error = falls.offsets().expect_err("it falls");
        assert_eq!(error.code, crate::ErrorCode::InvalidArgument);
    }
}
