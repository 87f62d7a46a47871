//! Arrival processes, reuse of KV caches, and scripts that choose tokens themselves.

use crate::support::{TestContext, guest, of_kind};
use serde_json::Value;

/// Returns the sequences of a run's batches by name.
fn sequences(context: &TestContext) -> Vec<Value> {
    let events = context.events();
    let mut sequences: Vec<Value> =
        of_kind(&events, "batch-sequence").into_iter().cloned().collect();
    sequences.sort_by_key(|event| event["name"].as_u64().unwrap());
    sequences.into_iter().map(|event| event["sequence"].clone()).collect()
}

/// Returns true if gaps are exponential with this mean: the Kolmogorov-Smirnov statistic against its critical value at 1 %
/// (Stephens 1970, the modified form for a known distribution: (sqrt n + 0.12 + 0.11 / sqrt n) D < 1.628).
fn is_exponential(mut gaps: Vec<f64>, mean: f64) -> bool {
    gaps.sort_by(f64::total_cmp);
    let count = gaps.len() as f64;
    let distance = (0..).zip(&gaps).fold(0.0f64, |most, (index, gap)| {
        let expected = 1.0 - (-gap / mean).exp();
        let below = f64::from(index) / count;
        most.max((expected - below).abs()).max((below + 1.0 / count - expected).abs())
    });
    (count.sqrt() + 0.12 + 0.11 / count.sqrt()) * distance < 1.628
}

#[test]
fn a_poisson_process_arrives_as_one() {
    let context = TestContext::new();
    let settings = ["-p", "rate=200", "-p", "count=600", "-p", "new-tokens=2"];
    context.llem(&[&["exec", &guest("poisson_arrivals")][..], &settings].concat()).ok();
    let sequences = sequences(&context);
    let time = |sequence: &Value, name: &str| sequence[name].as_u64().unwrap();
    let submitted: Vec<u64> = sequences.iter().map(|one| time(one, "submitted_ns")).collect();
    assert_eq!(submitted.len(), 600);
    let gaps = submitted.windows(2).map(|pair| (pair[1] - pair[0]) as f64 * 1e-9);
    let gaps: Vec<f64> = gaps.collect();
    assert!(is_exponential(gaps.clone(), 1.0 / 200.0));
    // The statistic rejects other processes.
    assert!(!is_exponential(gaps.iter().map(|gap| 1.2 * gap).collect(), 1.0 / 200.0));
    assert!(!is_exponential(vec![1.0 / 200.0; 599], 1.0 / 200.0));
    for sequence in &sequences {
        assert!(time(sequence, "admitted_ns") >= time(sequence, "submitted_ns"));
        let (first, times) = (sequence["token_ns"][0].as_u64().unwrap(), &sequence["times"]);
        let parts = ["tokenize_ns", "queue_ns", "prefill_ns"].map(|part| time(times, part));
        assert_eq!(parts.iter().sum::<u64>(), first - time(sequence, "submitted_ns"));
    }
    assert!(sequences.iter().any(|one| one["due_in_step"] != true), "some found it idle");
}

#[test]
fn the_runner_runs_a_workload_as_its_schedule_says() {
    let policy = guest("policy_arrivals");
    // Open loop: each request arrives at its time, whether or not earlier ones have ended.
    let context = TestContext::new();
    context.llem(&["exec", &policy, "-p", "rate=400", "-p", "count=40"]).ok();
    let open = sequences(&context);
    assert_eq!(open.len(), 40);
    let submitted = |one: &Value| one["submitted_ns"].as_u64().unwrap();
    let gaps: Vec<f64> = open
        .windows(2)
        .map(|pair| (submitted(&pair[1]) - submitted(&pair[0])) as f64 * 1e-9)
        .collect();
    assert!(is_exponential(gaps, 1.0 / 400.0));
    // Closed loop: never more requests in progress than configured.
    let context = TestContext::new();
    let closed = ["-p", "rate=0", "-p", "concurrency=3", "-p", "count=20", "-p", "prompts=1"];
    context.llem(&[&["exec", &policy][..], &closed].concat()).ok();
    let closed = sequences(&context);
    assert_eq!(closed.len(), 20);
    let ended = |one: &Value| one["token_ns"].as_array().unwrap().last().unwrap().as_u64().unwrap();
    for one in &closed {
        let at = submitted(one);
        let under_way = closed.iter().filter(|other| submitted(other) <= at && ended(other) > at);
        assert!(under_way.count() <= 3);
    }
    let record = context.record();
    let measure =
        record["windows"].as_array().unwrap().iter().find(|one| one["phase"] == "measure");
    assert_eq!(measure.unwrap()["activity"]["output_tokens"], 20 * 6);
}

#[test]
fn a_script_that_takes_the_most_likely_is_greedy() {
    TestContext::new().llem(&["exec", &guest("guest_sampler")]).ok();
    TestContext::new().llem(&["exec", &guest("guest_sampler"), "--dtype", "bf16"]).ok();
}

#[test]
fn caches_are_used_again() {
    let context = TestContext::new();
    context.llem(&["exec", &guest("conversation")]).ok();
    let cached = sequences(&context).iter().filter(|one| one["cached_tokens"].is_u64()).count();
    assert!(cached > 0, "the record tells it");
}
