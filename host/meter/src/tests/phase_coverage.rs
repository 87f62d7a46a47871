//! Checks the stated uncertainty of the energy of a request's phases, and of any part of a request: 1,000 seeded requests of
//! known power are measured through a counter with ticks and through a power sensor.

use crate::{
    curve::Curve,
    integral::Integral,
    tick_counter::{Period, TickCounter},
    uncertain_value::UncertainValue,
};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

const CASES: u64 = 1000;

/// Work that begins after 1.5 s: prefill, then decode. Each has its own power, which changes a little every few milliseconds.
struct Request {
    /// When the request begins, when decode begins, and when the request ends, s.
    moments: [f64; 3],
    /// Start of each piece, s, its power, W, and the energy until its start, J.
    pieces: Vec<(f64, f64, f64)>,
}

impl Request {
    fn new(rng: &mut impl Rng) -> Self {
        let began = rng.random_range(1.5..1.8);
        let prefilled = began + 0.02 * 100f64.powf(rng.random_range(0.0..1.0));
        let ended = prefilled + 0.1 * 60f64.powf(rng.random_range(0.0..1.0));
        let idle = rng.random_range(40.0..100.0);
        let [prefill, decode] = [400.0..700.0, 150.0..450.0].map(|range| rng.random_range(range));
        let mut pieces = vec![(0.0, idle, 0.0)];
        let mut add = |rng: &mut _, from: f64, to: f64, watts: f64| {
            let mut at = from;
            while at < to {
                let now = watts * RngExt::random_range(rng, 0.9..1.1);
                let (before, power, joules) = pieces[pieces.len() - 1];
                pieces.push((at, now, joules + power * (at - before)));
                at += RngExt::random_range(rng, 0.002..0.03);
            }
        };
        add(rng, began, prefilled, prefill);
        add(rng, prefilled, ended, decode);
        add(rng, ended, ended + 0.5, idle);
        Self { moments: [began, prefilled, ended], pieces }
    }

    fn piece(&self, at: f64) -> (f64, f64, f64) {
        self.pieces[self.pieces.partition_point(|piece| piece.0 <= at).max(1) - 1]
    }

    fn joules(&self, at: f64) -> f64 {
        let (from, watts, joules) = self.piece(at);
        joules + watts * (at - from)
    }

    /// Returns the moments of all readings: of the sampler, and at the ends of the window.
    fn readings(&self) -> Vec<f64> {
        let last = self.moments[2];
        let steady = (0..).map(|tick| f64::from(tick) * 0.01).take_while(|at| *at < last);
        let mut all: Vec<f64> = steady.chain([self.moments[0], last]).collect();
        all.sort_by(f64::total_cmp);
        all
    }
}

fn counted(request: &Request, rng: &mut ChaCha8Rng, period: f64, kind: Period) -> Curve {
    let phase = rng.random_range(0.0..period);
    let shown = |at: f64| {
        let tick = ((at - phase) / period).floor() * period + phase;
        (request.joules(tick.max(0.0)) * 1e3).floor() / 1e3
    };
    let [began, _, ended] = request.moments;
    let (mut tick_counter, mut before, mut opened) = (TickCounter::new(kind), 0.0, None);
    for at in request.readings() {
        tick_counter.observe(at, shown(at) - before);
        before = shown(at);
        if at == began {
            tick_counter.retain_from(at);
            opened = Some(tick_counter.snapshot(at));
        }
    }
    let (opened, closed) = (opened.expect("it was opened"), tick_counter.snapshot(ended));
    tick_counter.curve(&opened, &closed).expect("many ticks came before")
}

fn integrated(request: &Request, rng: &mut ChaCha8Rng, period: f64) -> Curve {
    let phase = rng.random_range(0.0..period);
    let [began, _, ended] = request.moments;
    let (mut integral, mut opened) = (Integral::new(period, Some(700.0)), None);
    for at in request.readings() {
        let told = ((at - phase) / period).floor() * period + phase;
        integral.observe(at, request.piece(told.max(0.0)).1);
        if at == began {
            integral.retain_from(at);
            opened = integral.snapshot(at);
        }
    }
    let (opened, closed) =
        (opened.expect("it was opened"), integral.snapshot(ended).expect("read"));
    integral.curve(&opened, &closed).expect("in order")
}

/// Prints how many errors are within one and two standard uncertainties, and checks that these are enough.
fn check(name: &str, of: impl Fn(&Request, &mut ChaCha8Rng) -> Curve) {
    let mut within = [[0.0; 2]; 3];
    let mut errors = [const { Vec::new() }; 3];
    for seed in 0..CASES {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let request = Request::new(&mut rng);
        let [began, prefilled, ended] = request.moments;
        let curve = of(&request, &mut rng).with_boundaries(&[prefilled]);
        let part = rng.random_range(0.0..0.9);
        let from = began + (ended - began) * part;
        let to = from + (ended - from) * rng.random_range(0.1..1.0);
        let spans = [(began, prefilled), (prefilled, ended), (from, to)];
        for (place, (from, to)) in spans.into_iter().enumerate() {
            let [first, last] = [from, to].map(|at| curve.at(at));
            let UncertainValue { value: energy, uncertainty } = last.since(first);
            let exact = request.joules(to) - request.joules(from);
            for (within, factor) in within[place].iter_mut().zip([1.0, 2.0]) {
                *within += f64::from((energy - exact).abs() <= factor * uncertainty) / CASES as f64;
            }
            errors[place].push(((energy - exact).abs() / exact, uncertainty / exact));
        }
        let parts = curve.at(prefilled).joules - curve.start().joules
            + (curve.end().joules - curve.at(prefilled).joules);
        assert!((parts - curve.total()).abs() < 1e-9, "phases make up the request");
    }
    for ((what, [one, two]), errors) in
        ["prefill", "decode", "any part"].into_iter().zip(within).zip(&mut errors)
    {
        errors.sort_by(|a, b| a.0.total_cmp(&b.0));
        let median = errors[errors.len() / 2].0;
        let mut told: Vec<f64> = errors.iter().map(|error| error.1).collect();
        told.sort_by(f64::total_cmp);
        println!(
            "{name}, {what}: within 1 u {:.1} %, within 2 u {:.1} %, median error {:.2} %, median u {:.2} %",
            one * 100.0,
            two * 100.0,
            median * 100.0,
            told[told.len() / 2] * 100.0
        );
        assert!(one >= 0.57 && two >= 0.95, "{name}, {what}");
    }
}

#[test]
fn a_counter_that_ticks_every_100_ms() {
    check("counter, 100 ms", |request, rng| counted(request, rng, 0.1, Period::AtMost(0.1)));
}

#[test]
fn a_counter_that_ticks_every_20_ms() {
    check("counter, 20 ms", |request, rng| counted(request, rng, 0.02, Period::AtMost(0.1)));
}

#[test]
fn a_counter_that_ticks_every_millisecond() {
    check("counter, 1 ms", |request, rng| counted(request, rng, 0.001, Period::Stated(0.001)));
}

#[test]
fn a_sensor_that_is_updated_every_20_ms() {
    check("sensor, 20 ms", |request, rng| integrated(request, rng, 0.02));
}

#[test]
fn a_sensor_that_is_updated_every_100_ms() {
    check("sensor, 100 ms", |request, rng| integrated(request, rng, 0.1));
}
