//! LLenergyMeasure, whose command is called `llem`, too: `llem run CONFIG.yaml`.

use crate::{
    Error, LlemCommand, Migration, Tool, arguments,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, none, parameter, read},
    settings,
    tool::Invocation,
    yaml,
};
use serde_json::{Map, Value};
use std::path::Path;

pub(super) const TOOL: Tool = Tool {
    name: "llem run",
    spellings: &["llem run", "llenergymeasure run", "llenergymeasure", "lem run"],
    script: "llenergymeasure",
    tables: &[OPTIONS, SETTINGS],
    sets: &[],
    source: "src/llenergymeasure/{cli/run,config/models,config/grid}.py at 5749371fefeb",
    migrate,
};

const COMMAND: &[&[OptionRow]] = &[OPTIONS];
const SETTINGS_ONLY: &[&[OptionRow]] = &[SETTINGS];

const ENGINE: &str = "llem's own engine runs the model";
const STUDY: &str = "a run of llem is one experiment: the commands are the study's, one each";
const RUNNER: &str = "llem runs without a container";
const FILES: &str = "results are artifacts in the folder of the run: --out";

const OPTIONS: &[OptionRow] = &[
    read("--model -m", Text, &["--model"]),
    read("--engine -e --backend -b", Text, &[]),
    read("--dataset -d", Text, &["dataset:prompts"]),
    read("--n-prompts -n", Integer, &["n-prompts"]),
    read("--batch-size", Integer, &["batch-size"]),
    read("--precision -p", Text, &["--dtype"]),
    read("--cycles", Integer, &[]),
    none("--output -o", Text, FILES),
    none("--order", Text, "the order of the study's commands is yours"),
    none("--dry-run --quiet -q --verbose -v -vv", Flag, "these are the commands"),
    none("--no-gaps --resume --fail-fast --no-circuit-breaker --no-dedup", Flag, STUDY),
    none("--skip-preflight --no-lock", Flag, RUNNER),
    none("--resume-dir", Text, STUDY),
    none("--timeout", Number, "the limit of a run: --timeout of llem exec"),
];

