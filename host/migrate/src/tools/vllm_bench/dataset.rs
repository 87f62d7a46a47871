//! The options of vLLM's data sets, which `throughput` and `serve` share.

use crate::{
    Error,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, none, parameter, read},
};

const TEXT: &str = "llem runs text";
const OTHER: &str = "an option of a data set that the script does not have";
const HUB: &str = "llem reads files: --dataset prompts=FILE";

/// The data sets that the script has.
const KNOWN: [&str; 3] = ["random", "sharegpt", "prefix_repetition"];

pub(super) const DATASET: &[OptionRow] = &[
    read("--dataset-name", Text, &["dataset-name"]).same("random"),
    read("--dataset-path --dataset", Text, &["dataset:prompts"]),
    parameter("--num-prompts", Integer, "num-prompts").same("1000"),
    parameter("--input-len", Integer, "input-len"),
    parameter("--output-len", Integer, "output-len"),
    parameter("--random-input-len", Integer, "random-input-len").same("1024"),
    parameter("--random-output-len", Integer, "random-output-len").same("128"),
    parameter("--random-range-ratio", Text, "random-range-ratio").same("0.0"),
    parameter("--random-prefix-len --prefix-len", Integer, "random-prefix-len").same("0"),
    parameter("--sharegpt-output-len", Integer, "sharegpt-output-len"),
    parameter("--prefix-repetition-prefix-len", Integer, "prefix-repetition-prefix-len")
        .same("256"),
    parameter("--prefix-repetition-suffix-len", Integer, "prefix-repetition-suffix-len")
        .same("256"),
    parameter("--prefix-repetition-num-prefixes", Integer, "prefix-repetition-num-prefixes")
        .same("10"),
    parameter("--prefix-repetition-output-len", Integer, "prefix-repetition-output-len")
        .same("128"),
    parameter("--disable-shuffle", Flag, "disable-shuffle").same("false"),
    parameter("--no-oversample", Flag, "no-oversample").same("false"),
    none("--common-prefix-len", Integer, "write it as --random-prefix-len"),
    none("--no-stream", Flag, HUB),
    none("--hf-subset --hf-split --hf-name", Text, HUB),
    none("--hf-output-len --custom-output-len --spec-bench-output-len", Integer, OTHER),
    none("--spec-bench-category", Text, OTHER),
    none("--sonnet-input-len --sonnet-output-len --sonnet-prefix-len", Integer, OTHER),
    none("--blazedit-min-distance --blazedit-max-distance", Number, OTHER),
    none("--asr-max-audio-len-sec --asr-min-audio-len-sec", Number, TEXT),
    none("--random-batch-size", Integer, "it is for embeddings"),
    none("--no-reranker --enable-multimodal-chat", Flag, TEXT),
    none("--skip-chat-template", Flag, "the script's prompts are without a chat template"),
    none("--random-mm-base-items-per-request", Integer, TEXT),
    none("--random-mm-num-mm-items-range-ratio", Number, TEXT),
    none("--random-mm-limit-mm-per-prompt --random-mm-bucket-config", Text, TEXT),
];

/// The data set: its name and file. `default` is for a file without a name.
pub(super) fn apply(given: &Given, draft: &mut Draft, default: &'static str) -> Result<(), Error> {
    let path = given.text("--dataset-path");
    let name = given.text("--dataset-name").or(path.map(|_| default));
    if let Some(name) = name {
        if !KNOWN.contains(&name) {
            let what = format!("--dataset-name {name}");
            let why = "the script has random, sharegpt and prefix_repetition";
            return Err(Error::NotExpressible { tool: given.tool, what, why });
        }
        draft.parameter("dataset-name", name);
    }
    match (path, name) {
        (Some(path), Some("sharegpt")) => draft.dataset("prompts", path),
        (Some(_), _) => {
            let option = given.option("--dataset-path").map_or("", |option| &option.shown);
            draft.untranslated(option, "this data set has no file");
        }
        (None, Some("sharegpt")) => {
            return Err(Error::Missing { tool: given.tool, option: "--dataset-path for sharegpt" });
        }
        (None, _) => {}
    }
    if given.has("--random-range-ratio") {
        draft.note("the range ratio is symmetric, [L (1 - r), L (1 + r)]; in vLLM before 2025-08 it was [r L, L]");
    }
    draft.note("lengths and gaps are drawn from llem's generator: equal in distribution to numpy's, not in value");
    Ok(())
}
