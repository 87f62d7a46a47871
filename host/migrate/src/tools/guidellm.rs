//! guidellm: `guidellm run`, and `guidellm benchmark` of older releases.
//!
//! Options of today's command are objects with a kind, `--profile kind=constant,rate=10`; those of older ones are flat,
//! `--rate-type constant --rate 10`. Both become settings with paths: `profile.kind`, `profile.rate`.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, none, parameter, read},
    pairs, settings,
    tool::Invocation,
    yaml,
};
use serde_json::{Map, Value, json};
use std::path::Path;

pub(super) const TOOL: Tool = Tool {
    name: "guidellm",
    spellings: &["guidellm", "guidellm.__main__"],
    script: "guidellm-sweep",
    tables: &[OPTIONS, OLDER_OPTIONS, SETTINGS],
    sets: &["profile"],
    source: "src/guidellm/{cli/run,benchmark,data,scheduler/constraints} at ee7a77457ba6; `guidellm benchmark` \
            of 0.3 to 0.6",
    migrate,
};

const COMMAND: &[&[OptionRow]] = &[OPTIONS, OLDER_OPTIONS];
const SETTINGS_ONLY: &[&[OptionRow]] = &[SETTINGS];

const SERVER: &str = "llem runs the model itself: there is no server";
const FILES: &str = "results are artifacts in the folder of the run: --out";
const CONSOLE: &str = "progress is always shown";
const TEXT: &str = "llem runs text";
const PROMPTS: &str = "prompts are random tokens of given lengths";
const REPLAY: &str = "the script has no replay: llem migrate aiperf profile --input-file TRACE";
const ERRORS: &str = "requests do not fail in llem's process";
const TURNS: &str = "the script's requests have one turn";

const OPTIONS: &[OptionRow] = &[
    read("--config --scenario -c", Text, &[]),
    read("--backend", Text, &["--model"]),
    read("--profile", Text, &["profile"]),
    read("--constraint", Text, &["max-requests", "max-seconds"]),
    read("--data", Text, &["prompt-tokens", "output-tokens"]),
    read("--seed", Text, &["random-seed"]),
    none(
        "--override",
        TwoWords,
        "a list of rates or streams is one: --profile kind=constant,rate=[1,2]",
    ),
    none("--label -l", Text, "the record has llem's own name: --out"),
    none("--tokenizer", Text, "the model's own tokenizer is used"),
    none(
        "--data-column-mapper --data-preprocessor --data-preprocessors --data-finalizer --data-loader",
        Text,
        PROMPTS,
    ),
    none("--output --metrics", Text, FILES),
    none(
        "--disable-console --disable-console-outputs --disable-console-interactive --disable-progress",
        Flag,
        CONSOLE,
    ),
];

const OLDER_OPTIONS: &[OptionRow] = &[
    none("--target", Text, SERVER),
    read("--rate-type", Text, &["profile"]),
    read("--rate", Words, &["rate"]),
    read("--max-seconds", Number, &["max-seconds"]),
    read("--max-requests", Integer, &["max-requests"]),
    read("--warmup --warmup-percent", Number, &["warmup"]),
    read("--cooldown --cooldown-percent", Number, &["cooldown"]),
    read("--rampup", Number, &["rampup-duration"]),
    read("--random-seed", Integer, &["random-seed"]),
    read("--model", Text, &["--model"]),
    none(
        "--max-errors --max-error-rate --max-global-error-rate --over-saturation --detect-saturation",
        Text,
        ERRORS,
    ),
    none(
        "--backend-type --backend-args --backend-kwargs --request-type --request-format --request-formatter-kwargs",
        Text,
        SERVER,
    ),
    none("--processor --processor-args", Text, "the model's own tokenizer is used"),
    none(
        "--data-args --data-samples --data-sampler --data-num-workers --dataloader-kwargs",
        Text,
        PROMPTS,
    ),
    none(
        "--output-path --output-dir --outputs --output-extras --output-formats --sample-requests --output-sampling",
        Text,
        FILES,
    ),
    none("--display-scheduler-stats --disable-console-stats", Flag, CONSOLE),
];

