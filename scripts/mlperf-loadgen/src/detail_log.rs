//! `mlperf_log_detail.txt`: one line of JSON for each key, with LoadGen's keys, which MLPerf's log parser reads.

use crate::{
    number_format::general,
    results::{Latencies, PERCENTILES, Results, Run},
    settings::{Scenario, Settings},
    verdict::Verdict,
};
use std::fmt::Display;

/// The lines of the file.
#[derive(Default)]
pub(crate) struct DetailLog {
    lines: Vec<String>,
    errors: usize,
    time: u64,
}

impl DetailLog {
    /// Returns the content of the file.
    pub(crate) fn into_text(self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// Returns the number of errors.
    pub(crate) fn errors(&self) -> usize {
        self.errors
    }

    /// Sets the time of the following lines, in ns since the run began.
    pub(crate) fn at(&mut self, time: u64) {
        self.time = time;
    }

    /// Adds a line. `value` is JSON. What a line of LoadGen says of its source file and its threads is null.
    fn raw(&mut self, key: &str, value: impl Display, is_error: bool) {
        self.errors += usize::from(is_error);
        let time = self.time as f64 / 1e6;
        self.lines.push(format!(
            ":::MLLOG {{\"key\": \"{key}\", \"value\": {value}, \"time_ms\": {time:.6}, \"namespace\": \"mlperf::logging\", \
             \"event_type\": \"POINT_IN_TIME\", \"metadata\": {{\"is_error\": {is_error}, \"is_warning\": false, \"file\": \
             null, \"line_no\": null, \"pid\": null, \"tid\": null}}}}"
        ));
    }

    /// Adds a whole number or a truth value.
    pub(crate) fn add(&mut self, key: &str, value: impl Display) {
        self.raw(key, value, false);
    }

    /// Adds a number, with the six digits that LoadGen gives. A rate over no time at all is null.
    pub(crate) fn number(&mut self, key: &str, value: f64) {
        let shown = if value.is_finite() { general(value) } else { "null".to_owned() };
        self.raw(key, shown, false);
    }

    /// Adds a text.
    pub(crate) fn text(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value), false);
    }

    /// Adds an error.
    pub(crate) fn error(&mut self, key: &str, value: &str) {
        self.raw(key, quoted(value), true);
    }

    /// Adds the settings, those that were asked for and those in effect, with names of this scenario.
    pub(crate) fn settings(&mut self, settings: &Settings) {
        let (requested, scenario) = (&settings.requested, settings.scenario());
        let percentile = requested.target_latency_percentile;
        self.text("requested_scenario", &scenario.to_string());
        self.text("requested_test_mode", "PerformanceOnly");
        match scenario {
            Scenario::SingleStream | Scenario::MultiStream => {
                let name = if scenario == Scenario::SingleStream { "single" } else { "multi" };
                let key = |what: &str| format!("requested_{name}_stream_{what}");
                self.number(&key("expected_latency_ns"), requested.expected_latency);
                self.number(&key("target_latency_percentile"), percentile);
                if scenario == Scenario::MultiStream {
                    self.add(&key("samples_per_query"), requested.samples_per_query);
                }
            }
            Scenario::Server => {
                self.number("requested_server_target_qps", requested.target_qps);
                self.add("requested_server_target_latency_ns", requested.target_latency);
                self.number("requested_server_target_latency_percentile", percentile);
                self.add("requested_server_coalesce_queries", false);
                self.add("requested_server_max_async_queries", 0);
                self.add("requested_server_num_issue_query_threads", 0);
            }
            Scenario::Offline => {
                self.number("requested_offline_expected_qps", requested.target_qps)
            }
        }
        self.add("requested_min_duration_ms", requested.min_duration);
        self.add("requested_max_duration_ms", requested.max_duration);
        self.add("requested_min_query_count", requested.min_query_count);
        self.add("requested_max_query_count", requested.max_query_count);
        let samples = requested.performance_sample_count_override;
        self.add("requested_performance_sample_count_override", samples);
        self.add("requested_sample_concatenate_permutation", requested.equal_issue);
        if requested.use_token_latencies {
            self.add("requested_use_token_latencies", true);
            if scenario != Scenario::Offline {
                self.add("requested_server_ttft_latency", requested.ttft_latency);
                self.add("requested_server_tpot_latency", requested.tpot_latency);
            }
        }
        self.effective(settings);
    }

    fn effective(&mut self, settings: &Settings) {
        let (requested, scenario) = (&settings.requested, settings.scenario());
        let is_server = scenario == Scenario::Server;
        self.text("effective_scenario", &scenario.to_string());
        self.text("effective_test_mode", "PerformanceOnly");
        self.add("effective_samples_per_query", settings.samples_per_query);
        self.number("effective_target_qps", settings.target_qps);
        let limit = if is_server { requested.target_latency } else { 0 };
        self.add("effective_target_latency_ns", limit);
        self.number("effective_target_latency_percentile", requested.target_latency_percentile);
        self.add("effective_max_async_queries", settings.max_async_queries);
        self.add("effective_target_duration_ms", settings.target_duration);
        self.add("effective_min_duration_ms", requested.min_duration);
        self.add("effective_max_duration_ms", requested.max_duration);
        self.add("effective_min_query_count", settings.min_query_count);
        self.add("effective_max_query_count", requested.max_query_count);
        self.add("effective_min_sample_count", settings.min_sample_count);
        self.add("effective_qsl_rng_seed", requested.qsl_rng_seed);
        self.add("effective_sample_index_rng_seed", requested.sample_index_rng_seed);
        self.add("effective_schedule_rng_seed", requested.schedule_rng_seed);
        self.add("effective_accuracy_log_rng_seed", 0);
        self.add("effective_accuracy_log_probability", 0);
        self.add("effective_accuracy_log_sampling_target", 0);
        self.add("effective_print_timestamps", false);
        self.add("effective_performance_issue_unique", false);
        self.add("effective_performance_issue_same", false);
        self.add("effective_performance_issue_same_index", 0);
        self.add("effective_performance_sample_count", settings.performance_sample_count);
        self.add("effective_accuracy_sample_count", settings.total_sample_count);
        self.add("effective_sample_concatenate_permutation", requested.equal_issue);
    }

    /// Adds the errors, the verdict and the latencies of a run.
    pub(crate) fn results(
        &mut self,
        run: &Run,
        results: &Results,
        verdict: &Verdict,
        settings: &Settings,
    ) {
        for error in &run.errors {
            self.error("error_runtime", error);
        }
        self.verdict(verdict);
        self.add("result_query_count", results.queries);
        if settings.scenario() == Scenario::Server {
            let limit = settings.requested.target_latency as i64;
            let over = results.latencies.sorted().iter().filter(|&&latency| latency > limit);
            self.add("result_overlatency_query_count", over.count());
        }
        self.rates(results, verdict, settings);
        self.latencies("result_", "_latency_ns", &results.latencies);
        if settings.requested.use_token_latencies {
            self.tokens(results, settings);
        }
        self.add("num_errors", self.errors);
    }

    fn verdict(&mut self, verdict: &Verdict) {
        self.text("result_validity", if verdict.is_valid() { "VALID" } else { "INVALID" });
        if let Some(is_met) = verdict.perf_constraints_met {
            self.add("result_perf_constraints_met", is_met);
        }
        self.add("result_min_duration_met", verdict.min_duration_met);
        self.add("result_min_queries_met", verdict.min_queries_met);
        self.add("early_stopping_met", verdict.early_stopping_met);
        if !verdict.is_valid() {
            let mut reasons = verdict.perf_recommendations.join("  * ");
            if !reasons.is_empty() {
                reasons.push(' ');
            }
            if !verdict.min_duration_met {
                reasons += verdict.duration_recommendation;
                reasons.push(' ');
            }
            if !verdict.min_queries_met {
                reasons += "The test exited early, before enough queries were issued.";
            }
            self.text("result_invalid_reason", &reasons);
        }
        for (name, text) in &verdict.early_stopping {
            let name = if name.is_empty() { String::new() } else { format!("{name}_") };
            self.text(&format!("early_stopping_{name}result"), &text.replace('\n', " "));
        }
    }

    fn rates(&mut self, results: &Results, verdict: &Verdict, settings: &Settings) {
        // LoadGen writes 0 for an estimate that there is not.
        let [of_single, of_multi] =
            [verdict.early_stopping_latency_ss, verdict.early_stopping_latency_ms]
                .map(|estimate| estimate.unwrap_or(0));
        match settings.scenario() {
            Scenario::SingleStream => {
                self.number("result_qps_with_loadgen_overhead", results.qps_with_overhead());
                self.number("result_qps_without_loadgen_overhead", results.qps_without_overhead());
                self.add("early_stopping_latency_ss", of_single);
                self.add("early_stopping_latency_ms", of_multi);
            }
            Scenario::MultiStream => {
                self.latencies("result_", "_query_latency_ns", &results.query_latencies);
                self.add("early_stopping_latency_ms", of_multi);
            }
            Scenario::Server => {
                let [scheduled, completed] = [
                    results.scheduled_samples_per_second(),
                    results.completed_samples_per_second(),
                ];
                self.number("result_scheduled_samples_per_sec", scheduled);
                self.number("result_completed_samples_per_sec", completed);
            }
            Scenario::Offline => {
                self.number("result_samples_per_second", results.samples_per_second());
            }
        }
    }

    fn tokens(&mut self, results: &Results, settings: &Settings) {
        if settings.scenario() == Scenario::Offline {
            self.number("result_tokens_per_second", results.tokens_per_second());
            return;
        }
        self.latencies("result_first_token_", "_latency_ns", &results.ttft);
        self.number("result_token_throughput_with_loadgen_overhead", results.tps_with_overhead());
        // LoadGen divides by nanoseconds here, so this is in tokens per ns.
        self.number("result_token_throughput", results.tps_without_overhead() / 1e9);
        self.percentiles("result_time_per_output_token_", "_ns", &results.tpot);
        let (least, most, mean) = (results.tpot.min(), results.tpot.max(), results.tpot.mean());
        for (name, value) in [("min", least), ("max", most), ("mean", mean)] {
            self.add(&format!("result_time_to_output_token_{name}"), value);
        }
        let rate = results.completed_tokens_per_second();
        self.number("result_completed_tokens_per_second", rate);
    }

    fn latencies(&mut self, before: &str, after: &str, latencies: &Latencies) {
        let values = [latencies.min(), latencies.max(), latencies.mean()];
        for (name, value) in ["min", "max", "mean"].into_iter().zip(values) {
            self.add(&format!("{before}{name}{after}"), value);
        }
        let after = if after == "_query_latency_ns" { "_per_query_latency_ns" } else { after };
        self.percentiles(before, after, latencies);
    }

    fn percentiles(&mut self, before: &str, after: &str, latencies: &Latencies) {
        for percentile in PERCENTILES {
            let key = format!("{before}{:.2}_percentile{after}", 100.0 * percentile);
            self.add(&key, latencies.at(percentile));
        }
    }
}

fn quoted(text: &str) -> String {
    let mut escaped = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => escaped.extend(['\\', character]),
            control if control < ' ' => escaped += &format!("\\u{:04x}", u32::from(control)),
            other => escaped.push(other),
        }
    }
    escaped + "\""
}
