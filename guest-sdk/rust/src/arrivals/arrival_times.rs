//! The generator of arrival times.

use super::gaps::gap;
use crate::{Error, Result, random::UniformSource};
use std::time::Duration;

/// The rule by which requests arrive.
#[derive(Clone, Debug)]
pub(super) enum ArrivalProcess {
    /// All requests arrive at the beginning.
    AtOnce,
    /// Requests have no arrival times: the runner sends each as soon as its concurrency allows it.
    ClosedLoop,
    /// Gaps between requests are drawn at random.
    Drawn {
        rate: ArrivalRate,
        /// The shape of the gamma distribution of the gaps. Infinity makes every gap equal to the mean.
        burstiness: f64,
    },
    /// The times are given.
    Trace(Vec<Duration>),
}

/// The mean number of requests that arrive in a second.
#[derive(Clone, Copy, Debug)]
pub(super) enum ArrivalRate {
    Constant(f64),
    /// The rate changes by equal differences over the first `requests` requests.
    Linear {
        from: f64,
        to: f64,
        requests: u32,
    },
    /// The rate changes by equal ratios over the first `requests` requests.
    Exponential {
        from: f64,
        to: f64,
        requests: u32,
    },
}

impl ArrivalRate {
    /// Returns the rate at the request of this index, in requests a second.
    fn at_request(self, index: u64) -> f64 {
        let share =
            |requests: u32| (index as f64 / f64::from(requests.saturating_sub(1).max(1))).min(1.0);
        match self {
            Self::Constant(rate) => rate,
            Self::Linear { from, to, requests } => from + (to - from) * share(requests),
            Self::Exponential { from, to, requests } => from * (to / from).powf(share(requests)),
        }
    }

    /// Returns the first and the last rate.
    fn ends(self) -> [f64; 2] {
        match self {
            Self::Constant(rate) => [rate; 2],
            Self::Linear { from, to, .. } | Self::Exponential { from, to, .. } => [from, to],
        }
    }
}

/// A generator of arrival times, one request after another. [`Arrivals::times`](super::Arrivals::times) creates it.
#[derive(Clone, Debug)]
pub struct ArrivalTimes {
    process: ArrivalProcess,
    /// The number of times that were drawn.
    drawn: u64,
    /// The last drawn time, in seconds.
    seconds: f64,
}

impl ArrivalTimes {
    pub(super) fn new(process: ArrivalProcess) -> Result<Self> {
        match &process {
            ArrivalProcess::Drawn { rate, burstiness } => {
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
            ArrivalProcess::Trace(offsets) => {
                if let Some(index) = offsets.windows(2).position(|pair| pair[0] > pair[1]) {
                    let (before, after) = (offsets[index], offsets[index + 1]);
                    return Err(Error::invalid_argument(format!(
                        "arrival {} of the trace is at {after:?}, before the one that precedes it at {before:?}",
                        index + 1
                    )));
                }
            }
            ArrivalProcess::AtOnce | ArrivalProcess::ClosedLoop => {}
        }
        Ok(Self { process, drawn: 0, seconds: 0.0 })
    }

    /// Draws the next time, counted from the beginning of the measurement and rounded to ns. Returns `None` at the end of
    /// a trace, and `Some(None)` if the process is a closed loop, which has no fixed times.
    pub fn draw(&mut self, uniform: &mut dyn UniformSource) -> Option<Option<Duration>> {
        let index = self.drawn;
        self.drawn += 1;
        match &self.process {
            ArrivalProcess::AtOnce => Some(Some(Duration::ZERO)),
            ArrivalProcess::ClosedLoop => Some(None),
            ArrivalProcess::Trace(offsets) => offsets.get(index as usize).copied().map(Some),
            ArrivalProcess::Drawn { rate, burstiness } => {
                self.seconds += gap(rate.at_request(index), *burstiness, uniform);
                Some(Some(in_nanoseconds(self.seconds)))
            }
        }
    }
}

/// Rounds a time in seconds to ns, in steps that give the same integer in every language. Each gap is finite, but the sum
/// of many may exceed 2^64 ns, and then becomes the longest time that the host takes.
pub(crate) fn in_nanoseconds(seconds: f64) -> Duration {
    Duration::from_nanos((seconds * 1e9 + 0.5).floor() as u64)
}

#[cfg(test)]
impl ArrivalTimes {
    /// Returns the last drawn time in seconds, before it was rounded.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{arrivals::Arrivals, arrivals::gaps::tests::SplitMix};

    fn first(arrivals: &Arrivals, count: usize) -> Vec<Option<f64>> {
        let mut times = arrivals.times().expect("they are valid");
        let mut uniform = SplitMix(1);
        let mut draw = || times.draw(&mut uniform).map(|at| at.map_or(-1.0, |at| at.as_secs_f64()));
        (0..count).map(|_| draw()).collect()
    }

    #[test]
    fn processes_without_random_gaps_have_exact_times() {
        assert_eq!(first(&Arrivals::constant(4.0), 3), [0.25, 0.5, 0.75].map(Some));
        assert_eq!(first(&Arrivals::at_once(), 2), [Some(0.0); 2]);
        assert_eq!(first(&Arrivals::closed_loop(3), 2), [Some(-1.0); 2]);
        let trace = Arrivals::trace([0.5, 0.5, 2.0].map(Duration::from_secs_f64));
        assert_eq!(first(&trace, 4), [Some(0.5), Some(0.5), Some(2.0), None]);
    }

    // vllm/benchmarks/serve.py, _get_current_request_rate: rates of 1, 2, 3, 4, 5 and of 1, 2, 4, 8, 16.
    #[test]
    fn ramps_change_the_rate_and_then_keep_it() {
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
    fn values_out_of_range_are_refused() {
        for rate in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert!(Arrivals::poisson(rate).times().is_err(), "a rate of {rate}");
            assert!(Arrivals::linear_ramp(1.0, rate, 5).times().is_err(), "a ramp to {rate}");
        }
        for burstiness in [0.0, -1.0, f64::NAN] {
            assert!(Arrivals::gamma(1.0, burstiness).times().is_err(), "of {burstiness}");
        }
        let falls = Arrivals::trace([Duration::from_secs(2), Duration::from_secs(1)]);
        let error = falls.times().expect_err("it falls");
        assert_eq!(error.code, crate::ErrorCode::InvalidArgument);
    }
}
