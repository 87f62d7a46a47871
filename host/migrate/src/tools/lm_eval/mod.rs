//! EleutherAI's lm-evaluation-harness: `lm_eval`, `lm-eval run`.

mod task;

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::{Given, GivenOption},
    option::{Kind::*, OptionRow, none, parameter, read},
    pairs, settings,
    tool::Invocation,
    yaml,
};
use serde_json::Value;
use std::path::Path;

pub(super) const TOOL: Tool = Tool {
    name: "lm-eval",
    spellings: &["lm_eval", "lm-eval", "lm_eval.__main__"],
    script: "lm-eval",
    tables: &[TABLE, MODEL_ARGS, task::TABLE],
    sets: &["task"],
    source: "lm_eval/_cli/run.py, models/huggingface.py, config/task.py at 4e7e0d47f33b",
    migrate,
};

const COMMAND: &[&[OptionRow]] = &[TABLE];

const LOGS: &str = "results are artifacts in the folder of the run: --out";
const CHAT: &str = "prompts are without a chat template in the script";

const TABLE: &[OptionRow] = &[
    read("--config -C", Text, &[]),
    read("--model -M", Text, &[]),
    read("--model_args -a", Words, &["--model"]),
    read("--tasks -t", Words, &["task", "dataset:items"]),
    parameter("--num_fewshot -f", Integer, "num-fewshot").same("0"),
    read("--batch_size -b", Text, &["batch-size"]),
    read("--device", Text, &["--device"]),
    read("--limit -L", Number, &["limit"]),
    read("--seed", Text, &["fewshot-seed"]).same("1234"),
    parameter("--log_samples -s", Flag, "log-samples").same("false"),
    read("--include_path", Text, &[]),
    none("--max_batch_size", Integer, "there is no search for a batch size: --batch_size"),
    none("--apply_chat_template", OptionalText, CHAT),
    none("--fewshot_as_multiturn", OptionalText, CHAT),
    none("--system_instruction", Text, CHAT),
    none(
        "--gen_kwargs",
        Words,
        "the script has the tasks of log-likelihoods; generated text is not scored",
    ),
    none("--use_cache -c", Text, "a run is measured, never read from a cache"),
    none("--cache_requests", OptionalText, "requests are made anew, before the time is measured"),
    none("--output_path -o", Text, LOGS),
    none("--samples -E", Text, "leave other rows out of the file"),
    none(
        "--check_integrity --write_out -w --show_config",
        Flag,
        "the record has requests and parameters: --keep-prompts",
    ),
    none("--predict_only -x", Flag, "scores are always made metrics"),
    none("--verbosity -v", Text, "progress is always shown"),
    none(
        "--wandb_args --wandb_config_args --trackio_args --hf_hub_log_args",
        Words,
        "llem export writes runs in the format of W&B and MLflow",
    ),
    none(
        "--trust_remote_code --confirm_run_unsafe_code",
        Flag,
        "llem runs no code of a model or task",
    ),
    none("--metadata", Text, "the script's tasks need no metadata"),
];

const LOADING: &str = "the model's files decide; split it with --tp and --pp";

/// The pairs of `--model_args` for `--model hf`.
const MODEL_ARGS: &[OptionRow] = &[
    read("pretrained", Text, &["--model"]),
    read("revision", Text, &["--model"]),
    read("dtype", Text, &["--dtype"]),
    read("device", Text, &["--device"]),
    read("peft", Text, &["--adapter"]),
    parameter("max_length max_model_len", Integer, "max-length"),
    parameter("add_bos_token", Flag, "add-bos-token"),
    parameter("prefix_token_id", Integer, "prefix-token-id"),
    read("batch_size", Text, &["batch-size"]),
    read("tensor_parallel_size", Integer, &["--tp"]),
    read("data_parallel_size", Integer, &["--dp"]),
    none(
        "tokenizer use_fast_tokenizer subfolder gguf_file backend",
        Text,
        "the model's own files decide: --model FOLDER or FILE.gguf",
    ),
    none("trust_remote_code", Flag, "llem runs no code of a model"),
    none(
        "softmax_dtype mixed_precision_dtype",
        Text,
        "log-likelihoods are sums in f64 over the model's logits",
    ),
    none("delta", Text, "merge the weights into a folder first"),
    none(
        "truncation logits_cache max_batch_size",
        Text,
        "the script has one way to batch requests",
    ),
    none(
        "parallelize device_map tp_plan max_memory_per_gpu max_cpu_memory offload_folder",
        Text,
        LOADING,
    ),
    none(
        "autogptq gptqmodel load_in_8bit load_in_4bit bnb_4bit_quant_type bnb_4bit_compute_dtype",
        Text,
        LOADING,
    ),
    none("gpu_memory_utilization attn_implementation", Text, LOADING),
    none("think_end_token enable_thinking chat_template_args", Text, CHAT),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let words = match invocation.words.split_first() {
        Some((first, rest)) if first == "run" => rest,
        Some((first, _)) if first == "ls" || first == "validate" => {
            let why = "llem has no registry of tasks";
            return Err(Error::NotExpressible { tool: TOOL.name, what: first.clone(), why });
        }
        _ => &invocation.words[..],
    };
    let mut given = arguments::parse(TOOL.name, COMMAND, words)?;
    given.without_words()?;
    if let Some(path) = given.text("--config") {
        let tree = yaml::read(Path::new(path))?;
        add_config(&mut given, &tree)?;
    }
    let mut draft = Draft::new(TOOL.script, &given);
    let backend = given.text("--model").unwrap_or("hf");
    if !["hf", "hf-auto", "huggingface", "vllm", "sglang"].contains(&backend) {
        let what = format!("--model {backend}");
        let why = "llem runs models itself: --model hf";
        return Err(Error::NotExpressible { tool: TOOL.name, what, why });
    }
    if backend != "hf" {
        draft.note(format!("--model {backend}: llem's own engine computes the log-likelihoods"));
    }
    model(&given, &mut draft)?;
    if let Some(option) = given.option("--device") {
        draft.device(option.values.last().map_or("", String::as_str), &option.shown);
    }
    limit(&given, &mut draft)?;
    draft.note_device();
    tasks(&given, draft)
}

