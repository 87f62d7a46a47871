//! `mlperf_log_summary.txt`: the lines that LoadGen writes for people, in its words and formats.

use crate::{
    number_format::general,
    results::{Latencies, PERCENTILES, Results},
    settings::{Scenario, Settings},
    verdict::Verdict,
};

/// The text of the file, line by line.
struct SummaryLog<'a> {
    lines: Vec<String>,
    results: &'a Results,
    settings: &'a Settings,
}

/// Returns the content of the file. `errors` is the number of errors in the detailed log.
pub(crate) fn summary(
    sut: &str,
    results: &Results,
    verdict: &Verdict,
    settings: &Settings,
    errors: usize,
) -> String {
    let mut log = SummaryLog { lines: Vec::new(), results, settings };
    log.title("MLPerf Results Summary");
    log.line("SUT name : ", sut);
    log.line("Scenario : ", settings.scenario());
    log.line("Mode     : ", "PerformanceOnly");
    log.headline();
    log.verdict(verdict);
    log.lines.push(String::new());
    log.title("Additional Stats");
    log.additional();
    log.lines.push(String::new());
    log.title("Test Parameters Used");
    log.parameters();
    let errors = match errors {
        0 => "No errors encountered during test.".to_owned(),
        1 => "1 ERROR encountered. See detailed log.".to_owned(),
        count => format!("{count} ERRORS encountered. See detailed log."),
    };
    log.lines.extend(["", "No warnings encountered during test.", ""].map(str::to_owned));
    log.lines.push(errors);
    log.lines.join("\n") + "\n"
}

