//! InferenceX (InferenceMAX): the variables of its scripts, and `run_benchmark_serving` of its library.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::{Given, GivenOption},
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "inferencex",
    // Without spellings of a command it is found by its variables.
    spellings: &["inferencex", "InferenceX", "inferencemax", "run_benchmark_serving"],
    script: "inferencex",
    tables: &[TABLE, VARIABLES],
    sets: &["seq-lens", "conc"],
    source: "benchmarks/benchmark_lib.sh at 843c6254ff69, variables of benchmarks/*",
    migrate,
};

const OPTIONS: &[&[OptionRow]] = &[TABLE];
const SERVER: &str = "llem runs the model itself: there is no server";
const FILES: &str = "results are artifacts in the folder of the run: --out";

const TABLE: &[OptionRow] = &[
    read("--model", Text, &["--model"]),
    read("--input-len", Integer, &["seq-lens"]),
    read("--output-len", Integer, &["seq-lens"]),
    read("--max-concurrency", Text, &["conc"]),
    parameter("--random-range-ratio", Number, "random-range-ratio").same("0.8"),
    parameter("--num-prompts", Integer, "num-prompts"),
    parameter("--num-warmups", Integer, "num-warmups"),
    read("--seq-lens", Text, &["seq-lens"]),
    none("--port --server-pid", Text, SERVER),
    none("--backend --endpoint --tokenizer --tokenizer-mode", Text, SERVER),
    none("--result-filename --result-dir --bench-serving-dir", Text, FILES),
    none("--use-chat-template --dsv4 --trust-remote-code", Flag, "prompts are random tokens"),
];

const VARIABLES: &[OptionRow] = &[
    read("MODEL MODEL_NAME MODEL_PATH", Text, &["--model"]),
    read("ISL", Integer, &["seq-lens"]),
    read("OSL", Integer, &["seq-lens"]),
    read("CONC", Text, &["conc"]),
    parameter("RANDOM_RANGE_RATIO", Number, "random-range-ratio"),
    read("TP", Integer, &["--tp"]),
    read("DP_SIZE", Integer, &["--dp"]),
    read("EP_SIZE", Integer, &["--ep"]),
    parameter("REQUIRE_POWER", Flag, "require-power").same("false"),
    none("PORT PORT_OFFSET SERVER_LOG IMAGE FRAMEWORK RUNNER_TYPE", Text, SERVER),
    none("RESULT_FILENAME RESULT_DIR", Text, FILES),
    none("MAX_MODEL_LEN", Text, "the context is the model's own"),
    none("PRECISION", Text, "the number format is the model's, or --dtype: f32, bf16, f16"),
    none(
        "DP_ATTENTION SPEC_DECODING DISAGG RUN_EVAL EVAL_ONLY PROFILE DURATION KV_OFFLOADING TOTAL_CPU_DRAM_GB",
        Text,
        "llem has no such engine option",
    ),
    none("HF_TOKEN HF_HUB_CACHE HF_HOME", Text, "llem reads the same cache of the Hub"),
];
const VARIABLE_TABLES: &[&[OptionRow]] = &[VARIABLES];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let options = arguments::parse(TOOL.name, OPTIONS, &invocation.words)?;
    let mut variables = Given::new(TOOL.name, VARIABLE_TABLES);
    let words = options.words.iter().map(|word| {
        word.split_once('=')
            .ok_or_else(|| Error::UnexpectedWord { tool: TOOL.name, word: word.clone() })
    });
    let words = words.collect::<Result<Vec<_>, _>>()?;
    let before = invocation.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    for (name, value) in before.chain(words) {
        let row = variables.rows().find(|row| row.names().any(|own| own == name));
        let row = row.ok_or_else(|| Error::UnknownOption {
            tool: TOOL.name,
            option: name.to_owned(),
            instead: None,
        })?;
        let shown = format!("{name}={value}");
        variables.push(GivenOption {
            row,
            name: name.to_owned(),
            shown,
            values: vec![value.to_owned()],
        })?;
    }
    let mut draft = Draft::new(TOOL.script, &options);
    draft.add(&variables);
    let either =
        |option: &str, variable: &str| options.text(option).or_else(|| variables.text(variable));
    match either("--model", "MODEL") {
        Some(model) => draft.model(model, None),
        None => draft.note("no model is given: add --model"),
    }
    match (options.text("--seq-lens"), either("--input-len", "ISL"), either("--output-len", "OSL"))
    {
        (Some(lengths), _, _) => draft.parameter("seq-lens", lengths),
        (None, Some(input), Some(output)) => {
            draft.parameter("seq-lens", format!("{input}_{output}"))
        }
        _ => {
            return Err(Error::Missing {
                tool: TOOL.name,
                option: "ISL and OSL, the lengths of prompt and output",
            });
        }
    }
    let conc = either("--max-concurrency", "CONC");
    draft.parameter(
        "conc",
        conc.ok_or(Error::Missing { tool: TOOL.name, option: "CONC, the concurrency" })?,
    );
    for (variable, option) in [("TP", "--tp"), ("DP_SIZE", "--dp")] {
        if let Some(ranks) = variables.text(variable).filter(|ranks| *ranks != "1") {
            draft.exec(option, ranks);
        }
    }
    if variables.number("EP_SIZE").is_some_and(|size| size > 1.0) {
        draft.switch("--ep");
    }
    draft.note("lengths are drawn from [r L, L] here as there: r = 1 fixes them; new vLLM has another range ratio");
    draft.note_device();
    Ok(draft.into_migration())
}
