//! Hugging Face's optimum-benchmark: the scenario `inference` for text generation.

use crate::{
    Error, Migration, Tool,
    draft::Draft,
    hydra,
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "optimum-benchmark",
    spellings: &["optimum-benchmark"],
    script: "optimum-benchmark",
    tables: &[BACKEND, SCENARIO, BENCHMARK, hydra::SETTINGS],
    sets: &[],
    source: "backends/*/config.py, scenarios/inference/config.py, benchmark/config.py at b263af468a9e",
    migrate,
};

const OPTIONS: &[&[OptionRow]] = &[hydra::OPTIONS];

const FILES: &str = "the model's files decide";
const OTHER: &str = "an option of another engine";

const BACKEND: &[OptionRow] = &[
    read("backend.name", Text, &["per-token"]),
    read("backend.model", Text, &["--model"]),
    read("backend.model_kwargs.revision", Text, &["--model"]),
    read("backend.torch_dtype", Text, &["--dtype"]),
    read("backend.dtype", Text, &["--dtype"]),
    read("backend.device", Text, &["--device"]),
    read("backend.device_ids", Words, &["--device"]),
    parameter_seed(),
    read("backend.task", Text, &[]),
    read("backend.no_weights", Flag, &[]),
    read("backend.peft_config.base_model_name_or_path", Text, &[]),
    none(
        "backend.intra_op_num_threads backend.inter_op_num_threads",
        Text,
        "the script leaves the number of threads to llem",
    ),
    none("backend.device_map backend.tp_plan", Text, "split a model with --tp or --pp"),
    none(
        "backend.attn_implementation backend.cache_implementation",
        Text,
        "there is one attention and one cache",
    ),
    none(
        "backend.torch_compile backend.torch_compile_target backend.torch_compile_config.* \
         backend.to_bettertransformer backend.allow_tf32 backend.autocast_enabled backend.autocast_dtype",
        Text,
        "an option of PyTorch",
    ),
    none("backend.eval_mode backend.low_cpu_mem_usage", Text, "llem always does so"),
    none("backend.quantization_scheme backend.quantization_config.*", Text, FILES),
    none("backend.deepspeed_inference backend.deepspeed_inference_config.*", Text, OTHER),
    none(
        "backend.peft_type backend.peft_config.*",
        Text,
        "an adapter with trained weights: --adapter FOLDER",
    ),
    none("backend.model_kwargs.* backend.processor_kwargs.* backend.processor", Text, FILES),
    none("backend.library backend.model_type backend.version backend._target_", Text, FILES),
    none(
        "backend.export backend.use_cache backend.use_merged backend.provider backend.ort_config.*",
        Text,
        OTHER,
    ),
    none("backend.*", Text, OTHER),
];

const fn parameter_seed() -> OptionRow {
    crate::option::exec("backend.seed", Integer, "--seed").set("42")
}

const SCENARIO: &[OptionRow] = &[
    read("scenario.name", Text, &[]),
    parameter("scenario.input_shapes.batch_size", Integer, "batch-size").same("2"),
    read("scenario.input_shapes.sequence_length", Integer, &["sequence-length"]),
    read("scenario.generate_kwargs.max_new_tokens", Integer, &["max-new-tokens"]).same("100"),
    read("scenario.generate_kwargs.min_new_tokens", Integer, &["max-new-tokens"]).same("100"),
    read("scenario.new_tokens", Integer, &["max-new-tokens"]),
    parameter("scenario.warmup_runs", Integer, "warmup-runs").same("10"),
    parameter("scenario.iterations", Integer, "iterations").same("10"),
    parameter("scenario.duration", Number, "duration").same("10"),
    parameter("scenario.latency", Flag, "latency").same("true"),
    parameter("scenario.memory", Flag, "memory").same("false"),
    parameter("scenario.energy", Flag, "energy").same("false"),
    read("scenario.generate_kwargs.num_beams", Integer, &[]),
    read("scenario.generate_kwargs.do_sample", Flag, &[]),
    read("scenario.generate_kwargs.num_return_sequences", Integer, &[]),
    read("scenario.generate_kwargs.use_cache", Flag, &[]),
    none(
        "scenario.generate_kwargs.*",
        Text,
        "the script is greedy, and the tokens that end a sequence are never chosen",
    ),
    none("scenario.input_shapes.*", Text, "a prompt of text has a batch size and a length"),
    none(
        "scenario.forward_kwargs.* scenario.call_kwargs.*",
        Text,
        "they are for other tasks than text generation",
    ),
    none("scenario._target_", Text, "the script is one scenario"),
];