const SETTINGS: &[OptionRow] = &[
    read("profile.kind", Text, &["profile"]),
    parameter("profile.rate", Words, "rate"),
    parameter("profile.streams", Words, "streams"),
    parameter("profile.sweep_size", Integer, "sweep-size").same("10"),
    parameter("profile.strategy_type", OneOf(&["constant", "poisson"]), "strategy-type")
        .same("constant"),
    parameter("profile.max_concurrency", Integer, "max-concurrency"),
    parameter("profile.rampup_duration", Number, "rampup-duration").same("0"),
    none("profile.time_scale", Number, REPLAY),
    read("profile.warmup", Number, &["warmup"]),
    read("profile.warmup.*", Text, &["warmup", "warmup-mode"]),
    read("profile.cooldown", Number, &["cooldown"]),
    read("profile.cooldown.*", Text, &["cooldown", "warmup-mode"]),
    parameter("constraint.max_requests.count", Integer, "max-requests"),
    parameter("constraint.max_duration.seconds", Number, "max-seconds"),
    none(
        "constraint.max_errors.* constraint.max_error_rate.* constraint.max_global_error_rate.*",
        Words,
        ERRORS,
    ),
    none(
        "constraint.over_saturation.*",
        Words,
        "give lower rates: the script does not stop by itself when requests pile up",
    ),
    read("data.kind", Text, &[]),
    parameter("data.prompt_tokens", Integer, "prompt-tokens"),
    parameter("data.prompt_tokens_stdev", Integer, "prompt-tokens-stdev"),
    parameter("data.prompt_tokens_min", Integer, "prompt-tokens-min"),
    parameter("data.prompt_tokens_max", Integer, "prompt-tokens-max"),
    parameter("data.output_tokens", Integer, "output-tokens"),
    parameter("data.output_tokens_stdev", Integer, "output-tokens-stdev"),
    parameter("data.output_tokens_min", Integer, "output-tokens-min"),
    parameter("data.output_tokens_max", Integer, "output-tokens-max"),
    none(
        "data.first_prompt_tokens data.first_prompt_tokens_stdev data.first_prompt_tokens_min \
                data.first_prompt_tokens_max",
        Integer,
        TURNS,
    ),
    none(
        "data.first_output_tokens data.first_output_tokens_stdev data.first_output_tokens_min \
                data.first_output_tokens_max",
        Integer,
        TURNS,
    ),
    none("data.delay data.delay_stdev data.delay_min data.delay_max data.turns", Number, TURNS),
    none(
        "data.tool_call_turns data.tools data.tool_response_tokens data.server_tool_call_turns data.branches",
        Words,
        TURNS,
    ),
    none(
        "data.prefix_buckets data.prefix_tokens data.prefix_count data.samples data.source",
        Words,
        PROMPTS,
    ),
    read("data.path", Text, &[]),
    none("data.*", Words, PROMPTS),
    read("seed.kind", Text, &[]),
    parameter("seed.value", Integer, "random-seed").same("42"),
    read("backend.model", Text, &["--model"]),
    none("backend.*", Words, SERVER),
    none(
        "tokenizer.* data_column_mapper.* data_preprocessors.* data_finalizer.* data_loader.*",
        Words,
        PROMPTS,
    ),
    none("outputs.* metrics.*", Words, FILES),
];

/// The kinds of profiles that have other names in older releases.
fn kind(name: &str) -> &str {
    match name {
        "async" => "constant",
        other => other,
    }
}

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let words = match &invocation.words[..] {
        [first, second, rest @ ..] if first == "benchmark" && second == "run" => rest,
        [first, rest @ ..] if first == "run" || first == "benchmark" => rest,
        [first, ..] if !first.starts_with('-') => {
            let why = "the script has what guidellm run does";
            return Err(Error::NotExpressible { tool: TOOL.name, what: first.clone(), why });
        }
        words => words,
    };
    let options = arguments::parse(TOOL.name, COMMAND, words)?;
    options.without_words()?;
    let tree = tree(&options)?;
    let mut given = Given::new(TOOL.name, SETTINGS_ONLY);
    settings::add(&mut given, &tree)?;
    let mut draft = Draft::new(TOOL.script, &options);
    draft.add(&given);
    profile(&given, &mut draft)?;
    data(&given, &mut draft)?;
    phases(&given, &mut draft);
    match options.text("--model").or(given.text("backend.model")) {
        Some(model) => draft.model(model, None),
        None => draft.note("no model is given, because the server has it: add --model"),
    }
    draft.note("there is no HTTP: TTFT ends with the first token in llem's process");
    draft.note_device();
    Ok(draft.into_migration())
}

