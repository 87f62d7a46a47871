//! MLPerf Inference's LoadGen: a scenario, and lines of `user.conf`.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::{Given, GivenOption},
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};
use std::{fs, path::Path};

pub(super) const TOOL: Tool = Tool {
    name: "mlperf-loadgen",
    spellings: &["mlperf-loadgen", "mlperf", "loadgen", "mlperf loadgen"],
    script: "mlperf-loadgen",
    tables: &[OPTIONS, SETTINGS],
    sets: &["scenario", "benchmark"],
    source: "loadgen/mlperf.conf, test_settings_internal.cc at b66003e10e2d; reference main.py of the language \
            models",
    migrate,
};

const COMMAND: &[&[OptionRow]] = &[OPTIONS];
const SETTINGS_ONLY: &[&[OptionRow]] = &[SETTINGS];

const LOGS: &str = "the logs are artifacts in the folder of the run: --out";

/// Options of the reference implementations of the language models.
const OPTIONS: &[OptionRow] = &[
    read(
        "--scenario",
        OneOf(&["SingleStream", "MultiStream", "Server", "Offline", "Interactive"]),
        &["scenario"],
    )
    .same("SingleStream"),
    read("--user-conf --user_conf", Text, &[]),
    read("--benchmark --model --model-name", Text, &["benchmark"]),
    read("--model-path", Text, &["--model"]),
    read("--dataset-path", Text, &["dataset:samples"]),
    read("--dtype", Text, &["--dtype"]),
    read("--device", Text, &["--device"]),
    parameter("--batch-size", Integer, "max-sequences"),
    read("--total-sample-count", Integer, &["performance-sample-count-override"]),
    none("--accuracy", Flag, "the script has the performance mode: no ROUGE"),
    none(
        "--mlperf-conf --mlperf_conf --audit-conf",
        Text,
        "the script has mlperf.conf's limits: -p benchmark, -p official",
    ),
    none("--output-log-dir --api-server --api-model-name --lg-model-name", Text, LOGS),
    none("--enable-log-trace --vllm", Flag, LOGS),
    none("--num-workers --tensor-parallel-size", Integer, "split a model with --tp and --pp"),
];

const QUEUE: &str = "a query is handed to the engine at its scheduled time, by one thread";
const ACCURACY: &str = "the script has the performance mode";

/// The keys of `user.conf`, without the model and the scenario before them.
const SETTINGS: &[OptionRow] = &[
    parameter("min_duration", Integer, "min-duration"),
    parameter("max_duration", Integer, "max-duration").same("0"),
    parameter("min_query_count", Integer, "min-query-count"),
    parameter("max_query_count", Integer, "max-query-count").same("0"),
    parameter("target_latency", Number, "target-latency"),
    parameter("target_latency_percentile", Number, "target-latency-percentile"),
    parameter("samples_per_query", Integer, "samples-per-query").same("8"),
    parameter("target_qps", Number, "target-qps").same("1"),
    parameter("sample_concatenate_permutation", Flag, "sample-concatenate-permutation"),
    parameter("use_token_latencies", Flag, "use-token-latencies"),
    parameter("ttft_latency", Integer, "ttft-latency"),
    parameter("tpot_latency", Integer, "tpot-latency"),
    parameter("qsl_rng_seed", Text, "qsl-rng-seed"),
    parameter("sample_index_rng_seed", Text, "sample-index-rng-seed"),
    parameter("schedule_rng_seed", Text, "schedule-rng-seed"),
    parameter(
        "performance_sample_count_override performance_sample_count",
        Integer,
        "performance-sample-count-override",
    ),
    none(
        "mode test_mode accuracy_log_rng_seed accuracy_log_probability accuracy_log_sampling_target",
        Text,
        ACCURACY,
    ),
    none(
        "max_async_queries coalesce_queries qps_resolution server_num_issue_query_threads",
        Text,
        QUEUE,
    ),
    none(
        "performance_issue_unique performance_issue_same performance_issue_same_index",
        Text,
        "samples are issued equally often, or drawn: sample_concatenate_permutation",
    ),
    none(
        "sample_concatenate_permutation_seed infer_token_latencies token_latency_scaling_factor",
        Text,
        "every token's time is known",
    ),
    none(
        "print_timestamps use_grpc test05 test05_qsl_rng_seed test05_sample_index_rng_seed test05_schedule_rng_seed",
        Text,
        "the script has no audit tests",
    ),
    none(
        "num_loadgen_workers server_find_peak_qps_decimals_of_precision server_find_peak_qps_boundary_step_size",
        Text,
        QUEUE,
    ),
];

