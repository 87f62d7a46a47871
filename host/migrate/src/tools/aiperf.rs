//! NVIDIA's AIPerf, and GenAI-Perf before it.
//!
//! A load of its own (a concurrency, a rate) is what `vllm bench serve` has, too, so its script takes it. The replay of a trace
//! has a script of its own.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, exec, none, parameter, read},
    tool::Invocation,
};

const SOURCE: &str = "aiperf/common/config at db4f6397d11e, docs/cli_options.md at 023e12c4c638";

pub(super) const LOAD: Tool = Tool {
    name: "aiperf profile",
    spellings: &["aiperf profile", "genai-perf profile"],
    script: "vllm-bench",
    tables: &[LOAD_TABLE, TABLE],
    sets: &["mode", "percentile-metrics", "metric-percentiles", "random-output-len"],
    source: SOURCE,
    migrate: migrate_load,
};

pub(super) const TRACE: Tool = Tool {
    name: "aiperf profile --input-file",
    // `aiperf profile` itself is above, and comes here if there is a trace.
    spellings: &["aiperf-trace"],
    script: "aiperf-trace",
    tables: &[TRACE_TABLE, TABLE],
    sets: &[],
    source: SOURCE,
    migrate: migrate_trace,
};

const SERVER: &str = "llem runs the model itself: there is no server";
const FILES: &str = "results are artifacts in the folder of the run: --out";
const TEXT: &str = "llem runs text";
const CONSOLE: &str = "progress is always shown";
const TURNS: &str = "the script's requests have one turn";
const WARMUP: &str = "warm-up is a number of requests: --warmup-request-count";
const RAMP: &str = "the script's load begins at once";
const RUNS: &str = "run the command several times: llem report RUN RUN puts runs side by side";
const ACCURACY: &str = "accuracy is another script: llem migrate lm_eval";
const SCHEDULE: &str = "requests are sent at the times of the trace";
const REPLAY: &str = "an option of a trace: --input-file";
const NORMAL: &str = "lengths are fixed, or uniform: -p random-range-ratio";

/// The options of a load.
const LOAD_TABLE: &[OptionRow] = &[
    parameter("--concurrency", Integer, "max-concurrency"),
    parameter("--request-rate", Number, "request-rate").same("inf"),
    read(
        "--arrival-pattern --request-rate-mode",
        OneOf(&["constant", "poisson", "gamma", "concurrency_burst"]),
        &["burstiness"],
    ),
    read("--arrival-smoothness --vllm-burstiness", Number, &["burstiness"]).same("1"),
    read("--request-count --num-requests", Integer, &["num-prompts"]),
    parameter("--warmup-request-count --num-warmup-requests", Integer, "num-warmups").same("0"),
    parameter(
        "--prompt-input-tokens-mean --synthetic-input-tokens-mean --isl",
        Integer,
        "random-input-len",
    )
    .set("550"),
    parameter(
        "--prompt-output-tokens-mean --output-tokens-mean --osl",
        Integer,
        "random-output-len",
    ),
    none(
        "--prompt-input-tokens-stddev --synthetic-input-tokens-stddev --isl-stddev \
         --prompt-output-tokens-stddev --output-tokens-stddev --osl-stddev",
        Number,
        NORMAL,
    ),
    read("--goodput -g", Words, &["goodput"]),
    read("--public-dataset", Text, &["dataset-name", "dataset:prompts"]),
    read("--extra-inputs", Words, &["temperature", "top-p", "top-k", "ignore-eos"]),
    none(
        "--benchmark-duration --benchmark-grace-period",
        Text,
        "a run has a number of requests: --request-count",
    ),
    none("--input-file --custom-dataset-type", Text, REPLAY),
    none("--fixed-schedule --fixed-schedule-auto-offset", Flag, REPLAY),
    none("--fixed-schedule-start-offset --fixed-schedule-end-offset", Integer, REPLAY),
    none(
        "--synthesis-speedup-ratio --synthesis-max-isl --synthesis-max-osl --isl-block-size \
         --prompt-input-tokens-block-size --synthetic-input-tokens-block-size",
        Number,
        REPLAY,
    ),
    none(
        "--synthesis-prefix-len-multiplier --synthesis-prefix-root-multiplier --synthesis-prompt-len-multiplier",
        Number,
        REPLAY,
    ),
];