/// The settings of an experiment. In release 0.9 and before, those of `task` and `measurement` are at the top.
const SETTINGS: &[OptionRow] = &[
    read("task.model", Text, &["--model"]),
    read("task.dataset.source", Text, &["dataset:prompts"]),
    parameter("task.dataset.n_prompts", Integer, "n-prompts").same("100"),
    parameter("task.dataset.order", OneOf(&["interleaved", "grouped", "shuffled"]), "order")
        .same("interleaved"),
    parameter("task.max_input_tokens", Integer, "max-input-tokens").same("256"),
    parameter("task.max_output_tokens", Integer, "max-output-tokens").same("256"),
    parameter("task.random_seed", Integer, "random-seed").same("42"),
    parameter("measurement.warmup.enabled", Flag, "warmup").same("true"),
    parameter(
        "measurement.warmup.n_warmup measurement.warmup.n_prompts",
        Integer,
        "warmup-n-prompts",
    )
    .same("5"),
    parameter("measurement.warmup.thermal_floor_seconds", Number, "thermal-floor-seconds")
        .same("60"),
    parameter("measurement.warmup.convergence_detection", Flag, "convergence-detection")
        .same("false"),
    parameter("measurement.warmup.cv_threshold", Number, "cv-threshold").same("0.05"),
    parameter("measurement.warmup.max_prompts", Integer, "warmup-max-prompts").same("20"),
    parameter("measurement.warmup.window_size", Integer, "warmup-window-size").same("3"),
    parameter("measurement.warmup.min_prompts", Integer, "warmup-min-prompts").same("5"),
    parameter("measurement.baseline.enabled", Flag, "baseline").same("true"),
    parameter("measurement.baseline.duration_seconds", Number, "baseline-duration-seconds")
        .same("30"),
    read(
        "measurement.baseline.strategy",
        OneOf(&["cached", "validated", "fresh"]),
        &["baseline-strategy"],
    ),
    parameter("measurement.baseline.cache_ttl_seconds", Number, "baseline-cache-ttl-seconds")
        .same("7200"),
    none(
        "measurement.baseline.validation_interval measurement.baseline.drift_threshold",
        Text,
        "a baseline is measured, or the kept one is used",
    ),
    none(
        "measurement.energy_sampler measurement.gpu_telemetry",
        Text,
        "llem's own meter is always used",
    ),
    read("engine", Text, &[]),
    read("lora.adapter_id", Text, &["--adapter"]),
    read("lora.adapter_path", Text, &["--adapter"]),
    read("lora.merge_weights", Flag, &["--merge"]),
    read("sampling_preset", Text, &["temperature", "top-p"]),
    parameter("transformers.sampling.temperature vllm.sampling.temperature", Number, "temperature")
        .same("0"),
    parameter("transformers.sampling.top_p vllm.sampling.top_p", Number, "top-p").same("1"),
    read("transformers.dtype", Text, &["--dtype"]),
    read("transformers.batch_size", Integer, &["batch-size"]),
    read("vllm.engine.dtype", Text, &["--dtype"]),
    read("vllm.engine.tensor_parallel_size", Integer, &["--tp"]),
    read("vllm.engine.pipeline_parallel_size", Integer, &["--pp"]),
    none("transformers.* vllm.* tensorrt.* passthrough_kwargs.*", Words, ENGINE),
    none(
        "runners.* images.* output.* study_execution.* study_name name experiment_name",
        Words,
        STUDY,
    ),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let options = arguments::parse(TOOL.name, COMMAND, &invocation.words)?;
    let tree = match &options.words[..] {
        [] => Value::Object(Map::new()),
        [path] => yaml::read(Path::new(path))?,
        [_, word, ..] => return Err(Error::UnexpectedWord { tool: TOOL.name, word: word.clone() }),
    };
    let experiments = experiments(&tree)?;
    let (mut commands, mut notes) = (Vec::<LlemCommand>::new(), vec![]);
    for experiment in &experiments {
        let migration = experiment_of(&options, experiment)?;
        // Experiments that differ only in what llem does not have are one.
        commands.extend(
            migration
                .commands
                .into_iter()
                .filter(|command| !commands.contains(command))
                .collect::<Vec<_>>(),
        );
        notes.extend(
            migration.notes.into_iter().filter(|note| !notes.contains(note)).collect::<Vec<_>>(),
        );
    }
    if commands.len() < experiments.len() {
        let (all, left) = (experiments.len(), commands.len());
        notes.push(crate::Note::Difference(format!(
            "{all} experiments of the study are {left} here, because the \
                others differ in options of their engines only"
        )));
    }
    let cycles = tree.pointer("/study_execution/n_cycles").map(settings::text);
    if let Some(cycles) =
        options.text("--cycles").map(str::to_owned).or(cycles).filter(|cycles| cycles != "1")
    {
        notes.push(crate::Note::Difference(format!(
            "{cycles} cycles: run the commands {cycles} times, with a pause between them"
        )));
    }
    Ok(Migration { commands, notes })
}

