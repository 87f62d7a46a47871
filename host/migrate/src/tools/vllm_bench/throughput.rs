//! `vllm bench throughput`.

use super::{
    FILES, SCRIPT,
    dataset::{self, DATASET},
    engine::{self, ENGINE},
};
use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(in crate::tools) const THROUGHPUT: Tool = Tool {
    name: "vllm bench throughput",
    spellings: &[
        "vllm bench throughput",
        "vllm.entrypoints.cli.main bench throughput",
        "benchmark_throughput.py",
    ],
    script: SCRIPT,
    tables: &[TABLE, DATASET, ENGINE],
    sets: &["mode"],
    source: "vllm/benchmarks/throughput.py and datasets.py of 2026, vllm/engine/arg_utils.py of 2026",
    migrate,
};

const TABLE: &[OptionRow] = &[
    read("--backend", OneOf(&["vllm", "hf", "mii", "vllm-chat"]), &[]),
    parameter("--num-warmups", Integer, "num-warmups").same("0"),
    read("--n", Integer, &[]),
    read("--lora-path", Text, &["--adapter"]),
    none("--hf-max-batch-size", Integer, "an option of the backend hf"),
    none("--use-beam-search", Flag, "llem has no beams"),
    none("--output-json --save-output", Text, FILES),
    none(
        "--async-engine --disable-frontend-multiprocessing",
        Flag,
        "llem's engine is in one process",
    ),
    none("--disable-detokenize", Flag, "tokens are made text after the time of a request"),
    none("--profile", Flag, "llem has no profile of kernels; llem flops counts operations"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(THROUGHPUT.name, THROUGHPUT.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(SCRIPT, &given);
    draft.parameter("mode", "throughput");
    dataset::apply(&given, &mut draft, "sharegpt")?;
    if let Some(path) = given.text("--lora-path") {
        draft.adapter(path);
    }
    if let Some(option) = given.option("--backend").filter(|option| option.values != ["vllm"]) {
        draft.untranslated(&option.shown, "llem's own engine runs the requests");
    }
    if let Some(option) = given.option("--n").filter(|_| given.number("--n") > Some(1.0)) {
        draft.untranslated(&option.shown, "llem generates one sequence for a prompt");
    }
    engine::apply(&given, &mut draft);
    Ok(draft.into_migration())
}
