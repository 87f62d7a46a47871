//! Memory peaks of real windows. The test has a process of its own, because everything else that runs in a process is in its
//! peaks, too. Linux must allow this process to write `/proc/self/clear_refs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use llem_meter::{ClosedWindow, MemoryKind, Meter, MeterOptions, Window};

const MB: usize = 1_000_000;

/// Uses this much memory, and frees it.
fn use_megabytes(megabytes: usize) {
    // Zeros would not be resident until they are written.
    drop(std::hint::black_box(vec![1u8; megabytes * MB]));
}

/// Returns the peak of this process in a window, MB, and checks that its uncertainty is below 10 MB.
fn peak(window: &ClosedWindow) -> f64 {
    let is_it = |kind| kind == MemoryKind::ProcessResident;
    let peak = window.memory.iter().find(|peak| is_it(peak.kind)).unwrap();
    assert_eq!(peak.device, "cpu");
    let bytes = peak.peak.as_ref().unwrap();
    assert_eq!(bytes.unit, "By");
    assert!(bytes.uncertainty < 10e6, "{bytes:?}");
    bytes.value / MB as f64
}

#[test]
fn a_peak_is_of_the_windows_that_it_falls_in() {
    let meter = Meter::discover(&MeterOptions::default());
    let close = |window: Window| peak(&meter.close(window));
    let rest = close(meter.open());
    let above_rest = |peak: f64, expected: f64| {
        assert!((peak - rest - expected).abs() < 20.0, "{peak} MB, {expected} above {rest}");
    };
    // A window alone, without and with curves.
    for window in [meter.open(), meter.open_with_curves()] {
        use_megabytes(200);
        above_rest(close(window), 200.0);
    }
    above_rest(close(meter.open()), 0.0);

    let outer = meter.open();
    use_megabytes(200);
    let overlapping = meter.open();
    let nested = meter.open_with_curves();
    use_megabytes(100);
    above_rest(close(nested), 100.0);
    drop(meter.open());
    above_rest(close(outer), 200.0);
    above_rest(close(overlapping), 100.0);

    // Memory that stays in use is in later windows, too.
    let kept = std::hint::black_box(vec![1u8; 50 * MB]);
    let later = meter.open();
    drop(kept);
    above_rest(close(later), 50.0);
}
