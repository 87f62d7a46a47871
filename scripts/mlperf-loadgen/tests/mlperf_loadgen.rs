//! Runs the experiment on the synthetic host, where a prompt token takes 0.1 ms and a step of decode 5 ms.

use llem_sdk::{
    Result,
    testing::{TestResult, TestRun},
};
use std::fs;

/// Outputs of 16 tokens after prompts of 32: 3.2 ms to the first token, and 5 ms for each of the others.
fn run(scenario: &str) -> TestRun {
    TestRun::experiment(env!("CARGO_MANIFEST_DIR"))
        .parameter("scenario", scenario)
        .parameter("ignore-eos", true)
}

fn value(result: &TestResult, name: &str) -> f64 {
    result.metric(name).unwrap_or_else(|error| panic!("{error}")).value
}

fn artifact(result: &TestResult, name: &str) -> String {
    fs::read_to_string(result.folder().join("artifacts").join(name)).expect("an artifact")
}

fn assert_close(found: f64, expected: f64) {
    assert!((found - expected).abs() < 1e-9 * expected, "{found}, not {expected}");
}

#[test]
fn a_single_stream_has_one_sample_at_a_time() -> Result<()> {
    // Twice 2 s of the expected 80 ms are 50 queries. They are 64 samples each equally often.
    let result = run("SingleStream")
        .parameter("min-duration", 2000)
        .parameter("target-latency", 80)
        .parameter("min-query-count", 64)
        .run()?;
    assert_eq!(result.error(), None);
    // LoadGen adds a whole set to a count that is a multiple already.
    assert_eq!(result.requests().len(), 128);
    assert_eq!(value(&result, "result_validity"), 1.0);
    assert_eq!(value(&result, "result_90.00_percentile_latency_ns"), 78.2e6);
    assert_eq!(
        value(&result, "early_stopping_latency_ss"),
        3.2e6,
        "with token latencies it is of TTFT"
    );
    assert_eq!(value(&result, "result_time_per_output_token_90.00_percentile_ns"), 5e6);
    assert_close(value(&result, "result_qps_without_loadgen_overhead"), 1.0 / 78.2e-3);
    // 50 W at rest, 32 tokens of 0.01 J and 15 of 0.5 J.
    assert_close(value(&result, "joules_per_sample"), 50.0 * 78.2e-3 + 0.32 + 7.5);
    assert_close(value(&result, "llem_meters_millijoules_per_query"), 11_730.0);
    let summary = artifact(&result, "mlperf_log_summary.txt");
    for line in
        ["Result is : VALID", "90.0th percentile latency (ns) : 78200000", "min_query_count : 128"]
    {
        assert!(summary.lines().any(|one| one == line), "{summary}");
    }
    Ok(())
}

#[test]
fn a_query_of_multi_stream_has_several_samples() -> Result<()> {
    let result = run("MultiStream").parameter("samples-per-query", 4).run()?;
    assert_eq!(result.error(), None);
    let requests = result.requests();
    assert_eq!(requests.len() % 4, 0);
    assert!(requests.len() >= 4 * 662);
    assert!(
        requests
            .chunks(4)
            .all(|query| query.iter().all(|one| one.submitted_ns == query[0].submitted_ns))
    );
    assert_eq!(value(&result, "result_validity"), 1.0);
    // Four prompts in one pass, then 15 steps.
    assert_eq!(value(&result, "result_99.00_percentile_per_query_latency_ns"), 12.8e6 + 75e6);
    Ok(())
}

#[test]
fn a_server_gets_samples_at_loadgens_times() -> Result<()> {
    let result = run("Server").parameter("target-qps", 50).run()?;
    assert_eq!(result.error(), None);
    assert_eq!(value(&result, "result_validity"), 1.0);
    let mut arrivals: Vec<u64> = result.requests().iter().map(|one| one.submitted_ns).collect();
    arrivals.sort_unstable();
    let after = |at: usize| arrivals[at] - arrivals[0];
    // Gaps are whole nanoseconds, so twenty times a gap may be up to 20 ns off.
    assert!(
        ARRIVALS.into_iter().enumerate().all(|(at, time)| after(at + 1).abs_diff(20 * time) <= 80)
    );
    assert_eq!(value(&result, "result_scheduled_samples_per_sec"), {
        let last = after(arrivals.len() - 1) as f64 / 1e9;
        (arrivals.len() - 1) as f64 / last
    });
    Ok(())
}

/// The first arrivals of LoadGen 6.0.17 after the first sample, at 1000 samples/s, in ns.
const ARRIVALS: [u64; 4] = [1_843_654, 2_301_577, 3_587_439, 4_300_433];

#[test]
fn a_server_that_is_too_slow_is_invalid() -> Result<()> {
    let result = run("Server")
        .parameter("target-qps", 300)
        .parameter("max-sequences", 1)
        .parameter("min-duration", 2000)
        .run()?;
    assert_eq!(result.error(), None);
    assert_eq!(value(&result, "result_validity"), 0.0);
    let summary = artifact(&result, "mlperf_log_summary.txt");
    assert!(summary.contains("  Performance constraints satisfied : NO\n"), "{summary}");
    assert!(
        summary.contains(" * TTFT constrain not met: Reduce target QPS to improve latency.\n"),
        "{summary}"
    );
    assert!(summary.contains("TTFT Early Stopping Result:\n * Run unsuccessful.\n"), "{summary}");
    Ok(())
}

#[test]
fn a_maximum_ends_a_test_with_an_error() -> Result<()> {
    for (scenario, name, most) in
        [("Server", "max-query-count", 5), ("SingleStream", "max-duration", 400)]
    {
        let result = run(scenario).parameter("target-qps", 20).parameter(name, most).run()?;
        assert_eq!(result.error(), None);
        assert!(result.requests().len() < 10);
        assert_eq!(value(&result, "result_validity"), 0.0);
        let summary = artifact(&result, "mlperf_log_summary.txt");
        assert!(summary.ends_with("1 ERROR encountered. See detailed log.\n"), "{summary}");
        assert!(artifact(&result, "mlperf_log_detail.txt").contains("Ending early: Max"));
    }
    Ok(())
}

#[test]
fn all_samples_of_offline_count_from_the_start() -> Result<()> {
    let result = run("Offline").parameter("min-duration", 0).run()?;
    assert_eq!(result.error(), None);
    let requests = result.requests();
    // 100 samples, padded to a multiple of 64.
    assert_eq!(requests.len(), 128);
    let start = requests[0].submitted_ns;
    assert!(requests.iter().all(|one| one.submitted_ns == start));
    let last = requests.iter().filter_map(|one| one.token_ns.last()).max().expect("tokens");
    assert_close(value(&result, "result_samples_per_second"), 128e9 / (last - start) as f64);
    assert_close(value(&result, "result_tokens_per_second"), 2048e9 / (last - start) as f64);
    Ok(())
}

#[test]
fn parameters_that_make_no_sense_are_refused_by_name() -> Result<()> {
    for (name, wrong) in [
        ("scenario", "Interactive"),
        ("benchmark", "resnet50"),
        ("target-latency-percentile", "100"),
        ("min-duration", "-2"),
        ("schedule-rng-seed", "-1"),
        ("max-new-tokens", "0"),
    ] {
        let run = TestRun::experiment(env!("CARGO_MANIFEST_DIR")).parameter(name, wrong);
        let result = run.run()?;
        let error = result.error().expect("it is refused").to_owned();
        assert!(error.contains(name), "{error}");
    }
    Ok(())
}