fn experiment_of(options: &Given, experiment: &Value) -> Result<Migration, Error> {
    let mut given = Given::new(TOOL.name, SETTINGS_ONLY);
    settings::add(&mut given, &of_today(experiment))?;
    let mut draft = Draft::new(TOOL.script, options);
    draft.add(&given);
    let either = |option: &str, path: &str| {
        options.text(option).or_else(|| given.text(path)).map(str::to_owned)
    };
    let model = either("--model", "task.model")
        .ok_or(Error::Missing { tool: TOOL.name, option: "task.model, or --model" })?;
    draft.model(&model, None);
    if let Some(count) = options.text("--n-prompts") {
        draft.parameter("n-prompts", count);
    }
    match either("--dataset", "task.dataset.source").as_deref() {
        None | Some("aienergyscore") => {
            draft.dataset("prompts", "aienergyscore.jsonl");
            draft.note("llem reads prompts from a file: aienergyscore is a JSONL in LLenergyMeasure's package");
        }
        Some(path) => draft.dataset("prompts", path),
    }
    let engine = either("--engine", "engine").unwrap_or_else(|| "transformers".to_owned());
    draft.note(format!("engine {engine}: {ENGINE}"));
    let dtype = options
        .option("--precision")
        .or_else(|| given.option("transformers.dtype"))
        .or_else(|| given.option("vllm.engine.dtype"));
    if let Some(option) = dtype {
        draft.dtype(option.values.last().map_or("", String::as_str), &option.shown);
    }
    if let Some(size) = either("--batch-size", "transformers.batch_size") {
        draft.parameter("batch-size", size);
    }
    for (path, option) in [
        ("vllm.engine.tensor_parallel_size", "--tp"),
        ("vllm.engine.pipeline_parallel_size", "--pp"),
    ] {
        if let Some(ranks) = given.text(path).filter(|ranks| *ranks != "1") {
            draft.exec(option, ranks);
        }
    }
    if let Some(adapter) = given.text("lora.adapter_path").or(given.text("lora.adapter_id")) {
        draft.adapter(adapter);
        if given.flag("lora.merge_weights") {
            draft.switch("--merge");
        }
    }
    sampling(&given, &mut draft);
    match given.option("measurement.baseline.strategy") {
        Some(option) if option.values == ["validated"] => {
            draft.untranslated(
                &option.shown,
                "a baseline is measured (fresh), or the kept one is used (cached)",
            );
        }
        Some(option) => draft.parameter("baseline-strategy", option.values.join("")),
        None => {}
    }
    draft.note_device();
    Ok(draft.into_migration())
}

/// What a preset of sampling stands for.
fn sampling(given: &Given, draft: &mut Draft) {
    let Some(option) = given.option("sampling_preset") else { return };
    let preset = match option.values.last().map(String::as_str) {
        Some("deterministic") => &[][..],
        Some("standard") => &[("temperature", "1"), ("top-p", "0.95")],
        Some("creative") => &[("temperature", "0.8"), ("top-p", "0.9")],
        Some("factual") => &[("temperature", "0.3")],
        _ => return draft.untranslated(&option.shown, "set -p temperature and -p top-p"),
    };
    for (name, value) in preset {
        draft.parameter(name, value);
    }
    if option.values == ["creative"] {
        draft.untranslated(
            "sampling_preset=creative, repetition_penalty 1.1",
            "the script has no penalties",
        );
    }
}

/// A setting of a release before `task` and `measurement`, at its place of today.
fn place(path: &str) -> String {
    let (first, rest) =
        path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let (above, first) = match first {
        "model" | "dataset" | "max_input_tokens" | "max_output_tokens" | "random_seed" => {
            ("task.", first)
        }
        "n_prompts" => ("task.dataset.", first),
        "n" => ("task.dataset.", "n_prompts"),
        "warmup" | "baseline" | "energy_sampler" | "gpu_telemetry" => ("measurement.", first),
        "dtype" | "precision" => ("transformers.", "dtype"),
        "batch_size" => ("transformers.", first),
        "pytorch" => ("", "transformers"),
        "backend" => ("", "engine"),
        "decoder" if rest == Some("preset") => return "sampling_preset".to_owned(),
        "decoder" => ("transformers.", "sampling"),
        other => ("", other),
    };
    format!("{above}{first}{}", rest.map_or_else(String::new, |rest| format!(".{rest}")))
}