const BENCHMARK: &[OptionRow] = &[
    read("launcher.name", Text, &[]),
    none("name experiment_name", Text, "the record has llem's own name: --out"),
    none("log_report print_report", Flag, "results are always printed and written"),
    none(
        "launcher.*",
        Text,
        "llem measures in one process; several form a run with --tp, --pp or --dp",
    ),
    none("environment.*", Text, "the record has the environment"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let read = hydra::read_command(TOOL.name, OPTIONS, TOOL.tables, &invocation.words)?;
    let given = &read.settings;
    let mut draft = Draft::new(TOOL.script, given);
    if let Some(file) = &read.file
        && !read.has_settings
    {
        // Hydra would search its own folders, which only the tool knows.
        return Err(Error::Io { path: file.clone(), cause: std::io::ErrorKind::NotFound.into() });
    }
    for option in &read.options.options {
        if let crate::option::Target::Nothing(why) = option.row.target {
            draft.untranslated(&option.shown, why);
        }
    }
    let text = |path: &str| {
        Ok::<_, Error>(hydra::last(given, path)?.and_then(|option| option.values.last()))
    };
    if let Some(name) = text("scenario.name")?.filter(|name| *name != "inference") {
        let what = format!("scenario: {name}");
        let why = match name.as_str() {
            "energy_star" => "that is AIEnergyScore's: llem migrate ai-energy-score",
            _ => "the script is the scenario inference",
        };
        return Err(Error::NotExpressible { tool: TOOL.name, what, why });
    }
    if let Some(task) = text("backend.task")?.filter(|task| *task != "text-generation") {
        let what = format!("backend.task={task}");
        let why = "llem runs text generation";
        return Err(Error::NotExpressible { tool: TOOL.name, what, why });
    }
    let model = text("backend.model")?
        .ok_or(Error::Missing { tool: TOOL.name, option: "backend.model" })?;
    draft.model(model, text("backend.model_kwargs.revision")?.map(String::as_str));
    for path in ["backend.torch_dtype", "backend.dtype"] {
        if let Some(option) = hydra::last(given, path)? {
            draft.dtype(option.values.last().map_or("", String::as_str), &option.shown);
        }
    }
    device(given, &mut draft)?;
    lengths(given, &mut draft)?;
    if let Some(name) = text("backend.name")?
        && !["pytorch", "onnxruntime", "openvino", "neural-compressor", "ipex"]
            .contains(&name.as_str())
    {
        // These backends do not tell the times of tokens, so the tool runs a series of prefill runs besides.
        draft.parameter("per-token", false);
    }
    for (path, least) in [
        ("scenario.generate_kwargs.num_beams", 1.0),
        ("scenario.generate_kwargs.num_return_sequences", 1.0),
    ] {
        if let Some(option) = given.option(path).filter(|_| given.number(path) > Some(least)) {
            draft.untranslated(
                &option.shown,
                "llem generates one sequence for a prompt, without beams",
            );
        }
    }
    if let Some(option) = given
        .option("scenario.generate_kwargs.do_sample")
        .filter(|_| given.flag("scenario.generate_kwargs.do_sample"))
    {
        draft.untranslated(&option.shown, "the script is greedy");
    }
    if given.flag("backend.no_weights") {
        draft.note("backend.no_weights=True: random weights of the same shape are --model synthetic:FOLDER, \
                with the folder's config.json");
    }
    draft.note("energy here is read from counters, without CodeCarbon's constants: compare with source in mind");
    Ok(draft.into_migration())
}

fn device(given: &crate::given::Given, draft: &mut Draft) -> Result<(), Error> {
    let ids = given.texts("backend.device_ids").join(",");
    let mut ids = ids.split(',').map(str::trim).filter(|id| !id.is_empty());
    let (first, more) = (ids.next(), ids.next().is_some());
    match hydra::last(given, "backend.device")? {
        Some(option) => {
            let name = option.values.last().map_or("", String::as_str);
            match (name, first) {
                ("cuda", Some(first)) => draft.device(&format!("cuda:{first}"), &option.shown),
                _ => draft.device(name, &option.shown),
            }
        }
        None => draft.note_device(),
    }
    if let Some(option) = given.option("backend.device_ids").filter(|_| more) {
        draft.untranslated(&option.shown, "split the model over devices with --tp or --pp");
    }
    Ok(())
}

/// The lengths of prompts and outputs.
fn lengths(given: &crate::given::Given, draft: &mut Draft) -> Result<(), Error> {
    let number = |path: &str| given.text(path);
    match number("scenario.input_shapes.sequence_length") {
        Some(length) => draft.parameter("sequence-length", length),
        None => draft.note("scenario.input_shapes.sequence_length is not set: the script takes 16"),
    }
    let (max, min) = (
        number("scenario.generate_kwargs.max_new_tokens"),
        number("scenario.generate_kwargs.min_new_tokens"),
    );
    if let (Some(max), Some(min)) = (max, min)
        && max != min
    {
        let sentence = format!(
            "max_new_tokens is {max} and min_new_tokens is {min}: the tool wants both to be equal"
        );
        return Err(Error::Conflict { tool: TOOL.name, sentence });
    }
    if let Some(tokens) = max.or(min).or_else(|| number("scenario.new_tokens")) {
        draft.parameter("max-new-tokens", tokens);
    }
    Ok(())
}
