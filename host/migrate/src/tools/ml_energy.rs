//! The ML.ENERGY benchmark of language models: `python -m mlenergy.benchmark.llm.benchmark`.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "mlenergy.benchmark.llm.benchmark",
    spellings: &["mlenergy.benchmark.llm.benchmark", "ml-energy", "mlenergy"],
    script: "ml-energy",
    tables: &[TABLE, WORKLOAD],
    sets: &[],
    source: "mlenergy/benchmark/llm/{benchmark,workloads}.py at c1d6557fbf7c",
    migrate,
};

const SERVER: &str = "llem runs the model itself: there is no server";
const FILES: &str = "results are artifacts in the folder of the run: --out";
const TEXT: &str = "llem runs text";
const HUB: &str = "llem reads prompts from a file: --dataset prompts=FILE";

const TABLE: &[OptionRow] = &[
    parameter("--max-concurrency", Integer, "max-concurrency"),
    parameter("--request-rate", Number, "request-rate").same("inf"),
    parameter("--burstiness", Number, "burstiness").same("1"),
    parameter("--ignore-eos", Flag, "ignore-eos").same("false"),
    parameter("--max-output-tokens", Text, "max-output-tokens"),
    parameter("--top-p", Text, "top-p").same("0.95"),
    read("--top-k", Text, &["top-k"]),
    read("--min-p", Text, &["min-p"]),
    parameter("--temperature", Text, "temperature").same("0.8"),
    none("--server-image", Text, SERVER),
    none("--container-runtime", OneOf(&["docker", "singularity"]), SERVER),
    none("--just-server", Flag, SERVER),
    none(
        "--percentile-metrics --metric-percentiles",
        Text,
        "the script reports the same four metrics, p50, p90, p95 and p99",
    ),
    none("--overwrite-results", Flag, FILES),
];

const WORKLOAD: &[OptionRow] = &[
    read("--workload.model-id", Text, &["--model"]),
    read("--workload.seed", Integer, &["--seed"]),
    parameter("--workload.num-requests", Integer, "num-requests"),
    parameter("--workload.num-request-repeats", Integer, "num-request-repeats").same("1"),
    parameter("--workload.max-num-seqs", Integer, "max-num-seqs"),
    parameter("--workload.max-num-batched-tokens", Integer, "max-num-batched-tokens"),
    parameter("--workload.input-mean", Number, "input-mean"),
    parameter("--workload.output-mean", Number, "output-mean"),
    parameter("--workload.pareto-a", Number, "pareto-a").same("2.5"),
    read("--workload.num-gpus", Integer, &["--tp"]),
    none("--workload.base-dir", Text, FILES),
    none("--workload.gpu-model", Text, "the record has the devices"),
    none("--workload.dataset-path --workload.dataset-split --workload.dataset-subset", Text, HUB),
    none(
        "--workload.num-images --workload.num-videos --workload.num-audios --workload.num-audio \
                --workload.num-frames",
        Integer,
        TEXT,
    ),
    none(
        "--workload.video-data-dir --workload.audio-data-dir --workload.video-dataset --workload.video-split",
        Text,
        TEXT,
    ),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(TOOL.name, TOOL.tables, &invocation.words)?;
    let mut draft = Draft::new(TOOL.script, &given);
    let workload = match &given.words[..] {
        [word] => word
            .strip_prefix("workload:")
            .ok_or_else(|| Error::UnexpectedWord { tool: TOOL.name, word: word.clone() })?,
        [_, word, ..] => return Err(Error::UnexpectedWord { tool: TOOL.name, word: word.clone() }),
        [] => {
            return Err(Error::Missing {
                tool: TOOL.name,
                option: "a workload: workload:lm-arena-chat",
            });
        }
    };
    let model = given.text("--workload.model-id");
    draft.model(
        model.ok_or(Error::Missing { tool: TOOL.name, option: "--workload.model-id" })?,
        None,
    );
    draft.exec("--seed", given.text("--workload.seed").unwrap_or("48105"));
    let prompts = format!("{workload}.jsonl");
    match workload {
        "length-control" => {
            if !given.has("--workload.input-mean") {
                draft.parameter("input-mean", 500);
            }
            if !given.has("--workload.output-mean") {
                draft.parameter("output-mean", 300);
            }
        }
        "lm-arena-chat" | "gpqa" => draft.dataset("prompts", prompts),
        "sourcegraph-fim" => {
            draft.dataset("prompts", prompts);
            draft.parameter("endpoint-type", "openai");
        }
        other => {
            let what = format!("workload:{other}");
            return Err(Error::NotExpressible { tool: TOOL.name, what, why: TEXT });
        }
    }
    if workload != "length-control" {
        draft.note(format!(
            "the prompts of {workload} are yours to write to {workload}.jsonl, a row each, in the column prompt \
                    (-p prompt-column)"
        ));
    }
    for (option, name) in [("--top-k", "top-k"), ("--min-p", "min-p")] {
        if let Some(value) = given.text(option).filter(|value| *value != "None") {
            draft.parameter(name, value);
        }
    }
    if !given.has("--max-output-tokens") && workload != "length-control" {
        draft.note("--max-output-tokens is not given: their outputs have no limit, the script's are as long as \
                expected: -p max-output-tokens=N");
    }
    if let Some(gpus) = given.number("--workload.num-gpus").filter(|gpus| *gpus > 1.0) {
        draft.exec("--tp", gpus as u64);
    }
    draft.note(
        "llem's CPU is no part of the steady state's energy per token, as with Zeus: on a machine \
            without a GPU see the script's README",
    );
    draft.note_device();
    Ok(draft.into_migration())
}
