//! The experiment's parameters. Each has the name of its key in `mlperf.conf`, with hyphens.

use crate::{
    benchmarks::{Benchmark, SEEDS},
    settings::{MS, Requested, Scenario},
};
use llem_sdk::prelude::*;

/// What a benchmark's parameters are if `official` is false: LoadGen's own minimum duration, and short outputs.
const SHORT_DURATION: u64 = 10_000;
const SHORT_OUTPUT: (u32, u32) = (2, 16);

/// Describes the experiment.
pub(crate) fn about() -> About {
    let [qsl, index, schedule] = SEEDS.map(|seed| seed.to_string());
    let summary = "MLPerf LoadGen's scenarios: latencies, early stopping, validity, energy";
    About::new("mlperf-loadgen", env!("CARGO_PKG_VERSION"), summary)
        .text("scenario", "SingleStream", "SingleStream, MultiStream, Server or Offline")
        .text(
            "benchmark",
            "llama3_1-8b",
            "the benchmark whose limits apply, as mlperf.conf names it",
        )
        .boolean(
            "official",
            false,
            "whether durations, counts and output lengths are the benchmark's",
        )
        .integer("min-duration", -1, "minimum duration in ms; -1: 10000, or the benchmark's 600000")
        .integer("max-duration", 0, "maximum duration in ms; 0: none")
        .integer("min-query-count", -1, "minimum number of queries; -1: the scenario's")
        .integer("max-query-count", 0, "maximum number of queries; 0: none")
        .number(
            "target-latency",
            -1.0,
            "expected latency, or Server's limit, in ms; -1: the last warm-up run's, or the benchmark's",
        )
        .number(
            "target-latency-percentile",
            -1.0,
            "in percent; -1: 90 in SingleStream, otherwise 99",
        )
        .integer("samples-per-query", 8, "samples in a query of MultiStream")
        .number("target-qps", 1.0, "arrivals per s in Server, expected samples per s in Offline")
        .boolean("sample-concatenate-permutation", true, "whether all samples appear equally often")
        .boolean("use-token-latencies", true, "whether TTFT and TPOT are measured and limited")
        .integer("ttft-latency", -1, "Server's limit of TTFT in ms; -1: the benchmark's")
        .integer("tpot-latency", -1, "Server's limit of TPOT in ms; -1: the benchmark's")
        .text("qsl-rng-seed", &qsl, "seed of the order of loaded samples")
        .text("sample-index-rng-seed", &index, "seed of the order of queries")
        .text("schedule-rng-seed", &schedule, "seed of arrivals")
        .integer(
            "performance-sample-count-override",
            -1,
            "loaded samples; 0: all, -1: the benchmark's if official",
        )
        .integer("min-new-tokens", -1, "minimum tokens of an output; -1: 2, or the benchmark's")
        .integer("max-new-tokens", -1, "maximum tokens of an output; -1: 16, or the benchmark's")
        .boolean("ignore-eos", false, "whether outputs go on after end-of-sequence tokens")
        .integer("max-sequences", 16, "samples that run at a time in Server and Offline")
        .integer("warmup-runs", 3, "samples that run before the test")
        .integer("samples", 64, "number of random prompts, if there is no dataset")
        .integer("prompt-tokens", 32, "length of a random prompt")
        .text("prompt-column", "prompt", "the dataset's column that prompts are read from")
        .dataset("samples", "rows with a text each; without it random tokens are used")
        .dataset("trace", "times of completed samples: computes the logs, and runs nothing")
}

/// The numbers of new tokens, at least and at most.
pub(crate) fn new_tokens(benchmark: &Benchmark, official: bool) -> Result<(u32, u32)> {
    let (least, most) = if official { benchmark.new_tokens } else { SHORT_OUTPUT };
    let most = given("max-new-tokens")?.map_or(most, |most| most as u32);
    let least = given("min-new-tokens")?.map_or(least.min(most), |least| least as u32);
    if most == 0 || least > most {
        return Err(Error::invalid_argument(format!(
            "max-new-tokens is {most} and min-new-tokens {least}: set the maximum to 1 or more, and to the minimum or more"
        )));
    }
    Ok((least, most))
}

/// Returns whether an expected latency or a limit was given.
pub(crate) fn has_target_latency() -> Result<bool> {
    Ok(parameter::<f64>("target-latency")? >= 0.0)
}

/// Returns the benchmark that was asked for.
pub(crate) fn benchmark() -> Result<&'static Benchmark> {
    let name: String = parameter("benchmark")?;
    Benchmark::find(&name).ok_or_else(|| {
        let known = crate::benchmarks::BENCHMARKS.map(|benchmark| benchmark.name).join(", ");
        Error::invalid_argument(format!("benchmark is '{name}': choose one of {known}"))
    })
}

