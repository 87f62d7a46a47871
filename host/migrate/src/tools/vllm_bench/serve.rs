//! `vllm bench serve`.

use super::{
    FILES, SCRIPT,
    dataset::{self, DATASET},
};
use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, exec, none, parameter, read},
    tool::Invocation,
};

pub(in crate::tools) const SERVE: Tool = Tool {
    name: "vllm bench serve",
    spellings: &[
        "vllm bench serve",
        "vllm.entrypoints.cli.main bench serve",
        "benchmark_serving.py",
    ],
    script: SCRIPT,
    tables: &[TABLE, DATASET],
    sets: &["mode"],
    source: "vllm/benchmarks/serve.py at 009e6d4a1cd6 and later files of 2026, datasets.py of 2026",
    migrate,
};

const SERVER: &str = "llem runs the model itself: there is no server";
const SAMPLING: &str = "the script samples by temperature, top-p and top-k";

pub(super) const TABLE: &[OptionRow] = &[
    read("--model", Text, &["--model"]),
    exec("--seed", Integer, "--seed").same("0"),
    parameter("--request-rate", Number, "request-rate").same("inf"),
    parameter("--burstiness", Number, "burstiness").same("1.0"),
    parameter("--max-concurrency", Integer, "max-concurrency"),
    parameter("--num-warmups", Integer, "num-warmups").same("0"),
    parameter("--ramp-up-strategy", OneOf(&["linear", "exponential"]), "ramp-up-strategy"),
    parameter("--ramp-up-start-rps", Integer, "ramp-up-start-rps"),
    parameter("--ramp-up-end-rps", Integer, "ramp-up-end-rps"),
    read("--goodput", Words, &["goodput"]),
    parameter("--percentile-metrics", Text, "percentile-metrics").same("ttft,tpot,itl"),
    parameter("--metric-percentiles", Text, "metric-percentiles").same("99"),
    parameter("--save-detailed", Flag, "save-detailed").same("false"),
    parameter("--ignore-eos", Flag, "ignore-eos").same("false"),
    parameter("--temperature", Number, "temperature"),
    parameter("--top-p", Number, "top-p"),
    parameter("--top-k", Integer, "top-k"),
    parameter("--label", Text, "label"),
    read("--metadata", Words, &["metadata"]),
    read("--backend --endpoint-type", Text, &[]),
    none("--host --base-url --endpoint", Text, SERVER),
    none("--port --ready-check-timeout-sec", Integer, SERVER),
    none("--header", Words, SERVER),
    none("--insecure --skip-tokenizer-init", Flag, SERVER),
    none("--request-id-prefix --served-model-name", Text, SERVER),
    none(
        "--probe-request-rate",
        Number,
        "the script sends no other requests beside those that it measures",
    ),
    none("--extra-body", Text, SAMPLING),
    none("--min-p --frequency-penalty --presence-penalty --repetition-penalty", Number, SAMPLING),
    none("--use-beam-search", Flag, "llem has no beams"),
    none("--logprobs --best-of", Integer, "the script asks for tokens only"),
    none(
        "--tokenizer --tokenizer-mode --tokenizer-revision",
        Text,
        "the model's own tokenizer is used",
    ),
    none("--trust-remote-code", Flag, "llem runs no code of a model"),
    none(
        "--lora-modules",
        Words,
        "an adapter is granted with --adapter FOLDER, and all requests run with the first",
    ),
    none("--lora-assignment", Text, "all requests run with the first adapter"),
    none("--disable-tqdm", Flag, "progress is always shown"),
    none("--profile", Flag, "llem has no profile of kernels; llem flops counts operations"),
    none(
        "--profile-batch-start --profile-batch-end --profile-num-steps",
        Integer,
        "llem has no profile of kernels",
    ),
    none(
        "--save-result --append-result",
        Flag,
        "the result is always written: the artifact in the run's folder",
    ),
    none("--result-dir --result-filename", Text, FILES),
    none("--plot-timeline --plot-dataset-stats", Flag, "llem report draws runs"),
    none("--timeline-itl-thresholds", Text, "llem report draws runs"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(SERVE.name, SERVE.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(SCRIPT, &given);
    draft.parameter("mode", "serve");
    apply(&given, &mut draft)?;
    match given.text("--model") {
        Some(model) => draft.model(model, None),
        None => draft.note("no model is given, because the server has it: add --model"),
    }
    draft.note(
        "options of vllm serve: --max-num-seqs is -p max-num-seqs, --max-num-batched-tokens -p \
            max-num-batched-tokens, --tensor-parallel-size --tp",
    );
    draft.note_device();
    Ok(draft.into_migration())
}

/// Everything but the mode and the model.
pub(super) fn apply(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    dataset::apply(given, draft, "sharegpt")?;
    for (option, name) in [("--goodput", "goodput"), ("--metadata", "metadata")] {
        if given.has(option) {
            draft.parameter(name, given.texts(option).join(" "));
        }
    }
    if let Some(pair) = given.texts("--goodput").iter().find(|pair| !is_level(pair)) {
        return Err(given.wrong(
            "--goodput",
            pair,
            "pairs such as ttft:500 tpot:50 e2el:5000, in ms",
        ));
    }
    let backend = given.text("--backend").unwrap_or("openai");
    if ["embedding", "rerank", "pooling", "audio", "image", "video"]
        .iter()
        .any(|kind| backend.contains(kind))
    {
        let what = format!("--backend {backend}");
        return Err(Error::NotExpressible { tool: given.tool, what, why: "llem generates text" });
    }
    if let Some(option) = given.option("--backend") {
        draft.untranslated(&option.shown, SERVER);
    }
    if given.has("--ramp-up-strategy") && given.number("--request-rate").is_some_and(f64::is_finite)
    {
        let sentence =
            "--request-rate is not used with --ramp-up-strategy: leave one out".to_owned();
        return Err(Error::Conflict { tool: given.tool, sentence });
    }
    if !given.has("--temperature") {
        draft.note("--temperature is not given: vLLM takes the server's default, the script 1.0; greedy is -p \
                temperature=0");
    }
    draft.note("there is no HTTP: TTFT ends with the first token in llem's process");
    Ok(())
}

fn is_level(pair: &&&str) -> bool {
    pair.split_once(':').is_some_and(|(name, value)| {
        ["ttft", "tpot", "e2el"].contains(&name) && value.parse::<f64>().is_ok()
    })
}
