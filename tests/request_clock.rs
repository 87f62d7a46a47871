//! Every request is timed by the same clock. Tested with a model of known latencies (50 ms for a pass with a prompt, 7 ms for
//! any other) while every reading of a counter takes 20 ms.

use crate::support::{Hardware, TestContext, guest, of_kind};
use serde_json::Value;

const PREFILL: f64 = 50.0;
const DECODE: f64 = 7.0;
const MODEL: &str = "synthetic:fixed-latency";
/// Output tokens of a request: a prefill and five decode passes.
const TOKENS: usize = 6;

fn ms(ns: &Value) -> f64 {
    ns.as_f64().unwrap() * 1e-6
}

/// Checks up to four times: a busy machine may delay a thread for longer than these tests allow, but an error of our clock
/// shows each time.
fn at_best(check: impl Fn() -> Result<(), String>) {
    let mut failures = Vec::new();
    for _ in 0..4 {
        match check() {
            Ok(()) => return,
            Err(failure) => failures.push(failure),
        }
    }
    panic!("{}", failures.join("\n"));
}

/// Returns an error with `message` unless a condition holds.
macro_rules! hold {
    ($condition:expr, $($message:tt)+) => {
        let holds: bool = $condition;
        if !holds {
            return Err(format!($($message)+));
        }
    };
}

/// Returns the first quartile, because other work on the machine can only make a latency longer.
fn quartile(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 4]
}

/// Runs static requests and a continuous batch on hardware whose counters are slow to read.
fn served(more: &[&str]) -> (TestContext, Vec<Value>) {
    let hardware = Hardware::new().gpu(300, 60, |_| {});
    let context = TestContext::new();
    let component = guest("request_clock");
    let args = [&["exec", &component, "--model", MODEL], more].concat();
    let mut command = hardware.command(&context, &args);
    let ran = crate::support::CommandOutput::from_output(
        command.env("LLEM_TEST_NVML_DELAY_MS", "20").output().unwrap(),
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

fn check_latencies(sequences: &[&Value]) -> Result<(), String> {
    assert_eq!(sequences.len(), 7);
    let times = |sequence: &Value| -> Vec<f64> {
        sequence["token_ns"].as_array().unwrap().iter().map(ms).collect()
    };
    let ttft =
        quartile(sequences.iter().map(|one| times(one)[0] - ms(&one["submitted_ns"])).collect());
    hold!((ttft - PREFILL).abs() < 1.0, "TTFT {ttft} ms, where a prefill takes {PREFILL}");
    let gaps = sequences
        .iter()
        .flat_map(|one| times(one).windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>());
    let itl = quartile(gaps.collect());
    hold!((itl - DECODE).abs() < 1.0, "ITL {itl} ms, where a step takes {DECODE}");
    for sequence in sequences {
        assert_eq!(sequence["tokens"].as_array().unwrap().len(), TOKENS);
        let part = |name: &str| ms(&sequence["times"][name]);
        let parts = part("tokenize_ns") + part("queue_ns") + part("prefill_ns") + part("decode_ns");
        let e2el = times(sequence)[TOKENS - 1] - ms(&sequence["submitted_ns"]);
        hold!((parts - e2el).abs() < 0.01 * e2el, "{parts} of {e2el} ms: {sequence}");
        assert!(part("tokenize_ns") > 0.0 && part("detokenize_ns") > 0.0, "{sequence}");
    }
    Ok(())
}

fn check_requests(events: &[Value], record: &Value) -> Result<(), String> {
    let calls: Vec<f64> = record["metrics"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|metric| metric["name"] == "static_call")
        .map(|metric| metric["quantity"]["value"].as_f64().unwrap() * 1e3)
        .collect();
    let generations = of_kind(events, "generation");
    assert_eq!(calls.len(), generations.len());
    for (event, call) in generations.into_iter().zip(calls) {
        let part = |name: &str| ms(&event["times"][name]);
        let clock = part("tokenize_ns") + part("prefill_ns") + part("decode_ns");
        let wall = ms(&event["window"]["wall_ns"]);
        hold!((clock - wall).abs() < 0.01 * wall, "{clock} of the window's {wall} ms: {event}");
        let parts = clock + part("prepare_ns") + part("meter_ns") + part("detokenize_ns");
        let total = part("total_ns");
        hold!((parts - total).abs() < 0.01 * total, "{parts} of {total} ms: {}", event["times"]);
        // By the script's clock, which is independent of ours, the call took as long as its parts.
        hold!(total <= call && call < 1.1 * total + 5.0, "{total} of {call} ms");
        assert!(part("meter_ns") > 39.0, "both readings are slow: {}", event["times"]);
    }
    Ok(())
}

fn check_generate() -> Result<(), String> {
    let (mut ttfts, mut gaps) = (Vec::new(), Vec::new());
    for _ in 0..5 {
        let args =
            ["generate", MODEL, "A prompt.", "--max-new-tokens", "6", "--ignore-eos", "--json"];
        let timings = TestContext::new().llem(&args).ok().json()["timings"].clone();
        let s = |name: &str| timings[name].as_f64().unwrap() * 1e3;
        let times = timings["token_times_s"].as_array().unwrap().iter();
        let times: Vec<f64> = times.map(|time| time.as_f64().unwrap() * 1e3).collect();
        let parts = s("tokenize_s") + s("prefill_s") + s("decode_s");
        hold!((parts - times[TOKENS - 1]).abs() < 0.01 * parts, "{timings}");
        ttfts.push(s("ttft_s"));
        gaps.extend(times.windows(2).map(|pair| pair[1] - pair[0]));
    }
    let (ttft, itl) = (quartile(ttfts), quartile(gaps));
    hold!((ttft - PREFILL).abs() < 1.0, "TTFT {ttft} ms, where a prefill takes {PREFILL}");
    hold!((itl - DECODE).abs() < 1.0, "ITL {itl} ms, where a step takes {DECODE}");
    Ok(())
}

fn check_served(more: &[&str]) -> Result<(), String> {
    let (context, events) = served(more);
    let [of_requests, of_batch] = sequences(&events);
    check_latencies(&of_requests)?;
    check_latencies(&of_batch)?;
    check_requests(&events, &context.record())
}

#[test]
fn slow_counters_are_in_no_latency() {
    at_best(|| check_served(&[]));
}

#[test]
fn slow_counters_are_in_no_latency_of_aligned_windows() {
    at_best(|| check_served(&["--align-windows"]));
}

#[test]
fn generate_has_the_same_clock() {
    at_best(check_generate);
}