/// The settings at their places of today.
fn of_today(experiment: &Value) -> Value {
    let mut tree = Value::Object(Map::new());
    for (key, value) in experiment.as_object().into_iter().flatten() {
        match (key.as_str(), value) {
            ("decoder", Value::Object(decoder)) => {
                for (key, value) in decoder {
                    set(&mut tree, &place(&format!("decoder.{key}")), value.clone());
                }
            }
            ("backend" | "engine", value) => {
                let name = settings::text(value);
                set(
                    &mut tree,
                    "engine",
                    if name == "pytorch" { "transformers".into() } else { name.into() },
                );
            }
            ("dataset", Value::String(source)) => {
                set(&mut tree, "task.dataset.source", source.clone().into())
            }
            (key, value) => set(&mut tree, &place(key), value.clone()),
        }
    }
    tree
}

/// Sets a value at a path. A mapping is merged into the one that is there.
fn set(tree: &mut Value, path: &str, value: Value) {
    let Value::Object(map) = tree else { return };
    match path.split_once('.') {
        Some((first, rest)) => {
            let below = map.entry(first).or_insert_with(|| Map::new().into());
            if !below.is_object() {
                *below = Map::new().into();
            }
            set(below, rest, value);
        }
        None => match (map.get_mut(path), value) {
            (Some(below @ Value::Object(_)), Value::Object(value)) => {
                for (key, value) in value {
                    set(below, &key, value);
                }
            }
            (_, value) => _ = map.insert(path.to_owned(), value),
        },
    }
}

/// The experiments of a study: the fixed settings with each combination of `sweep`, then those of `experiments`.
fn experiments(tree: &Value) -> Result<Vec<Value>, Error> {
    /// More than these are a study that nobody runs by hand.
    const MOST: usize = 1000;
    let wrong = |what: &str| Error::Conflict { tool: TOOL.name, sentence: what.to_owned() };
    let mut fixed = tree.as_object().cloned().ok_or_else(|| wrong("the file has no settings"))?;
    let (sweep, listed) = (fixed.remove("sweep"), fixed.remove("experiments"));
    if fixed.contains_key("base") {
        return Err(wrong("base: write the settings of that file into this one"));
    }
    let fixed = Value::Object(fixed);
    let mut experiments = vec![];
    if listed.is_none() || sweep.is_some() {
        experiments.push(fixed.clone());
    }
    for (name, values) in sweep.as_ref().and_then(Value::as_object).into_iter().flatten() {
        let values = values.as_array().ok_or_else(|| wrong("an axis of sweep is a list"))?;
        let mut next = vec![];
        for experiment in &experiments {
            for value in values {
                next.extend(with(experiment, name, value));
            }
        }
        if next.len() > MOST {
            return Err(wrong("the study has more than 1000 experiments"));
        }
        experiments = next;
    }
    for own in listed.as_ref().and_then(Value::as_array).into_iter().flatten() {
        let mut experiment = of_today(&fixed);
        for (path, value) in own.as_object().into_iter().flatten() {
            set(&mut experiment, &place(path), value.clone());
        }
        experiments.push(experiment);
    }
    Ok(experiments)
}

/// The experiment with a value of an axis, or with the settings of a group's entry. A list within an entry is an axis
/// of its own.
fn with(experiment: &Value, name: &str, value: &Value) -> Vec<Value> {
    let mut variants = vec![of_today(experiment)];
    let pairs: Vec<(String, Value)> = match value {
        Value::Object(entry) => {
            entry.iter().map(|(path, value)| (path.clone(), value.clone())).collect()
        }
        value => vec![(name.to_owned(), value.clone())],
    };
    for (path, value) in pairs {
        let values = match value {
            Value::Array(values) if name != path => values,
            value => vec![value],
        };
        let set_all = |variant: &Value| -> Vec<Value> {
            values
                .iter()
                .map(|value| {
                    let mut variant = variant.clone();
                    set(&mut variant, &place(&path), value.clone());
                    variant
                })
                .collect()
        };
        variants = variants.iter().flat_map(set_all).collect();
    }
    variants
}
