//! Every request is timed by the same clock. Tested with a model of known latencies (50 ms for a pass with a prompt, 7 ms for
//! any other) while every reading of a counter takes 150 ms.
//!
//! A busy machine makes any span longer, but hardly each of several by as much as a reading takes. So a span is too long if
//! the shortest of its kind is, and none may be too short.

use crate::support::{Hardware, TestContext, guest, of_kind};
use serde_json::Value;

/// Lengths of the model's passes, ns.
const PREFILL: u64 = 50_000_000;
const DECODE: u64 = 7_000_000;
const MODEL: &str = "synthetic:fixed-latency";
/// Output tokens of a request: a prefill and five decode passes.
const TOKENS: usize = 6;
/// How long a reading of a counter takes, ms and ns.
const DELAY: u64 = 150;
const READING: u64 = DELAY * 1_000_000;
/// What all passes of a request take, ns. Gaps between tokens have no least length, because the late time of one token makes the
/// next gap shorter.
const PASSES: u64 = PREFILL + DECODE * (TOKENS as u64 - 1);

fn ns(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

/// Panics unless each of the spans, in ns, is at least as long as it must be, and the shortest of them is longer by less than a
/// reading.
#[track_caller]
fn check_spans(what: &str, spans: impl IntoIterator<Item = u64>, least: u64) {
    let shortest = spans.into_iter().min().expect("a span");
    assert!(shortest >= least, "{what} of {shortest} ns, where the work takes {least}");
    assert!(shortest < least + READING, "a reading is in each {what}: {shortest} ns");
}

/// Runs static requests and a continuous batch on hardware whose counters are slow to read.
fn served(more: &[&str]) -> (TestContext, Vec<Value>) {
    let hardware = Hardware::new().gpu(300, 600, |_| {});
    let context = TestContext::new();
    let component = guest("request_clock");
    let args = [&["exec", &component, "--model", MODEL], more].concat();
    let mut command = hardware.command(&context, &args);
    let ran = crate::support::CommandOutput::from_output(
        command.env("LLEM_TEST_NVML_DELAY_MS", DELAY.to_string()).output().unwrap(),
    );
    ran.ok();
    let events = context.events();
    (context, events)
}

/// Returns the sequences of static requests and of the batch.
fn sequences(events: &[Value]) -> [Vec<&Value>; 2] {
    let of_requests = of_kind(events, "generation").into_iter();
    let of_batch = of_kind(events, "batch-sequence").into_iter();
    [
        of_requests.map(|event| &event["sequences"][0]).collect(),
        of_batch.map(|event| &event["sequence"]).collect(),
    ]
}

fn check_latencies(sequences: &[&Value]) {
    assert_eq!(sequences.len(), 7);
    let (mut ttfts, mut gaps) = (Vec::new(), Vec::new());
    for sequence in sequences {
        assert_eq!(sequence["tokens"].as_array().unwrap().len(), TOKENS);
        let submitted = ns(&sequence["submitted_ns"]);
        let times: Vec<u64> = sequence["token_ns"].as_array().unwrap().iter().map(ns).collect();
        assert!(times.is_sorted(), "{sequence}");
        let part = |name: &str| ns(&sequence["times"][name]);
        let first = part("tokenize_ns") + part("queue_ns") + part("prefill_ns");
        assert_eq!(first, times[0] - submitted, "{sequence}");
        assert_eq!(part("decode_ns"), times[TOKENS - 1] - times[0], "{sequence}");
        assert!(part("tokenize_ns") > 0 && part("detokenize_ns") > 0, "{sequence}");
        ttfts.push(first);
        assert!(times[TOKENS - 1] - submitted >= PASSES, "{sequence}");
        gaps.extend(times.windows(2).map(|pair| pair[1] - pair[0]));
    }
    check_spans("TTFT", ttfts, PREFILL);
    check_spans("gap", gaps, 0);
}

fn check_requests(events: &[Value], record: &Value) {
    let metrics = record["metrics"].as_array().unwrap().iter();
    let calls: Vec<u64> = metrics
        .filter(|metric| metric["name"] == "static_call")
        .map(|metric| (metric["quantity"]["value"].as_f64().unwrap() * 1e9).round() as u64)
        .collect();
    let generations = of_kind(events, "generation");
    assert_eq!(calls.len(), generations.len());
    // What is left of a longer span beside its parts.
    let (mut windows, mut totals, mut outside) = (Vec::new(), Vec::new(), Vec::new());
    for (event, call) in generations.into_iter().zip(calls) {
        let part = |name: &str| ns(&event["times"][name]);
        let clock = part("tokenize_ns") + part("prefill_ns") + part("decode_ns");
        windows.push(ns(&event["window"]["wall_ns"]).abs_diff(clock));
        let parts = clock + part("prepare_ns") + part("meter_ns") + part("detokenize_ns");
        totals.push(part("total_ns").abs_diff(parts));
        // By the script's clock, which is independent of ours, the call took at least as long as its parts.
        assert!(call >= part("total_ns"), "a call of {call} ns: {}", event["times"]);
        outside.push(call - part("total_ns"));
        // Both readings are here, and the parts exclude one another, so they are in no other part.
        assert!(part("meter_ns") >= 2 * READING, "{}", event["times"]);
    }
    check_spans("window beside its request", windows, 0);
    check_spans("request beside its parts", totals, 0);
    check_spans("call beside its request", outside, 0);
}

fn check_served(more: &[&str]) {
    let (context, events) = served(more);
    let [of_requests, of_batch] = sequences(&events);
    check_latencies(&of_requests);
    check_latencies(&of_batch);
    check_requests(&events, &context.record());
}

#[test]
fn slow_counters_are_in_no_latency() {
    check_served(&[]);
}

#[test]
fn slow_counters_are_in_no_latency_of_aligned_windows() {
    check_served(&["--align-windows"]);
}

#[test]
fn generate_has_the_same_clock() {
    let (mut ttfts, mut gaps, mut differences) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let args =
            ["generate", MODEL, "A prompt.", "--max-new-tokens", "6", "--ignore-eos", "--json"];
        let timings = TestContext::new().llem(&args).ok().json()["timings"].clone();
        let ns = |seconds: &Value| (seconds.as_f64().unwrap() * 1e9).round() as u64;
        let times: Vec<u64> = timings["token_times_s"].as_array().unwrap().iter().map(ns).collect();
        let part = |name: &str| ns(&timings[name]);
        assert_eq!(part("ttft_s"), times[0], "{timings}");
        let last = times[TOKENS - 1];
        let parts = part("tokenize_s") + part("prefill_s") + part("decode_s");
        differences.push(parts.abs_diff(last));
        ttfts.push(times[0]);
        assert!(last >= PASSES, "{timings}");
        gaps.extend(times.windows(2).map(|pair| pair[1] - pair[0]));
    }
    // The parts are timed beside the tokens. A busy machine may come in between, but not each time.
    let smallest = differences.into_iter().min().unwrap();
    assert!(smallest < 1_000_000, "the parts differ from the last token's time by {smallest} ns");
    check_spans("TTFT", ttfts, PREFILL);
    check_spans("gap", gaps, 0);
}