/// The options of a trace.
const TRACE_TABLE: &[OptionRow] = &[
    read("--input-file", Text, &["dataset:trace"]),
    read(
        "--custom-dataset-type",
        OneOf(&["mooncake_trace", "multi_turn", "random_pool", "single_turn"]),
        &[],
    ),
    read("--fixed-schedule", Flag, &[]),
    parameter("--fixed-schedule-auto-offset", Flag, "fixed-schedule-auto-offset").set("false"),
    parameter("--fixed-schedule-start-offset", Integer, "fixed-schedule-start-offset").same("-1"),
    parameter("--fixed-schedule-end-offset", Integer, "fixed-schedule-end-offset").same("-1"),
    parameter("--synthesis-speedup-ratio", Number, "synthesis-speedup-ratio").same("1"),
    parameter("--synthesis-max-isl", Integer, "synthesis-max-isl").same("0"),
    parameter("--synthesis-max-osl", Integer, "synthesis-max-osl").same("0"),
    parameter(
        "--isl-block-size --prompt-input-tokens-block-size --synthetic-input-tokens-block-size",
        Integer,
        "isl-block-size",
    ),
    parameter(
        "--prompt-output-tokens-mean --output-tokens-mean --osl",
        Integer,
        "output-tokens-mean",
    ),
    read("--goodput -g", Words, &["goodput"]),
    none("--extra-inputs", Words, "outputs are greedy, of the length that the trace has"),
    none("--concurrency --request-count --num-requests", Integer, SCHEDULE),
    none("--warmup-request-count --num-warmup-requests", Integer, SCHEDULE),
    none("--request-rate --arrival-smoothness --vllm-burstiness", Number, SCHEDULE),
    none("--arrival-pattern --request-rate-mode --public-dataset", Text, SCHEDULE),
    none(
        "--benchmark-duration --benchmark-grace-period",
        Text,
        "--fixed-schedule-end-offset ends a replay",
    ),
    none(
        "--prompt-input-tokens-mean --synthetic-input-tokens-mean --isl --prompt-input-tokens-stddev \
         --synthetic-input-tokens-stddev --isl-stddev --prompt-output-tokens-stddev --output-tokens-stddev --osl-stddev",
        Number,
        "the trace has the lengths",
    ),
    none(
        "--synthesis-prefix-len-multiplier --synthesis-prefix-root-multiplier --synthesis-prompt-len-multiplier",
        Number,
        "change the file before",
    ),
];

