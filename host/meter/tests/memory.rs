//! Peaks of memory of real windows, in a process of their own: whatever else runs in it is in them, too. Linux must allow
//! this process to write `/proc/self/clear_refs`.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use llem_meter::{MemoryKind, Meter, Options, Span, Window};

const MB: usize = 1_000_000;

/// Has so much in memory, and gives it back.
fn use_megabytes(megabytes: usize) {
    // Zeros are no memory until they are written.
    drop(std::hint::black_box(vec![1u8; megabytes * MB]));
}

/// The peak of this process in a span, MB. It is at least as certain as 5 %.
fn peak(span: &Span) -> f64 {
    let is_it = |kind| kind == MemoryKind::ProcessResident;
    let peak = span.memory.iter().find(|peak| is_it(peak.kind)).unwrap();
    assert_eq!(peak.device, "cpu");
    let bytes = peak.peak.as_ref().unwrap();
    assert_eq!(bytes.unit, "By");
    assert!(bytes.uncertainty < 10e6, "{bytes:?}");
    bytes.value / MB as f64
}

#[test]
fn a_peak_is_of_the_windows_that_it_falls_in() {
    let meter = Meter::discover(&Options::default());
    let close = |window: Window| peak(&meter.close(window));
    let rest = close(meter.open());
    let above_rest = |peak: f64, expected: f64| {
        assert!((peak - rest - expected).abs() < 20.0, "{peak} MB, {expected} above {rest}");
    };
    // Alone, followed or not.
    for window in [meter.open(), meter.follow()] {
        use_megabytes(200);
        above_rest(close(window), 200.0);
    }
    above_rest(close(meter.open()), 0.0);

    let outer = meter.open();
    use_megabytes(200);
    let overlapping = meter.open();
    let nested = meter.follow();
    use_megabytes(100);
    above_rest(close(nested), 100.0);
    drop(meter.open());
    above_rest(close(outer), 200.0);
    above_rest(close(overlapping), 100.0);

    // What stays in memory is in the windows after it.
    let kept = std::hint::black_box(vec![1u8; 50 * MB]);
    let later = meter.open();
    drop(kept);
    above_rest(close(later), 50.0);
}