/// Returns LoadGen's settings.
pub(crate) fn requested(benchmark: &Benchmark, official: bool) -> Result<Requested> {
    let name: String = parameter("scenario")?;
    let scenario = Scenario::find(&name).ok_or_else(|| {
        Error::invalid_argument(format!(
            "scenario is '{name}': choose SingleStream, MultiStream, Server or Offline"
        ))
    })?;
    let (duration, count, loaded) = match official {
        true => (600_000, benchmark.min_query_count(scenario), benchmark.samples),
        // Early stopping needs 662 queries of MultiStream, however short they are.
        false => (SHORT_DURATION, if scenario == Scenario::MultiStream { 662 } else { 100 }, 0),
    };
    let (ttft, tpot) = benchmark.server.unwrap_or((100, 100));
    let target_latency: f64 = parameter("target-latency")?;
    let of_scenario = match scenario {
        Scenario::SingleStream => 10.0,
        Scenario::MultiStream => 80.0,
        Scenario::Server | Scenario::Offline => 0.0,
    };
    let target_latency = if target_latency < 0.0 { of_scenario } else { target_latency };
    let percentile: f64 = parameter("target-latency-percentile")?;
    let percentile =
        if percentile < 0.0 { 100.0 * scenario.default_percentile() } else { percentile };
    let requested = Requested {
        scenario,
        expected_latency: 1e6 * target_latency,
        // In this order of operations the default percentiles are those of LoadGen, bit by bit.
        target_latency_percentile: percentile * 0.01,
        samples_per_query: parameter("samples-per-query")?,
        target_qps: parameter("target-qps")?,
        target_latency: (1e6 * target_latency) as u64,
        equal_issue: parameter("sample-concatenate-permutation")?,
        min_duration: given("min-duration")?.unwrap_or(duration),
        max_duration: parameter("max-duration")?,
        min_query_count: given("min-query-count")?.unwrap_or(count),
        max_query_count: parameter("max-query-count")?,
        qsl_rng_seed: seed("qsl-rng-seed")?,
        sample_index_rng_seed: seed("sample-index-rng-seed")?,
        schedule_rng_seed: seed("schedule-rng-seed")?,
        performance_sample_count_override: given("performance-sample-count-override")?
            .unwrap_or(loaded),
        use_token_latencies: parameter("use-token-latencies")?,
        ttft_latency: given("ttft-latency")?.unwrap_or(ttft) * MS,
        tpot_latency: given("tpot-latency")?.unwrap_or(tpot) * MS,
    };
    check(&requested)?;
    Ok(requested)
}

fn check(requested: &Requested) -> Result<()> {
    let is_stream = matches!(requested.scenario, Scenario::SingleStream | Scenario::MultiStream);
    let wrong = |name: &str, value: f64, remedy: &str| {
        Err(Error::invalid_argument(format!("{name} is {value}: set it to {remedy}")))
    };
    if is_stream && requested.expected_latency < 1.0 {
        return wrong("target-latency", requested.expected_latency / 1e6, "more than 0");
    }
    if !is_stream && !(1e-9..=1e6).contains(&requested.target_qps) {
        return wrong("target-qps", requested.target_qps, "more than 0, and 1000000 at most");
    }
    if !(0.0..1.0).contains(&requested.target_latency_percentile) {
        let shown = 100.0 * requested.target_latency_percentile;
        return wrong("target-latency-percentile", shown, "0 or more, and less than 100");
    }
    if requested.samples_per_query == 0 || requested.min_query_count == 0 {
        return wrong("samples-per-query or min-query-count", 0.0, "1 or more");
    }
    Ok(())
}

/// Reads a whole number that may be -1, which means that it was not given.
fn given(name: &str) -> Result<Option<u64>> {
    let value: i64 = parameter(name)?;
    match value {
        -1 => Ok(None),
        value => u64::try_from(value).map(Some).map_err(|_| {
            Error::invalid_argument(format!(
                "{name} is {value}: set it to 0 or more, or to -1 for its default"
            ))
        }),
    }
}

/// Reads a seed. Seeds are texts, because LoadGen's are larger than whole numbers of parameters.
fn seed(name: &str) -> Result<u64> {
    let text: String = parameter(name)?;
    text.trim().parse().map_err(|_| {
        Error::invalid_argument(format!("{name} is '{text}': set it to a whole number below 2^64"))
    })
}
