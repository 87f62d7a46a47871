//! The energy of a synthetic host over windows, in virtual time. These tests have a process of their own, because the clock
//! holds for a whole process.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use llem_clock::{Work, WorkLedger, start_virtual};
use llem_meter::{ClosedWindow, Meter, MeterOptions, Sample, Sink, SyntheticPower};
use llem_quantity::Source;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// The tests share one clock, so they run one at a time. A test that fails does not make the next ones fail.
static ALONE: Mutex<()> = Mutex::new(());

/// A host that draws 50 W at rest.
struct Host {
    meter: Meter,
    work: WorkLedger,
}

impl Host {
    fn new() -> Self {
        start_virtual();
        let work = WorkLedger::default();
        let synthetic = Some(SyntheticPower { idle_watts: 50.0, work: work.clone() });
        let meter = Meter::discover(&MeterOptions { synthetic, ..MeterOptions::default() });
        Self { meter, work }
    }

    fn rest(&self, ms: u64) {
        start_virtual().advance(Duration::from_millis(ms));
    }

    fn work(&self, ms: u64, joules: f64) {
        let clock = start_virtual();
        let began = clock.now();
        let ended = clock.advance(Duration::from_millis(ms));
        self.work.add(Work { began, ended, joules });
    }
}

fn joules(window: &ClosedWindow) -> f64 {
    let energy = window.energy[0].energy.as_ref().unwrap();
    assert_eq!((energy.uncertainty, energy.source), (0.0, Source::Simulated));
    energy.value
}

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-9, "{value} is not {expected}");
}

#[test]
fn a_window_has_the_power_at_rest_and_what_work_drew() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::new();
    host.work(100, 3.0);
    let window = host.meter.open_with_curves();
    host.rest(200);
    host.work(100, 7.0);
    let between = llem_clock::now();
    host.work(50, 2.0);
    let closed = host.meter.close(window);
    assert_eq!(closed.wall, Duration::from_millis(350));
    near(joules(&closed), 50.0 * 0.35 + 9.0);
    let curve = closed.curves.sum(&[closed.energy[0].id.clone()], &[between]).unwrap();
    let until = |moment| curve.at(moment).since(curve.at(closed.started)).value;
    near(until(between), 50.0 * 0.3 + 7.0);
    near(until(closed.started + Duration::from_millis(200)), 10.0);
    assert_eq!(curve.at(between).since(curve.at(closed.started)).uncertainty, 0.0);
    assert!(closed.warnings.is_empty() && closed.devices.is_empty());
    assert!(closed.memory[0].peak.is_err(), "the memory of this machine is not the host's");
}

#[test]
fn parts_of_a_continuous_window_add_up_and_end_anywhere() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::new();
    let mut parts = host.meter.open_continuous();
    host.work(100, 4.0);
    let middle = llem_clock::now();
    host.rest(100);
    assert_eq!(host.meter.known_until(), llem_clock::now());
    near(joules(&host.meter.next_part(&mut parts, middle)), 5.0 + 4.0);
    let quarter = middle + Duration::from_millis(25);
    near(joules(&host.meter.next_part(&mut parts, quarter)), 1.25);
    host.work(100, 1.0);
    near(joules(&host.meter.next_part(&mut parts, llem_clock::now())), 3.75 + 5.0 + 1.0);
}

#[test]
fn samples_are_taken_where_the_power_changes() {
    struct Taken(Arc<Mutex<Vec<Sample>>>);
    impl Sink for Taken {
        fn take(&mut self, samples: Vec<Sample>) {
            self.0.lock().unwrap().extend(samples);
        }
    }
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::new();
    let taken = Arc::new(Mutex::new(Vec::new()));
    host.meter.hand_samples_to(Some(Box::new(Taken(Arc::clone(&taken)))));
    let began = llem_clock::now();
    host.rest(10);
    host.work(10, 2.0);
    host.rest(10);
    assert_eq!(host.meter.samples_since(began).len(), 3);
    host.meter.hand_samples_to(None);
    let samples = taken.lock().unwrap();
    let powers: Vec<f64> = samples.iter().map(|sample| sample.power.unwrap()).collect();
    assert_eq!(powers.len(), 3);
    [50.0, 250.0, 50.0].iter().zip(&powers).for_each(|(&watts, &power)| near(power, watts));
    near(samples[2].energy.unwrap(), 50.0 * 0.03 + 2.0);
}

#[test]
fn nothing_of_this_machine_is_told() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let host = Host::new();
    let devices = host.meter.devices();
    assert_eq!((devices.len(), &devices[0].name[..]), (1, "synthetic processor"));
    assert_eq!(devices[0].energy_source, Ok(Source::Simulated));
    let state = host.meter.state("cpu").unwrap();
    assert!(state.core_clock.is_err() && state.memory_used.is_err());
    assert_eq!(host.meter.sampler_cost().rounds, 0);
}
