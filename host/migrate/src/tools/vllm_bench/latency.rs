//! `vllm bench latency`.

use super::{
    FILES, SCRIPT,
    engine::{self, ENGINE},
};
use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(in crate::tools) const LATENCY: Tool = Tool {
    name: "vllm bench latency",
    spellings: &[
        "vllm bench latency",
        "vllm.entrypoints.cli.main bench latency",
        "benchmark_latency.py",
    ],
    script: SCRIPT,
    tables: &[TABLE, ENGINE],
    sets: &["mode"],
    source: "vllm/benchmarks/latency.py at 00cae0753b8d, vllm/engine/arg_utils.py of 2026",
    migrate,
};

const TABLE: &[OptionRow] = &[
    parameter("--input-len", Integer, "input-len"),
    parameter("--output-len", Integer, "output-len"),
    parameter("--batch-size", Integer, "batch-size").same("8"),
    parameter("--num-iters-warmup", Integer, "num-iters-warmup").same("10"),
    parameter("--num-iters", Integer, "num-iters").same("30"),
    read("--n", Integer, &[]),
    none("--use-beam-search", Flag, "llem has no beams"),
    none("--profile", Flag, "llem has no profile of kernels; llem flops counts operations"),
    none("--profile-result-dir --output-json", Text, FILES),
    none("--disable-detokenize", Flag, "tokens are made text after the time of a request"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(LATENCY.name, LATENCY.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(SCRIPT, &given);
    draft.parameter("mode", "latency");
    if let Some(option) = given.option("--n").filter(|_| given.number("--n") > Some(1.0)) {
        draft.untranslated(&option.shown, "llem generates one sequence for a prompt: --batch-size");
    }
    engine::apply(&given, &mut draft);
    Ok(draft.into_migration())
}