/// All options as one tree of settings, those of the file first.
fn tree(options: &Given) -> Result<Value, Error> {
    let mut tree = Map::new();
    if let Some(path) = options.text("--config") {
        let file = Path::new(path);
        if !file.exists() && file.extension().is_none() {
            let what = format!("--config {path}");
            let why = "a scenario that guidellm brings is a file in its package: give that file";
            return Err(Error::NotExpressible { tool: TOOL.name, what, why });
        }
        let read = yaml::read(file)?;
        let spec = read.get("spec").cloned().unwrap_or(read);
        for (name, value) in spec.as_object().into_iter().flatten() {
            add(options, &mut tree, name.trim_end_matches('s'), value.clone())?;
        }
    }
    let mut flat = Map::new();
    for (option, path) in [
        ("--rate-type", "kind"),
        ("--rampup", "rampup_duration"),
        ("--warmup", "warmup"),
        ("--cooldown", "cooldown"),
    ] {
        if let Some(text) = options.text(option) {
            flat.insert(path.to_owned(), yaml::parse(text).unwrap_or_default());
        }
    }
    // `--profile sweep --rate 5`: what the rate is depends on the profile.
    let profile =
        options.text("--profile").filter(|text| !is_object(text)).or(options.text("--rate-type"));
    if let Some(profile) = profile {
        flat.insert("kind".to_owned(), profile.into());
    }
    let rates = options.texts("--rate").join(",");
    if !rates.is_empty() {
        let rates: Vec<Value> =
            rates.split(',').map(|rate| yaml::parse(rate.trim()).unwrap_or_default()).collect();
        let name = match profile {
            Some("concurrent") => "streams",
            Some("sweep") => "sweep_size",
            Some("throughput") => "max_concurrency",
            _ => "rate",
        };
        flat.insert(
            name.to_owned(),
            if rates.len() == 1 { rates[0].clone() } else { rates.into() },
        );
    }
    if !flat.is_empty() {
        add(options, &mut tree, "profile", flat.into())?;
    }
    for (option, constraint) in [
        (
            "--max-seconds",
            json!({ "kind": "max_duration", "seconds": options.number("--max-seconds") }),
        ),
        (
            "--max-requests",
            json!({ "kind": "max_requests", "count": options.number("--max-requests").map(|count| count as u64) }),
        ),
    ] {
        if options.has(option) {
            add(options, &mut tree, "constraint", constraint)?;
        }
    }
    if let Some(seed) = options.text("--random-seed") {
        add(options, &mut tree, "seed", json!({ "value": seed }))?;
    }
    for name in ["backend", "profile", "constraint", "data", "seed"] {
        let option = format!("--{name}");
        for text in options.texts(&option) {
            let value = match name {
                "profile" if !is_object(text) => continue,
                _ => object(options, &option, text)?,
            };
            add(options, &mut tree, name, value)?;
        }
    }
    Ok(tree.into())
}

/// `kind=...` or JSON.
fn is_object(text: &str) -> bool {
    text.contains('=') || text.trim_start().starts_with('{')
}

/// An option's text as an object: JSON, YAML, pairs, or a word alone.
fn object(options: &Given, option: &str, text: &str) -> Result<Value, Error> {
    let text = text.trim();
    if text.starts_with('{') {
        let wrong = |_| options.wrong(option, text, "pairs such as kind=KIND,key=value, or JSON");
        return yaml::parse(text).map_err(wrong);
    }
    if !text.contains('=') {
        return Ok(match option {
            "--data" => json!({ "kind": "file", "path": text }),
            "--seed" => json!({ "value": text }),
            _ => json!({ "kind": text }),
        });
    }
    let wrong =
        |part: String| options.wrong(option, &part, "pairs such as kind=KIND,key=value, or JSON");
    let pairs = pairs::parse(text).map_err(wrong)?;
    let value = |text: &str| yaml::parse(text).unwrap_or_else(|_| text.into());
    Ok(Value::Object(pairs.iter().map(|(key, text)| (key.clone(), value(text))).collect()))
}

