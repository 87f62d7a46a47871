//! AIEnergyScore: `run_docker.sh`, `docker run ... ai_energy_score`, both with Hydra's words.

use crate::{
    Error, Migration, Tool,
    draft::Draft,
    given::Given,
    hydra,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
    yaml,
};

pub(super) const TOOL: Tool = Tool {
    name: "ai-energy-score",
    spellings: &[
        "ai-energy-score",
        "ai_energy_score",
        "AIEnergyScore",
        "run_docker.sh",
        "run_non_docker.sh",
        "run_ai_energy_benchmark.py",
        "docker run",
    ],
    script: "ai-energy-score",
    tables: &[SETTINGS, hydra::SETTINGS],
    sets: &["protocol", "runs"],
    source: "run_docker.sh, entrypoint.sh, run_ai_energy_benchmark.py, text_generation.yaml at a5b9a048ecd4",
    migrate,
};

const CONTAINER: &str = "llem runs without a container";

/// Options of `run_docker.sh` and of `docker run`, beside Hydra's.
const OPTIONS: &[OptionRow] = &[
    read("-n --num-samples", Integer, &["num-samples"]),
    none(
        "--gpus --shm-size --user -u --volume -v --name --network --ipc --entrypoint --runtime",
        Text,
        CONTAINER,
    ),
    read("-e --env", Text, &["protocol"]),
    none("--rm -it -i -t --init --privileged", Flag, CONTAINER),
];
const OPTION_TABLES: &[&[OptionRow]] = &[OPTIONS, hydra::OPTIONS];

const BACKEND: &str = "llem's own engine runs the model";

const SETTINGS: &[OptionRow] = &[
    read("backend.model", Text, &["--model"]),
    read("backend.torch_dtype", Text, &["--dtype"]),
    read("backend.device", Text, &["--device"]),
    read("backend.device_ids", Words, &["--device"]),
    read("backend.name", Text, &[]),
    read("backend.task", Text, &[]),
    read("scenario.name", Text, &[]),
    read("scenario.num_samples", Integer, &["num-samples"]),
    parameter("scenario.input_shapes.batch_size", Integer, "batch-size").same("1"),
    parameter("scenario.text_column_name", Text, "prompt-column").same("text"),
    read("scenario.dataset_name", Text, &["dataset:prompts"]),
    read("scenario.generate_kwargs.max_new_tokens", Integer, &["max-new-tokens"]),
    read("scenario.generate_kwargs.min_new_tokens", Integer, &[]),
    parameter("scenario.warmup_runs", Integer, "warmup-runs"),
    read("scenario.reasoning", Flag, &["chat-arguments"]),
    read("scenario.reasoning_params.*", Words, &["chat-arguments"]),
    read("scenario.enable_thinking", Flag, &["chat-arguments"]),
    none(
        "scenario.truncation scenario.iterations scenario.duration scenario.energy scenario.latency \
                scenario.memory scenario.*",
        Text,
        "the protocol has one way: the script's README",
    ),
    none(
        "backend.no_weights backend.device_map backend.attn_implementation backend.*",
        Text,
        BACKEND,
    ),
    none(
        "launcher.* name log_report print_report",
        Words,
        "llem measures in one process, and its record has the results",
    ),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    // The image's name stands between docker's options and the tool's words.
    let is_image =
        |word: &String| word.contains("ai_energy_score") || word.contains("ai-energy-score");
    let words: Vec<String> = invocation
        .words
        .iter()
        .filter(|word| !is_image(word) || word.contains('='))
        .cloned()
        .collect();
    let read = hydra::read_command(TOOL.name, OPTION_TABLES, TOOL.tables, &words)?;
    let given = &read.settings;
    let mut draft = Draft::new(TOOL.script, given);
    for option in &read.options.options {
        if let crate::option::Target::Nothing(why) = option.row.target {
            draft.untranslated(&option.shown, why);
        }
    }
    if let Some(name) = read.options.text("--config-name").filter(|name| *name != "text_generation")
    {
        let what = format!("--config-name {name}");
        return Err(Error::NotExpressible {
            tool: TOOL.name,
            what,
            why: "the script has the task text_generation",
        });
    }
    let variables = read.options.texts("-e").into_iter().filter_map(|pair| pair.split_once('='));
    let of_docker =
        variables.rev().find(|(name, _)| *name == "BENCHMARK_BACKEND").map(|(_, value)| value);
    let backend = of_docker.or(invocation.variable("BENCHMARK_BACKEND")).unwrap_or("pytorch");
    let is_v1 = match backend {
        "optimum" => true,
        "pytorch" | "vllm" => false,
        other => return Err(given.wrong("BENCHMARK_BACKEND", other, "optimum, pytorch or vllm")),
    };
    draft.parameter("protocol", if is_v1 { "v1" } else { "v2" });
    draft.parameter("runs", 1);
    let text = |path: &str| {
        Ok::<_, Error>(hydra::last(given, path)?.and_then(|option| option.values.last()))
    };
    let model = text("backend.model")?
        .ok_or(Error::Missing { tool: TOOL.name, option: "backend.model=MODEL" })?;
    draft.model(model, None);
    match given.option("backend.torch_dtype") {
        Some(option) => draft.dtype(option.values.last().map_or("", String::as_str), &option.shown),
        None => draft.exec("--dtype", "bf16"),
    }
    let first = given.texts("backend.device_ids").join(",");
    let first = first
        .split(',')
        .next()
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .unwrap_or("0")
        .to_owned();
    match text("backend.device")?.map(String::as_str) {
        Some("cpu") => draft.exec("--device", "cpu"),
        _ => draft.exec("--device", format!("cuda:{first}")),
    }
    let samples = read.options.text("-n").or(given.text("scenario.num_samples")).unwrap_or("10");
    draft.parameter("num-samples", samples);
    if let Some(tokens) = given.text("scenario.generate_kwargs.max_new_tokens") {
        draft.parameter("max-new-tokens", tokens);
    }
    reasoning(given, &mut draft);
    draft.dataset("prompts", "text_generation.jsonl");
    let set = given.text("scenario.dataset_name").unwrap_or("EnergyStarAI/text_generation");
    draft.note(format!(
        "llem reads prompts from a file; in Python: datasets.load_dataset('{set}', \
                split='train').to_json('text_generation.jsonl')"
    ));
    draft.note("a score is of an H100 80 GB, GPU energy only, the mean of ten runs: -p runs=10");
    Ok(draft.into_migration())
}

/// What a model's chat template is told. With it, the script takes 8192 new tokens, as the tool does.
fn reasoning(given: &Given, draft: &mut Draft) {
    let mut arguments = serde_json::Map::new();
    for option in
        given.options.iter().filter(|option| option.name.starts_with("scenario.reasoning_params."))
    {
        let key = option.name.rsplit('.').next().unwrap_or_default();
        let value = yaml::parse(&option.values.join(",")).unwrap_or_default();
        arguments.insert(key.to_owned(), value);
    }
    if given.has("scenario.enable_thinking")
        || (given.has("scenario.reasoning") && arguments.is_empty())
    {
        let thinks = given.flag("scenario.enable_thinking") || given.flag("scenario.reasoning");
        arguments.insert("enable_thinking".to_owned(), thinks.into());
    }
    if !arguments.is_empty() {
        draft.parameter("chat-arguments", serde_json::Value::from(arguments));
    }
}
