//! The virtual clock. These tests have a process of their own, because the clock holds for a whole process.

use llem_clock::{VirtualClock, Work, WorkLedger, elapsed, now, start_virtual};
use std::{
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// The tests share one clock, so they run one at a time. A test that fails does not make the next ones fail.
static ALONE: Mutex<()> = Mutex::new(());

fn alone(test: impl FnOnce(VirtualClock)) {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    test(start_virtual());
}

#[test]
fn the_clock_stands_still_until_it_is_advanced() {
    alone(|clock| {
        let began = now();
        thread::sleep(Duration::from_millis(5));
        assert_eq!((now(), elapsed(began)), (began, Duration::ZERO));
        let later = clock.advance(Duration::from_secs(3600));
        assert_eq!((now(), elapsed(began)), (later, Duration::from_secs(3600)));
    });
}

#[test]
fn the_clock_jumps_forward_and_never_back() {
    alone(|clock| {
        let (began, real) = (now(), Instant::now());
        clock.advance_to(began + Duration::from_nanos(7));
        assert_eq!(elapsed(began), Duration::from_nanos(7));
        clock.advance_to(began);
        assert_eq!(elapsed(began), Duration::from_nanos(7));
        assert!(real.elapsed() < Duration::from_secs(5), "nothing waits");
    });
}

#[test]
fn all_threads_read_one_clock() {
    alone(|clock| {
        let began = now();
        let other = thread::spawn(move || clock.advance(Duration::from_secs(1)));
        assert_eq!(other.join().expect("it ends"), began + Duration::from_secs(1));
        assert_eq!(elapsed(began), Duration::from_secs(1));
    });
}

#[test]
fn work_is_taken_once_and_in_order() {
    alone(|clock| {
        let (ledger, reader) = {
            let ledger = WorkLedger::default();
            (ledger.clone(), ledger)
        };
        let piece = |joules: f64| {
            let began = now();
            Work { began, ended: clock.advance(Duration::from_millis(1)), joules }
        };
        let pieces = [piece(1.0), piece(2.0)];
        pieces.iter().for_each(|&work| ledger.add(work));
        assert_eq!(reader.take(), pieces);
        assert_eq!(reader.take(), []);
    });
}
