//! calflops, DeepSpeed's profiler and fvcore, which are functions and have no command line.

use crate::{
    Error, Migration, Note, Tool, arguments,
    draft::Draft,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "calflops",
    spellings: &[
        "calflops",
        "deepspeed",
        "deepspeed flops-profiler",
        "flops-profiler",
        "get_model_profile",
        "calculate_flops",
        "fvcore",
    ],
    script: "flops-profile",
    tables: &[TABLE],
    sets: &[],
    source: "deepspeed/profiling/flops_profiler/profiler.py at edaa72212672, calflops/flops_counter.py at \
            29ca58443fc1",
    migrate,
};

/// The arguments of the functions, as options.
const TABLE: &[OptionRow] = &[
    read("--model --model_name --model-name", Text, &["--model"]),
    parameter("--batch-size --batch_size", Integer, "batch-size").same("1"),
    parameter("--max-seq-length --max_seq_length --seq-len --seq_len", Integer, "seq-len")
        .same("128"),
    read("--input-shape --input_shape", Text, &["batch-size", "seq-len"]),
    parameter("--warm-up --warm_up", Integer, "warm-up").same("1"),
    parameter("--module-depth --module_depth", Integer, "module-depth").same("-1"),
    parameter("--top-modules --top_modules", Integer, "top-modules").same("1"),
    read("--mode --forward-mode --forward_mode", OneOf(&["forward", "generate"]), &["logits"]),
    none(
        "--detailed --print-profile --print_profile --as-string --as_string",
        Flag,
        "the profile is an artifact in the run's folder",
    ),
    none("--include-backPropagation --compute-bp-factor", Text, "llem computes no gradients"),
    none(
        "--ignore-modules --ignore_modules --output-file --output_file --profile-step",
        Text,
        "the profile is an artifact in the run's folder",
    ),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(TOOL.name, TOOL.tables, &invocation.words)?;
    let mut draft = Draft::new(TOOL.script, &given);
    match given.text("--model").or(given.words.first().map(String::as_str)) {
        Some(model) => draft.model(model, None),
        None => draft.note("no model is given: add --model"),
    }
    if let Some(shape) = given.text("--input-shape") {
        let sizes: Vec<&str> =
            shape.trim_matches(['(', ')', '[', ']']).split(',').map(str::trim).collect();
        match sizes[..] {
            [batch, length] if batch.parse::<u64>().is_ok() && length.parse::<u64>().is_ok() => {
                draft.parameter("batch-size", batch);
                draft.parameter("seq-len", length);
            }
            _ => return Err(given.wrong("--input-shape", shape, "sequences and tokens: 1,128")),
        }
    }
    // A forward call computes logits at all positions, a generation those of the last.
    if given.text("--mode") == Some("generate") {
        draft.parameter("logits", "last");
    }
    draft.note("llem flops MODEL counts without running anything");
    let mut migration = draft.into_migration();
    let sentence = "these profilers are functions in Python and have no command line: this experiment prints \
            what they print";
    migration.notes.insert(0, Note::Difference(sentence.to_owned()));
    Ok(migration)
}