/// `mlperf-loadgen --scenario Server --user-conf user.conf *.Server.target_qps=2`, or a line of the file as a word.
fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let options = arguments::parse(TOOL.name, COMMAND, &invocation.words)?;
    let mut draft = Draft::new(TOOL.script, &options);
    let scenario = options.text("--scenario").unwrap_or("SingleStream");
    if scenario == "Interactive" {
        draft.note("Interactive is the scenario Server with tighter limits: set them with -p ttft-latency and \
                -p tpot-latency");
    }
    let scenario = if scenario == "Interactive" { "Server" } else { scenario };
    draft.parameter("scenario", scenario);
    let benchmark = options.text("--benchmark").unwrap_or("llama3_1-8b").to_ascii_lowercase();
    draft.parameter("benchmark", &benchmark);
    let mut settings = Given::new(TOOL.name, SETTINGS_ONLY);
    let mut from_file = vec![];
    if let Some(path) = options.text("--user-conf") {
        let text = fs::read_to_string(Path::new(path))
            .map_err(|cause| Error::Io { path: path.into(), cause })?;
        from_file = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or("").trim().to_owned())
            .filter(|line| !line.is_empty())
            .collect();
    }
    let mut rank = std::collections::HashMap::new();
    for line in from_file.iter().chain(joined(&options.words).iter()) {
        add_line(&mut settings, line, &benchmark, scenario, &mut rank)?;
    }
    draft.add(&settings);
    model(&options, &mut draft);
    if let Some(path) = options.text("--dataset-path") {
        draft.dataset("samples", path);
        draft.note("prompts are read from the column prompt: -p prompt-column=NAME for another; pickled files \
                must become JSONL or Parquet first");
    } else {
        draft.note("no dataset is given: samples are random tokens (-p samples, -p prompt-tokens)");
    }
    if !settings.has("min_duration") {
        draft.note("min_duration is not given: LoadGen runs 600 s; the script runs 10 s unless -p official=true");
    }
    draft.note("a result of llem is no MLPerf result");
    draft.note_device();
    Ok(draft.into_migration())
}

fn model(options: &Given, draft: &mut Draft) {
    match options.text("--model-path") {
        Some(path) => draft.model(path, None),
        None => draft.note("no model is given: add --model"),
    }
    if let Some(option) = options.option("--dtype") {
        draft.dtype(option.values.last().map_or("", String::as_str), &option.shown);
    }
    if let Some(option) = options.option("--device") {
        match option.values.last().map_or("", String::as_str) {
            "cuda:0" | "cuda" => draft.exec("--device", "cuda:0"),
            device => draft.device(device, &option.shown),
        }
    }
    if let Some(count) = options.text("--total-sample-count") {
        draft.parameter("performance-sample-count-override", count);
    }
}

/// Joins the words of lines that a shell split at the blanks around `=`.
fn joined(words: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in words {
        let continues =
            word.starts_with('=') || lines.last().is_some_and(|line| line.ends_with('='));
        match lines.last_mut().filter(|_| continues) {
            Some(line) => line.push_str(word),
            None => lines.push(word.clone()),
        }
    }
    lines
}

/// Adds a line `model.scenario.key = value` that is for this model and scenario; `*` means all of them. A line that
/// names more wins, as in LoadGen.
fn add_line(
    settings: &mut Given,
    line: &str,
    benchmark: &str,
    scenario: &str,
    ranks: &mut std::collections::HashMap<&'static str, u32>,
) -> Result<(), Error> {
    let unexpected = || Error::UnexpectedWord { tool: TOOL.name, word: line.to_owned() };
    let (path, value) = line.split_once('=').ok_or_else(unexpected)?;
    let (path, value) = (path.trim(), value.trim());
    let parts: Vec<&str> = path.rsplitn(3, '.').collect();
    let (key, of_scenario, of_model) = match parts[..] {
        [key, scenario, model] => (key, scenario, model),
        [key] => (key, "*", "*"),
        _ => return Err(unexpected()),
    };
    let row = settings.rows().find(|row| row.is_called(key)).ok_or_else(|| {
        Error::UnknownOption { tool: TOOL.name, option: path.to_owned(), instead: None }
    })?;
    let is_for = |given: &str, own: &str| given == "*" || given.eq_ignore_ascii_case(own);
    if !is_for(of_model, benchmark) || !is_for(of_scenario, scenario) {
        return Ok(());
    }
    let rank = u32::from(of_model != "*") * 2 + u32::from(of_scenario != "*");
    if ranks.get(row.names).is_some_and(|before| *before > rank) {
        return Ok(());
    }
    ranks.insert(row.names, rank);
    settings.options.retain(|option| option.row.names != row.names);
    let shown = format!("{path}={value}");
    settings.push(GivenOption { row, name: path.to_owned(), shown, values: vec![value.to_owned()] })
}