/// What both have.
const TABLE: &[OptionRow] = &[
    read("--model -m --model-names", Text, &["--model"]),
    exec("--random-seed", Integer, "--seed"),
    read("--endpoint-type --service-kind", Text, &[]),
    none("--backend", Text, SERVER),
    none(
        "--url -u --url-strategy --endpoint --custom-endpoint --api-key --transport --transport-type",
        Text,
        SERVER,
    ),
    none("--connection-reuse-strategy --request-timeout-seconds --header -H", Text, SERVER),
    none("--streaming", Flag, "every token's time is known"),
    none("--use-legacy-max-tokens --use-server-token-count --download-video-content", Flag, SERVER),
    none("--model-selection-strategy", Text, "a run has one model"),
    none("--dataset-sampling-strategy", Text, "rows are taken in order"),
    none("--num-dataset-entries --num-prompts", Integer, "each request has a prompt of its own"),
    none("--tokenizer --tokenizer-revision", Text, "the model's own tokenizer is used"),
    none("--tokenizer-trust-remote-code", Flag, "llem runs no code of a model"),
    none(
        "--audio-batch-size --batch-size-audio --audio-length-mean --audio-length-stddev --audio-format \
                --audio-depths --audio-sample-rates --audio-num-channels",
        Words,
        TEXT,
    ),
    none(
        "--image-width-mean --image-width-stddev --image-height-mean --image-height-stddev --image-batch-size \
                --batch-size-image --image-format",
        Words,
        TEXT,
    ),
    none(
        "--video-batch-size --batch-size-video --video-duration --video-fps --video-width --video-height \
                --video-synth-type --video-format --video-codec",
        Words,
        TEXT,
    ),
    none(
        "--prompt-batch-size --batch-size-text --batch-size -b",
        Integer,
        "a request has one prompt",
    ),
    none(
        "--seq-dist --sequence-distribution",
        Text,
        "a run has one pair of lengths: --isl and --osl",
    ),
    none(
        "--prompt-prefix-pool-size --prefix-prompt-pool-size --num-prefix-prompts --prompt-prefix-length \
                --prefix-prompt-length",
        Integer,
        "prompts share no prefix, unless a trace says so",
    ),
    none(
        "--shared-system-prompt-length --user-context-prompt-length",
        Integer,
        "prompts share no prefix, unless a trace says so",
    ),
    none(
        "--rankings-passages-mean --rankings-passages-stddev --rankings-passages-prompt-token-mean \
                --rankings-passages-prompt-token-stddev --rankings-query-prompt-token-mean \
                --rankings-query-prompt-token-stddev",
        Integer,
        "llem generates text",
    ),
    none(
        "--conversation-num --num-conversations --num-sessions --conversation-turn-mean --session-turns-mean \
                --conversation-turn-stddev --session-turns-stddev",
        Integer,
        TURNS,
    ),
    none(
        "--conversation-turn-delay-mean --session-turn-delay-mean --conversation-turn-delay-stddev \
                --session-turn-delay-stddev --conversation-turn-delay-ratio --session-delay-ratio",
        Number,
        TURNS,
    ),
    none("--user-centric-rate --num-users", Number, TURNS),
    none(
        "--output-artifact-dir --artifact-dir --profile-export-prefix --profile-export-file --export-level \
                --profile-export-level",
        Text,
        FILES,
    ),
    none("--slice-duration", Number, "the record has every token's time: slice it"),
    none("--export-http-trace --show-trace-timing", Flag, SERVER),
    none("--prefill-concurrency", Integer, "the engine decides which prompts run in a step"),
    none(
        "--warmup-duration --num-warmup-sessions --warmup-concurrency --warmup-prefill-concurrency \
                --warmup-request-rate --warmup-grace-period",
        Number,
        WARMUP,
    ),
    none("--warmup-arrival-pattern", Text, WARMUP),
    none(
        "--concurrency-ramp-duration --prefill-concurrency-ramp-duration --request-rate-ramp-duration \
                --warmup-concurrency-ramp-duration --warmup-prefill-concurrency-ramp-duration \
                --warmup-request-rate-ramp-duration",
        Number,
        RAMP,
    ),
    none(
        "--request-cancellation-rate --request-cancellation-delay",
        Number,
        "requests run to their end",
    ),
    none("--num-profile-runs --profile-run-cooldown-seconds --confidence-level", Number, RUNS),
    none("--profile-run-disable-warmup-after-first --set-consistent-seed", Flag, RUNS),
    none(
        "--accuracy-benchmark --accuracy-tasks --accuracy-n-shots --accuracy-grader --accuracy-system-prompt",
        Text,
        ACCURACY,
    ),
    none("--accuracy-enable-cot --accuracy-verbose", Flag, ACCURACY),
    none(
        "--gpu-telemetry --server-metrics --server-metrics-formats --server-metrics-url",
        Words,
        "every counter that can be read is read",
    ),
    none("--no-gpu-telemetry --no-server-metrics", Flag, "every counter that can be read is read"),
    none(
        "--zmq-host --zmq-ipc-path --workers-max --max-workers --record-processor-service-count --record-processors",
        Text,
        "llem is one process",
    ),
    none("--log-level --ui-type --ui", Text, CONSOLE),
    none("--verbose -v --extra-verbose -vv", Flag, CONSOLE),
    none(
        "--measurement-interval -p --stability-percentage -s",
        Number,
        "GenAI-Perf's windows until results are stable: --request-count",
    ),
];

