//! Checks the stated uncertainty of a window's energy: 1,000 seeded power traces with known integrals are measured through a
//! counter with ticks and through a power sensor.

use crate::{
    integral::Integral,
    tick_counter::{Period, TickCounter},
    uncertain_value::UncertainValue,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CASES: u64 = 1000;

/// Power over time in linear pieces: start and end of each, s, and the power at both, W.
struct Trace(Vec<(f64, f64, f64, f64)>);

impl Trace {
    /// Creates a trace: idle, then one of five kinds of work, which the seed chooses, then idle.
    fn new(rng: &mut impl Rng, work: (f64, f64), length: f64) -> Self {
        let idle = rng.random_range(30.0..120.0);
        let busy = rng.random_range(200.0..700.0);
        let mut pieces = vec![(0.0, work.0, idle, idle)];
        match rng.random_range(0..5) {
            // Constant power.
            0 => pieces.push((work.0, work.1, busy, busy)),
            // Steps of 0.3 to 2 s.
            1 => {
                let mut at = work.0;
                while at < work.1 {
                    let until = (at + rng.random_range(0.3..2.0)).min(work.1);
                    let watts = rng.random_range(idle..busy);
                    pieces.push((at, until, watts, watts));
                    at = until;
                }
            }
            // A linear ramp.
            2 => pieces.push((work.0, work.1, rng.random_range(idle..busy), busy)),
            // One burst.
            3 => {
                let length = rng.random_range(0.002..0.05);
                let at = rng.random_range(work.0..work.1 - length);
                pieces.push((work.0, at, idle, idle));
                pieces.push((at, at + length, busy, busy));
                pieces.push((at + length, work.1, idle, idle));
            }
            // Bursts of 1 to 30 ms, like decode steps and the pauses between them.
            _ => {
                let (on, off) = (rng.random_range(0.001..0.03), rng.random_range(0.001..0.03));
                let mut at = work.0;
                while at < work.1 {
                    for (length, watts) in [(on, busy), (off, idle)] {
                        let until = (at + length * rng.random_range(0.8..1.2)).min(work.1);
                        if until > at {
                            pieces.push((at, until, watts, watts));
                        }
                        at = until;
                    }
                }
            }
        }
        pieces.push((work.1, length, idle, idle));
        Self(pieces)
    }

    fn watts(&self, at: f64) -> f64 {
        let place = self.0.partition_point(|piece| piece.1 <= at).min(self.0.len() - 1);
        let (from, to, first, last) = self.0[place];
        first + (last - first) * ((at - from) / (to - from)).clamp(0.0, 1.0)
    }

    /// Returns the energy until `at`, J.
    fn joules(&self, at: f64) -> f64 {
        let whole =
            |&(from, to, first, last): &(f64, f64, f64, f64)| (first + last) / 2.0 * (to - from);
        let before = self.0.partition_point(|piece| piece.1 <= at);
        let part = self
            .0
            .get(before)
            .map_or(0.0, |piece| (piece.2 + self.watts(at)) / 2.0 * (at - piece.0));
        self.0[..before].iter().map(whole).sum::<f64>() + part
    }
}

/// Returns the moments of all readings, in order: of the sampler, and at the ends of the window, which are the ends of the
/// work.
fn readings(rng: &mut impl Rng, work: (f64, f64), length: f64) -> Vec<f64> {
    let mut all = vec![work.0, work.1];
    let mut at = 0.0;
    while at < length {
        // The thread is woken late now and then.
        let late = if rng.random_bool(0.01) {
            rng.random_range(0.0..0.05)
        } else {
            rng.random_range(0.0..0.0005)
        };
        all.push(at + late);
        at += 0.01;
    }
    all.sort_by(f64::total_cmp);
    all
}

struct Case {
    rng: ChaCha8Rng,
    trace: Trace,
    work: (f64, f64),
    readings: Vec<f64>,
}

impl Case {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let began = rng.random_range(1.5..2.0);
        let work = (began, began + rng.random_range(0.25..8.0));
        let length = work.1 + 0.5;
        let trace = Trace::new(&mut rng, work, length);
        let readings = readings(&mut rng, work, length);
        Self { rng, trace, work, readings }
    }

    fn exact(&self) -> f64 {
        self.trace.joules(self.work.1) - self.trace.joules(self.work.0)
    }

    /// Measures with a counter like NVML's: millijoules, updated every `period` with a little jitter.
    fn counted(&mut self, period: f64, kind: Period) -> UncertainValue {
        let mut ticks = vec![(f64::NEG_INFINITY, 0.0)];
        let mut at = self.rng.random_range(0.0..period) - period;
        while at < self.work.1 + 1.0 {
            let jittered = at + self.rng.random_range(-0.02..0.02) * period;
            ticks.push((jittered, (self.trace.joules(jittered.max(0.0)) * 1e3).floor() / 1e3));
            at += period;
        }
        let shown = |at: f64| ticks[ticks.partition_point(|tick| tick.0 <= at) - 1].1;
        let mut tick_counter = TickCounter::new(kind);
        let (mut before, mut opened) = (0.0, None);
        for &at in &self.readings {
            tick_counter.observe(at, shown(at) - before);
            before = shown(at);
            if at == self.work.0 {
                opened = Some(tick_counter.snapshot(at));
            } else if at == self.work.1 {
                break;
            }
        }
        let opened = opened.expect("the window was opened");
        opened.energy_until(&tick_counter.snapshot(self.work.1)).expect("longer than two periods")
    }

    /// Measures with a power sensor that is updated every `period`.
    fn integrated(&mut self, period: f64) -> UncertainValue {
        let phase = self.rng.random_range(0.0..period);
        let told = |trace: &Trace, at: f64| {
            trace.watts((((at - phase) / period).floor() * period + phase).max(0.0))
        };
        let mut integral = Integral::new(period, Some(700.0));
        let mut opened = None;
        for &at in &self.readings {
            integral.observe(at, told(&self.trace, at));
            if at == self.work.0 {
                opened = integral.snapshot(at);
            } else if at == self.work.1 {
                break;
            }
        }
        let closed = integral.snapshot(self.work.1).expect("read");
        integral.between(&opened.expect("the window was opened"), &closed).expect("in order")
    }
}

