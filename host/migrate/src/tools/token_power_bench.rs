//! TokenPowerBench: `tokenpowerbench` (1.0), and `SingleNode/llm_benchmark.py` (to 0.2).

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, exec, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "tokenpowerbench",
    spellings: &["tokenpowerbench", "token-power-bench", "TokenPowerBench", "llm_benchmark.py"],
    script: "token-power-bench",
    tables: &[TABLE],
    sets: &["contract"],
    source: "tokenpowerbench/cli.py at bbb746a94751, SingleNode/llm_benchmark.py at ec00f52f6baa",
    migrate,
};

const TABLE: &[OptionRow] = &[
    read("--model", Text, &["--model"]),
    read("--models", Text, &["--model"]),
    read("--engine", Text, &[]),
    read("--dataset", OneOf(&["alpaca", "dolly", "longbench", "humaneval"]), &["dataset:prompts"]),
    read("--prompts-file", Text, &["dataset:prompts", "prompt-column"]),
    read("--num-samples", Integer, &["num-samples"]),
    read("--batch-sizes", Text, &["batch-sizes"]),
    parameter("--output-tokens", Integer, "output-tokens"),
    parameter("--min-words --min-length", Integer, "min-words").same("2"),
    parameter("--max-words --max-length", Integer, "max-words").same("300"),
    read("--tensor-parallel-size", Integer, &["parallel", "--max-ranks"]),
    exec("--seed", Integer, "--seed").set("42"),
    parameter("--temperature", Number, "temperature"),
    read("--phase-profiling", Flag, &[]),
    none("--max-model-len", Integer, "the context is the model's own"),
    none(
        "--gpu-memory-utilization",
        Number,
        "llem reserves memory for each sequence that it admits",
    ),
    none(
        "--monitor",
        OneOf(&["auto", "gpu_only", "full_node"]),
        "every counter that can be read is read; llem has no IPMI",
    ),
    none("--check-monitor", Flag, "use llem doctor"),
    none("--output-dir", Text, "results are artifacts in the folder of the run: --out"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(TOOL.name, TOOL.tables, &invocation.words)?;
    given.without_words()?;
    // The older program has `--models` with a plural, and other defaults.
    let is_old = given.has("--models") || given.has("--min-length") && !given.has("--model");
    let mut draft = Draft::new(TOOL.script, &given);
    draft.parameter("contract", if is_old { "0.2" } else { "1.0" });
    let (batch_sizes, samples) = if is_old { ("256", "10240") } else { ("1", "1000") };
    draft.parameter("batch-sizes", given.text("--batch-sizes").unwrap_or(batch_sizes));
    draft.parameter("num-samples", given.text("--num-samples").unwrap_or(samples));
    if let Some(ranks) = given.text("--tensor-parallel-size").filter(|ranks| *ranks != "1") {
        draft.parameter("parallel", format!("{ranks}x1"));
        draft.exec("--max-ranks", ranks);
    }
    if given.flag("--phase-profiling") && given.text("--batch-sizes").unwrap_or("1") != "1" {
        let sentence = "--phase-profiling is for --batch-sizes 1".to_owned();
        return Err(Error::Conflict { tool: TOOL.name, sentence });
    }
    if let Some(option) = given.option("--engine").filter(|option| option.values != ["vllm"]) {
        draft.untranslated(&option.shown, "llem's own engine runs the model");
    }
    match given.text("--prompts-file") {
        Some(path) => {
            draft.dataset("prompts", path);
            draft.note(
                "llem reads rows: write each prompt as {\"instruction\": \"...\"}, a row each (-p \
                    prompt-column)",
            );
        }
        None => {
            let name = given.text("--dataset").unwrap_or("alpaca");
            draft.dataset("prompts", format!("{name}.jsonl"));
            draft.note(format!(
                "llem reads prompts from a file: write those of {name} to {name}.jsonl"
            ));
        }
    }
    draft.note_device();
    let models = given.text("--model").or(given.text("--models"));
    let models = models.ok_or(Error::Missing { tool: TOOL.name, option: "--model" })?;
    let commands = models.split(',').map(|model| {
        let mut draft = draft.clone();
        draft.model(model.trim(), None);
        draft.command
    });
    let commands = commands.collect();
    Ok(Migration { commands, ..draft.into_migration() })
}