/// The settings of a file, as options that come before those of the command line.
fn add_config(given: &mut Given, tree: &Value) -> Result<(), Error> {
    let from_command: Vec<GivenOption> = given.options.drain(..).collect();
    for (key, value) in tree.as_object().into_iter().flatten() {
        let name = format!("--{key}");
        let row = given.rows().find(|row| row.is_called(&name)).ok_or_else(|| {
            Error::UnknownOption { tool: TOOL.name, option: key.clone(), instead: None }
        })?;
        let values = match value {
            Value::Null => continue,
            Value::Object(map) => {
                map.iter().map(|(key, value)| format!("{key}={}", settings::text(value))).collect()
            }
            Value::Array(list) => list.iter().map(settings::text).collect(),
            value => vec![settings::text(value)],
        };
        let values: Vec<String> = match key.as_str() {
            "seed" => vec![values.join(",")],
            _ => values,
        };
        let shown = format!("{key}: {}", values.join(","));
        given.push(GivenOption { row, name, shown, values })?;
    }
    for option in from_command {
        given.push(option)?;
    }
    Ok(())
}

fn model(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    let mut args = Given::new(TOOL.name, &[MODEL_ARGS]);
    for text in given.texts("--model_args") {
        let wrong = |part: String| {
            given.wrong("--model_args", &part, "pairs such as pretrained=gpt2,dtype=float32")
        };
        for (key, value) in pairs::parse(text).map_err(wrong)? {
            let Some(row) = args.rows().find(|row| row.is_called(&key)) else {
                // The harness hands what it does not know on to transformers.
                let shown = format!("--model_args {key}={value}");
                draft.untranslated(&shown, "an argument of transformers");
                continue;
            };
            let shown = format!("--model_args {key}={value}");
            args.push(GivenOption { row, name: key, shown, values: vec![value] })?;
        }
    }
    draft.add(&args);
    let pretrained = args.text("pretrained");
    let pretrained = pretrained
        .ok_or(Error::Missing { tool: TOOL.name, option: "--model_args pretrained=MODEL" })?;
    draft.model(pretrained, args.text("revision"));
    if let Some(adapter) = args.text("peft") {
        draft.adapter(adapter);
    }
    for (key, set) in
        [("dtype", Draft::dtype as fn(&mut Draft, &str, &str)), ("device", Draft::device)]
    {
        if let Some(option) = args.option(key) {
            set(draft, option.values.last().map_or("", String::as_str), &option.shown);
        }
    }
    for (key, option) in [("tensor_parallel_size", "--tp"), ("data_parallel_size", "--dp")] {
        if let Some(count) = args.text(key) {
            draft.exec(option, count);
        }
    }
    // A batch of the harness is what fits into memory; llem's is what the model is given at once.
    match given.text("--batch_size").or(args.text("batch_size")) {
        Some(size) if size.parse::<u32>().is_ok() => draft.parameter("batch-size", size),
        Some(size) if size.starts_with("auto") => {
            draft.untranslated(
                &format!("--batch_size {size}"),
                "there is no search for a batch size: -p batch-size=N",
            );
        }
        Some(size) => return Err(given.wrong("--batch_size", size, "a number, auto or auto:N")),
        None => draft.parameter("batch-size", 1),
    }
    Ok(())
}

fn limit(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    if let (Some(limit), Some(option)) = (given.number("--limit"), given.option("--limit")) {
        match limit >= 1.0 {
            true => draft.parameter("limit", limit as u64),
            false => {
                draft.untranslated(&option.shown, "a limit is a number of documents: -p limit=N")
            }
        }
    }
    if let Some(seeds) = given.text("--seed") {
        let seeds: Vec<&str> = seeds.split(',').map(str::trim).collect();
        let is_seed = |seed: &&str| *seed == "None" || seed.parse::<i64>().is_ok();
        if !seeds.iter().all(is_seed) || ![1, 3, 4].contains(&seeds.len()) {
            return Err(given.wrong(
                "--seed",
                &seeds.join(","),
                "a number, or four: python, numpy, torch, few-shot",
            ));
        }
        let fewshot = if seeds.len() == 1 { seeds.first() } else { seeds.get(3) };
        if let Some(seed) = fewshot.filter(|seed| **seed != "None") {
            draft.parameter("fewshot-seed", seed);
        }
    }
    Ok(())
}

/// A command for each task, because a run of the script has one.
fn tasks(given: &Given, draft: Draft) -> Result<Migration, Error> {
    let names = given.texts("--tasks").into_iter().flat_map(|text| text.split(','));
    let names: Vec<&str> = names.map(str::trim).filter(|name| !name.is_empty()).collect();
    if names.is_empty() {
        return Err(Error::Missing { tool: TOOL.name, option: "--tasks" });
    }
    let (mut commands, mut notes) = (vec![], vec![]);
    for name in names {
        let mut draft = draft.clone();
        task::apply(name, given.text("--include_path"), given.has("--num_fewshot"), &mut draft)?;
        let migration = draft.into_migration();
        commands.extend(migration.commands);
        for note in migration.notes {
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
    }
    Ok(Migration { commands, notes })
}
