//! Calls each function of `meter`, `devices` and `facts`, with good arguments and with bad ones.

use llem_sdk::{
    bindings::{
        devices::{find_device, list_devices},
        facts::{list_facts, run_began},
        meter::{
            Baseline, Measurement, Window, counter_resolution, now, sleep_until,
            wait_until_power_steady, wait_until_temperature_steady,
        },
        types::Reading,
    },
    prelude::{About, ErrorCode, Result},
};
use test_guests::{check, is_refused};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("every-meter-function", "0.1.0", "Reads all that is metered.")
}

fn run() -> Result<()> {
    let facts = list_facts();
    check(facts.iter().any(|(name, _)| name == "llem-version"), "llem tells its version")?;
    check(run_began() > 1_700_000_000, "the run began after 2023")?;
    devices()?;
    window()?;
    waits()?;
    baseline()
}

fn devices() -> Result<()> {
    let devices = list_devices();
    check(devices[0].id() == "cpu" && devices[0].kind() == "cpu", "the CPU is the first")?;
    for device in &devices {
        let same = find_device(&device.id())?;
        check(same.name() == device.name() && same.uuid() == device.uuid(), "found by its id")?;
        let _ = (device.memory_bytes(), device.compute_capability(), device.notes());
        for peaks in [device.datasheet_peaks(), device.measured_peaks()] {
            let is_said = match peaks {
                Ok(peaks) => !peaks.origin.is_empty(),
                Err(reason) => !reason.is_empty(),
            };
            check(is_said, "peaks have an origin, or a reason why there are none")?;
        }
        let told = device.energy_source().unwrap_or_else(|reason| reason);
        check(!told.is_empty(), "what measures its energy, or why nothing does")?;
        let before = now();
        let state = device.read()?;
        check(state.at() >= before && state.at() <= now(), "it is read when it is asked")?;
        for reading in [
            state.power(),
            state.temperature(),
            state.core_clock(),
            state.memory_clock(),
            state.utilisation(),
            state.memory_used(),
            state.pcie(),
        ] {
            is_told(&reading)?;
        }
        let _ = state.throttle_reasons();
    }
    check(is_refused(find_device("cuda:99"), ErrorCode::NotFound), "there is no such device")
}

/// Checks that a reading has a finite value or a reason.
fn is_told(reading: &Reading) -> Result<()> {
    match reading {
        Reading::Known(known) => {
            check(known.value.is_finite() && known.uncertainty >= 0.0, "a finite value")?;
            check(!known.source.is_empty(), "from somewhere")
        }
        Reading::Unavailable(reason) => check(!reason.is_empty(), "or a reason"),
    }
}

fn window() -> Result<()> {
    let window = Window::open("whole")?;
    sleep_until(now() + 150_000_000);
    window.mark("second")?;
    sleep_until(now() + 150_000_000);
    let _ = window.timeline(0);
    check(window.timeline(u64::MAX).is_empty(), "no sample is of the future")?;
    let measured = Window::close(window)?;
    check(measured.label() == "whole" && measured.wall_time() >= 300_000_000, "as long as it was")?;
    let segments = measured.segments();
    check(segments.len() == 2 && segments[1].label == "second", "a mark begins a segment")?;
    check(segments[0].label.is_empty() && segments[0].started == measured.started(), "the first")?;
    let parts: u64 = segments.iter().map(|one| one.wall_time).sum();
    check(parts == measured.wall_time(), "segments are the whole")?;
    check(segments.iter().all(|one| one.wall_time >= 150_000_000), "each as long as it was")?;
    readings(&measured)?;
    check(measured.requests() == 0 && measured.prompt_tokens() == 0, "nothing was asked")?;
    check(measured.output_tokens() == 0 && measured.devices_used() == 0, "nor generated")?;
    check(
        measured.prefill_time() + measured.decode_time() + measured.mixed_time() == 0,
        "nor run",
    )?;
    check(measured.mixed_prompt_tokens() + measured.mixed_output_tokens() == 0, "in any step")?;
    let flops = measured.flops_prefill() + measured.flops_decode() + measured.flops_mixed();
    check(flops == 0.0 && measured.ranks().is_empty(), "by no operations and ranks")?;
    let window = Window::open("marks")?;
    let marks = (0..1001).map(|_| window.mark("mark")).collect::<Vec<_>>();
    check(marks[..1000].iter().all(|mark| mark.is_ok()), "a thousand marks are taken")?;
    let last = marks.into_iter().next_back().unwrap_or(Ok(()));
    check(is_refused(last, ErrorCode::LimitReached), "and no more")
}

fn readings(measured: &Measurement) -> Result<()> {
    for reading in [
        measured.energy_total(),
        measured.energy_cpu(),
        measured.energy_accelerators(),
        measured.energy_prefill(),
        measured.energy_decode(),
        measured.energy_mixed(),
        measured.energy_outside(),
        measured.energy_per_output_token(),
        measured.energy_above_idle(),
        measured.energy_imbalance(),
    ] {
        is_told(&reading)?;
    }
    measured.energy().iter().try_for_each(|one| is_told(&one.energy))?;
    measured.memory_peaks().iter().try_for_each(|one| is_told(&one.peak))?;
    for course in measured.courses() {
        check(course.min <= course.mean && course.mean <= course.max, "a mean lies between")?;
    }
    let _ = (measured.warnings(), measured.energy_covers(), measured.throttled());
    Ok(())
}

fn waits() -> Result<()> {
    sleep_until(0);
    for resolution in counter_resolution() {
        is_told(&resolution.update_period)?;
    }
    for wait in [wait_until_power_steady, wait_until_temperature_steady] {
        for within in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let answer = wait(Some("cpu"), within, 1_000_000);
            check(is_refused(answer, ErrorCode::InvalidArgument), "within no number above 0")?;
        }
        let answer = wait(Some("cuda:99"), 1.0, 1_000_000);
        check(is_refused(answer, ErrorCode::NotFound), "of no such device")?;
    }
    Ok(())
}

fn baseline() -> Result<()> {
    for length in [0, 99_999_999, 600_000_000_001, u64::MAX] {
        let refused = Baseline::measure(length);
        check(is_refused(refused, ErrorCode::InvalidArgument), "too short or too long a baseline")?;
        let refused = Baseline::recall_or_measure(length, 0);
        check(is_refused(refused, ErrorCode::InvalidArgument), "to recall, too")?;
    }
    // There may be none if nothing is metered.
    if let Ok(baseline) = Baseline::measure(100_000_000) {
        check(!baseline.from_earlier_run() && baseline.wall_time() >= 100_000_000, "it is new")?;
        check(baseline.measured_at() + 1 >= run_began(), "of this run")?;
        baseline.power().iter().try_for_each(|one| is_told(&one.power))?;
        let again = Baseline::recall_or_measure(100_000_000, 3_600_000_000_000)?;
        // Only steady baselines of a metered machine are stored.
        let is_the_same = again.measured_at() == baseline.measured_at();
        check(!again.from_earlier_run() || is_the_same, "a recalled one is the one before")?;
    }
    Ok(())
}