fn migrate_load(invocation: &Invocation) -> Result<Migration, Error> {
    let is_trace = |word: &String| {
        ["--input-file", "--fixed-schedule"].iter().any(|name| word.starts_with(name))
    };
    if invocation.words.iter().any(is_trace) {
        return migrate_trace(invocation);
    }
    let given = arguments::parse(LOAD.name, LOAD.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(LOAD.script, &given);
    draft.parameter("mode", "serve");
    draft.parameter("percentile-metrics", "ttft,tpot,itl,e2el");
    draft.parameter("metric-percentiles", "50,90,95,99");
    begin(&given, &mut draft)?;
    let concurrency = given.number("--concurrency").unwrap_or(1.0);
    let count = given.number("--request-count").unwrap_or((2.0 * concurrency).max(10.0));
    draft.parameter("num-prompts", count as u64);
    match given.text("--arrival-pattern") {
        Some("constant") => draft.parameter("burstiness", "inf"),
        Some("gamma") => {
            draft.parameter("burstiness", given.text("--arrival-smoothness").unwrap_or("1"));
        }
        _ => {}
    }
    if !given.has("--osl") {
        draft.note("--osl is not given: outputs there have no limit, the script's 128 tokens");
    }
    if let Some(option) = given.option("--public-dataset") {
        match option.values.last().map(String::as_str) {
            Some("sharegpt") => {
                draft.parameter("dataset-name", "sharegpt");
                draft.dataset("prompts", "sharegpt.json");
                draft.note("llem reads ShareGPT's own JSON from a file: sharegpt.json");
            }
            _ => draft.untranslated(&option.shown, "the script has random prompts and sharegpt"),
        }
    }
    extra_inputs(&given, &mut draft);
    if let Some(goodput) = goodput(&given)? {
        draft.parameter("goodput", goodput);
    }
    draft.note("AIPerf's inter_token_latency is tpot there, its inter_chunk_latency is itl");
    Ok(draft.into_migration())
}

fn migrate_trace(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(TRACE.name, TRACE.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(TRACE.script, &given);
    begin(&given, &mut draft)?;
    let path = given.text("--input-file");
    draft
        .dataset("trace", path.ok_or(Error::Missing { tool: TRACE.name, option: "--input-file" })?);
    if let Some(option) =
        given.option("--custom-dataset-type").filter(|option| option.values != ["mooncake_trace"])
    {
        draft.untranslated(&option.shown, "the script replays mooncake traces");
    }
    if given.has("--goodput") {
        draft.parameter("goodput", given.texts("--goodput").join(" "));
    }
    Ok(draft.into_migration())
}

/// The model and the endpoint.
fn begin(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    let model =
        given.text("--model").ok_or(Error::Missing { tool: given.tool, option: "--model" })?;
    draft.model(model, None);
    if let Some(option) = given.option("--endpoint-type") {
        let kind = option.values.last().map_or("", String::as_str);
        if !["chat", "completions", "huggingface_generate", "openai", "triton"].contains(&kind) {
            let what = option.shown.clone();
            return Err(Error::NotExpressible {
                tool: given.tool,
                what,
                why: "llem generates text",
            });
        }
        draft.untranslated(&option.shown, SERVER);
    }
    draft.note("there is no HTTP: TTFT ends with the first token in llem's process");
    draft.note_device();
    Ok(())
}

/// `temperature:0.7` and others, a pair each.
fn extra_inputs(given: &Given, draft: &mut Draft) {
    for pair in given.texts("--extra-inputs") {
        match pair.split_once(':') {
            Some(("temperature", value)) => draft.parameter("temperature", value),
            Some(("top_p", value)) => draft.parameter("top-p", value),
            Some(("top_k", value)) => draft.parameter("top-k", value),
            Some(("ignore_eos", value)) => draft.parameter("ignore-eos", value),
            _ => draft.untranslated(
                &format!("--extra-inputs {pair}"),
                "the script samples by temperature, top-p and top-k",
            ),
        }
    }
}

/// The levels of service under vLLM's names.
fn goodput(given: &Given) -> Result<Option<String>, Error> {
    let mut levels = vec![];
    for pair in given.texts("--goodput").into_iter().flat_map(str::split_whitespace) {
        let name = match pair.split_once(':') {
            Some(("time_to_first_token", value)) => format!("ttft:{value}"),
            Some(("inter_token_latency", value)) => format!("tpot:{value}"),
            Some(("request_latency", value)) => format!("e2el:{value}"),
            _ => {
                let expected =
                    "pairs of time_to_first_token, inter_token_latency and request_latency, in ms";
                return Err(given.wrong("--goodput", pair, expected));
            }
        };
        levels.push(name);
    }
    Ok((!levels.is_empty()).then(|| levels.join(" ")))
}