/// Returns the share of cases whose error is within one, and within two, standard uncertainties, and the medians of error and
/// uncertainty as shares of the energy.
fn coverage(mut estimate: impl FnMut(&mut Case) -> UncertainValue) -> [f64; 4] {
    let (mut within, mut errors, mut uncertainties) = ([0.0; 2], Vec::new(), Vec::new());
    for seed in 0..CASES {
        let mut case = Case::new(seed);
        let (exact, estimate) = (case.exact(), estimate(&mut case));
        assert!(
            estimate.value > 0.0 && estimate.uncertainty > 0.0 && estimate.uncertainty.is_finite()
        );
        let error = (estimate.value - exact).abs();
        for (within, factor) in within.iter_mut().zip([1.0, 2.0]) {
            *within += f64::from(error <= factor * estimate.uncertainty) / CASES as f64;
        }
        errors.push(error / exact);
        uncertainties.push(estimate.uncertainty / exact);
    }
    let median = |mut values: Vec<f64>| {
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    [within[0], within[1], median(errors), median(uncertainties)]
}

fn check(name: &str, [one, two, error, uncertainty]: [f64; 4]) {
    println!(
        "{name}: within 1 u {:.1} %, within 2 u {:.1} %, median error {:.2} %, median u {:.2} %",
        one * 100.0,
        two * 100.0,
        error * 100.0,
        uncertainty * 100.0
    );
    assert!(one >= 0.57 && two >= 0.95, "{name}");
}

#[test]
fn a_counter_that_ticks_every_100_ms() {
    check("counter, 100 ms", coverage(|case| case.counted(0.1, Period::AtMost(0.1))));
}

#[test]
fn a_counter_that_ticks_every_20_ms() {
    check("counter, 20 ms", coverage(|case| case.counted(0.02, Period::AtMost(0.1))));
}

#[test]
fn a_counter_that_ticks_every_millisecond() {
    check("counter, 1 ms", coverage(|case| case.counted(0.001, Period::Stated(0.001))));
}

#[test]
fn a_sensor_that_is_updated_every_20_ms() {
    check("sensor, 20 ms", coverage(|case| case.integrated(0.02)));
}

#[test]
fn a_sensor_that_is_updated_every_100_ms() {
    check("sensor, 100 ms", coverage(|case| case.integrated(0.1)));
}