/// Adds an object of a kind. Constraints are kept by their kinds, because there may be several.
fn add(
    options: &Given,
    tree: &mut Map<String, Value>,
    name: &str,
    value: Value,
) -> Result<(), Error> {
    let values = match value {
        Value::Array(values) => values,
        value => vec![value],
    };
    for value in values {
        let Value::Object(mut object) = value else {
            return Err(options.wrong(
                &format!("--{name}"),
                &settings::text(&value),
                "pairs such as kind=KIND,key=value",
            ));
        };
        object = object.into_iter().map(|(key, value)| (key.replace('-', "_"), value)).collect();
        let entry = tree.entry(name).or_insert_with(|| Map::new().into());
        let Value::Object(entry) = entry else { continue };
        if name == "constraint" {
            let kind = object.remove("kind").as_ref().map(settings::text).unwrap_or_default();
            entry.insert(kind, object.into());
        } else {
            entry.extend(object);
        }
    }
    Ok(())
}

fn profile(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    let kind = kind(given.text("profile.kind").unwrap_or("sweep"));
    let kinds = ["synchronous", "concurrent", "throughput", "constant", "poisson", "sweep"];
    if kind == "replay" {
        let what = "--profile replay".to_owned();
        return Err(Error::NotExpressible { tool: TOOL.name, what, why: REPLAY });
    }
    if !kinds.contains(&kind) {
        return Err(given.wrong("--profile", kind, format!("one of {}", kinds.join(", "))));
    }
    draft.parameter("profile", kind);
    // A sweep has at most 512 requests at a time, which is the script's default; other profiles have no limit.
    if ["throughput", "constant", "poisson"].contains(&kind)
        && !given.has("profile.max_concurrency")
    {
        draft.parameter("max-concurrency", 0);
    }
    let needs = match kind {
        "concurrent" => Some(("profile.streams", "streams: --profile kind=concurrent,streams=N")),
        "constant" | "poisson" => Some(("profile.rate", "a rate: --profile kind=constant,rate=N")),
        _ => None,
    };
    match needs.filter(|(path, _)| !given.has(path)) {
        Some((_, option)) => Err(Error::Missing { tool: TOOL.name, option }),
        None => Ok(()),
    }
}

fn data(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    let kind = given.text("data.kind").unwrap_or("synthetic_text");
    if ["image", "video", "audio"].iter().any(|other| kind.contains(other)) {
        let what = format!("--data kind={kind}");
        return Err(Error::NotExpressible { tool: TOOL.name, what, why: TEXT });
    }
    if kind != "synthetic_text" {
        let shown = given
            .option("data.path")
            .or(given.option("data.kind"))
            .map_or("", |option| &option.shown);
        draft.untranslated(shown, PROMPTS);
    }
    if !given.has("data.prompt_tokens") {
        draft.note("no lengths are given: the script's are short; set -p prompt-tokens and -p output-tokens");
    }
    Ok(())
}

/// Warm-up and cool-down: a number, or an object with a mode.
fn phases(given: &Given, draft: &mut Draft) {
    for name in ["warmup", "cooldown"] {
        let plain = given.text(&format!("profile.{name}")).map(str::to_owned);
        let below = |key: &str| {
            let path = format!("profile.{name}.{key}");
            given
                .options
                .iter()
                .find(|option| option.name == path)
                .and_then(|option| option.values.last().cloned())
        };
        // A share is written below 1; of `percent`, 5 is five percent.
        let percent = below("percent").and_then(|text| text.parse::<f64>().ok());
        let share = percent
            .map(|percent| if percent >= 1.0 { percent / 100.0 } else { percent }.to_string());
        if let Some(value) = below("value").or(share).or(plain) {
            draft.parameter(name, value);
        }
        if let Some(mode) = below("mode").filter(|mode| mode != "percent") {
            draft.parameter("warmup-mode", mode);
        }
    }
}