impl SummaryLog<'_> {
    fn line(&mut self, name: &str, value: impl std::fmt::Display) {
        self.lines.push(format!("{name}{value}"));
    }

    fn rate(&mut self, name: &str, value: f64) {
        self.line(name, format_args!("{value:.2}"));
    }

    fn title(&mut self, title: &str) {
        let rule = "=".repeat(48);
        self.lines.extend([rule.clone(), title.to_owned(), rule]);
    }

    /// The result of the scenario.
    fn headline(&mut self) {
        let (results, requested) = (self.results, &self.settings.requested);
        let (percentile, tokens) =
            (requested.target_latency_percentile, requested.use_token_latencies);
        let shown = 100.0 * percentile;
        match self.settings.scenario() {
            scenario @ (Scenario::SingleStream | Scenario::MultiStream) => {
                let latencies = match scenario {
                    Scenario::MultiStream => &results.query_latencies,
                    _ => &results.latencies,
                };
                let name = format!("{shown:.1}th percentile latency (ns) : ");
                self.line(&name, latencies.at(percentile));
                if tokens {
                    let name = format!("{shown:.1}th first token percentile latency (ns) : ");
                    self.line(&name, results.ttft.at(percentile));
                }
            }
            Scenario::Server => {
                let rate = results.completed_samples_per_second();
                self.rate("Completed samples per second    : ", rate);
                if tokens {
                    self.rate(
                        "Completed tokens per second: ",
                        results.completed_tokens_per_second(),
                    );
                }
            }
            Scenario::Offline => {
                self.line("Samples per second: ", general(results.samples_per_second()));
                if tokens {
                    self.line("Tokens per second: ", general(results.tokens_per_second()));
                }
            }
        }
    }

    fn verdict(&mut self, verdict: &Verdict) {
        let yes = |is_met: bool| if is_met { "Yes" } else { "NO" };
        self.line("Result is : ", if verdict.is_valid() { "VALID" } else { "INVALID" });
        if let Some(is_met) = verdict.perf_constraints_met {
            self.line("  Performance constraints satisfied : ", yes(is_met));
        }
        self.line("  Min duration satisfied : ", yes(verdict.min_duration_met));
        self.line("  Min queries satisfied : ", yes(verdict.min_queries_met));
        self.line("  Early stopping satisfied: ", yes(verdict.early_stopping_met));
        if !verdict.is_valid() {
            self.lines.push("Recommendations:".to_owned());
            for recommendation in &verdict.perf_recommendations {
                self.line(" * ", recommendation);
            }
            if !verdict.min_duration_met {
                self.line(" * ", verdict.duration_recommendation);
            }
            if !verdict.min_queries_met {
                self.lines.push(
                    " * The test exited early, before enough queries were issued.\n   See the detailed log for why this \
                     may have occurred."
                        .to_owned(),
                );
            }
        }
        if self.settings.scenario() == Scenario::Offline {
            return;
        }
        for (name, text) in &verdict.early_stopping {
            let name = if name.is_empty() { String::new() } else { name.to_uppercase() + " " };
            self.lines.extend([format!("{name}Early Stopping Result:"), text.clone()]);
        }
    }

    fn additional(&mut self) {
        let results = self.results;
        match self.settings.scenario() {
            Scenario::SingleStream => {
                self.rate("QPS w/ loadgen overhead         : ", results.qps_with_overhead());
                self.rate("QPS w/o loadgen overhead        : ", results.qps_without_overhead());
                self.lines.push(String::new());
            }
            Scenario::Server => {
                self.rate(
                    "Scheduled samples per second : ",
                    results.scheduled_samples_per_second(),
                );
            }
            Scenario::MultiStream => self.lines.push("Per-query latency:  ".to_owned()),
            Scenario::Offline => {}
        }
        let latencies = match self.settings.scenario() {
            Scenario::MultiStream => &results.query_latencies,
            _ => &results.latencies,
        };
        let labels = ["Min latency (ns)", "Max latency (ns)", "Mean latency (ns)"];
        self.latencies(latencies, labels.map(|label| format!("{label:32}: ")), "latency (ns)   : ");
        if self.settings.requested.use_token_latencies {
            self.lines.push(String::new());
            self.tokens();
        }
    }

    fn tokens(&mut self) {
        let results = self.results;
        match self.settings.scenario() {
            Scenario::SingleStream => {
                self.rate("TPS w/ loadgen overhead         : ", results.tps_with_overhead());
                self.rate("TPS w/o loadgen overhead        : ", results.tps_without_overhead());
            }
            Scenario::Server => {
                let name = format!("{:44}: ", "Completed tokens per second");
                self.rate(&name, results.completed_tokens_per_second());
            }
            Scenario::MultiStream => {}
            Scenario::Offline => return,
        }
        let name = |kind: &str, what: &str, width: usize| {
            format!("{:width$}: ", format!("{kind} {what} (ns)"))
        };
        let kinds = ["Min", "Max", "Mean"];
        let names = kinds.map(|kind| name(kind, "First Token latency", 44));
        self.latencies(&results.ttft, names, "first token latency (ns)   : ");
        self.lines.push(String::new());
        let names = kinds.map(|kind| name(kind, "Time per Output Token", 46));
        self.latencies(&results.tpot, names, "time to output token (ns)   : ");
    }

    /// The extremes, the mean and the percentiles.
    fn latencies(&mut self, latencies: &Latencies, names: [String; 3], of_percentile: &str) {
        let values = [latencies.min(), latencies.max(), latencies.mean()];
        for (name, value) in names.iter().zip(values) {
            self.line(name, value);
        }
        for percentile in PERCENTILES {
            let name = format!("{:.2} percentile {of_percentile}", 100.0 * percentile);
            self.line(&name, latencies.at(percentile));
        }
    }

    fn parameters(&mut self) {
        let (settings, requested) = (self.settings, &self.settings.requested);
        self.line("samples_per_query : ", settings.samples_per_query);
        self.line("target_qps : ", general(settings.target_qps));
        if requested.use_token_latencies {
            self.line("ttft_latency (ns): ", requested.ttft_latency);
            self.line("tpot_latency (ns): ", requested.tpot_latency);
        } else {
            let is_server = settings.scenario() == Scenario::Server;
            self.line(
                "target_latency (ns): ",
                if is_server { requested.target_latency } else { 0 },
            );
        }
        let parameters = [
            ("max_async_queries", settings.max_async_queries),
            ("min_duration (ms)", requested.min_duration),
            ("max_duration (ms)", requested.max_duration),
            ("min_query_count", settings.min_query_count),
            ("max_query_count", requested.max_query_count),
            ("qsl_rng_seed", requested.qsl_rng_seed),
            ("sample_index_rng_seed", requested.sample_index_rng_seed),
            ("schedule_rng_seed", requested.schedule_rng_seed),
            ("accuracy_log_rng_seed", 0),
            ("accuracy_log_probability", 0),
            ("accuracy_log_sampling_target", 0),
            ("print_timestamps", 0),
            ("performance_issue_unique", 0),
            ("performance_issue_same", 0),
            ("performance_issue_same_index", 0),
            ("performance_sample_count", settings.performance_sample_count),
            ("accuracy_sample_count", settings.total_sample_count),
        ];
        for (name, value) in parameters {
            let colon = if name.ends_with(')') { ": " } else { " : " };
            self.line(&format!("{name}{colon}"), value);
        }
        if requested.equal_issue {
            self.lines.push(
                "WARNING: sample_concatenate_permutation was set to true. \nGenerated samples per query might be different \
                 as the one in the setting.\nCheck the generated_samples_per_query line in the detailed log for the \
                 real\nsamples_per_query value"
                    .to_owned(),
            );
        }
    }
}
