//! llama.cpp's llama-bench.

use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::{Given, boolean},
    option::{Kind::*, OptionRow, none, parameter, read},
    tool::Invocation,
};

pub(super) const TOOL: Tool = Tool {
    name: "llama-bench",
    spellings: &["llama-bench"],
    script: "llama-bench",
    tables: &[TABLE],
    sets: &[],
    source: "tools/llama-bench/llama-bench.cpp at 0104b151c56d, README.md at 5a32f10adf76 of llama.cpp",
    migrate,
};

const ONE_SIZE: &str = "a pass has one size in llem: -ub, which becomes -p ubatch-size";
const CPU: &str = "llem's own threads: only their number can be set";
const WHOLE: &str = "a model is on one device, or split with --tp or --pp";
const FILES: &str = "llama_bench.json and llama_bench.md are always written";

const TABLE: &[OptionRow] = &[
    read("-m --model", Text, &["--model"]),
    read("-p --n-prompt", Text, &["n-prompt"]).same("512"),
    read("-n --n-gen", Text, &["n-gen"]).same("128"),
    read("-pg", Text, &["pg"]).same(""),
    read("-d --n-depth", Text, &["n-depth"]).same("0"),
    parameter("-r --repetitions", Integer, "repetitions").same("5"),
    parameter("--delay", Integer, "delay").same("0"),
    parameter("--no-warmup", Flag, "no-warmup").same("false"),
    read("-ub --ubatch-size", Text, &["ubatch-size"]).same("512"),
    read("-t --threads", Text, &["threads"]),
    read("-ctk --cache-type-k", Text, &["cache-type"]),
    read("-ctv --cache-type-v", Text, &["cache-type"]),
    read("-ngl --n-gpu-layers", Text, &["--device"]),
    read("-mg --main-gpu", Text, &["--device"]),
    read("-dev --device", Text, &["--device"]),
    none("-b --batch-size", Text, ONE_SIZE),
    none("-C --cpu-mask", Text, CPU),
    none("--cpu-strict --poll --prio", Text, CPU),
    none("--numa", OneOf(&["distribute", "isolate", "numactl"]), CPU),
    none("-fa --flash-attn", Text, "there is one attention"),
    none("-mmp --mmap -dio --direct-io -lm --load-mode", Text, "files are always mapped"),
    none("-ncmoe --n-cpu-moe -ot --override-tensors --override-tensor", Text, WHOLE),
    none("-sm --split-mode -ts --tensor-split", Text, WHOLE),
    none("-nkvo --no-kv-offload -nopo --no-op-offload --no-host", Text, WHOLE),
    none("-fitt --fit-target -fitc --fit-ctx", Text, "memory is reserved for each test"),
    none(
        "-rpc --rpc",
        Text,
        "there are no remote devices; several processes form a run with --tp or --pp",
    ),
    none("-embd --embeddings", Text, "llem generates and scores; it gives no embeddings"),
    none("-hf -hfr --hf-repo -hff --hf-file -hft --hf-token", Text, "give the GGUF file with -m"),
    none("-o --output -oe --output-err", Text, FILES),
    none("-v --verbose --progress", Flag, "progress is always shown"),
    none("--list-devices", Flag, "use llem doctor"),
];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let given = arguments::parse(TOOL.name, TOOL.tables, &invocation.words)?;
    given.without_words()?;
    let mut draft = Draft::new(TOOL.script, &given);
    for (option, name) in [("-p", "n-prompt"), ("-n", "n-gen"), ("-d", "n-depth")] {
        if given.has(option) {
            numbers(&given, option)?;
            draft.parameter(name, given.texts(option).join(","));
        }
    }
    if given.has("-pg") {
        draft.parameter("pg", given.texts("-pg").join(";"));
    }
    cache_type(&given, &mut draft);
    device(&given, &mut draft)?;
    draft.note_device();
    let models = if given.has("-m") { lists(&given, "-m") } else { vec![] };
    if models.is_empty() {
        draft.note("no model is given: add --model FILE.gguf; llem's own is synthetic:tiny");
    }
    // llama-bench runs all combinations in one call; a run of llem has one model, loaded in one way.
    let mut commands = vec![draft.command.clone()];
    commands = each(&commands, &models, |command, model| {
        command.set_option("--model", Some(model.to_owned()));
    });
    for (option, name) in [("-t", "threads"), ("-ub", "ubatch-size")] {
        let values: Vec<String> =
            numbers(&given, option)?.iter().map(ToString::to_string).collect();
        commands = each(&commands, &values, |command, value| {
            command.set_parameter(name, value.to_owned());
        });
    }
    if commands.len() > 1 {
        draft.note("a run of llem has one model, one number of threads and one size of a pass: several commands");
    }
    Ok(Migration { commands, ..draft.into_migration() })
}

/// Each command with each value, or the commands as they are if there is no value.
fn each<C: Clone>(commands: &[C], values: &[String], set: impl Fn(&mut C, &str)) -> Vec<C> {
    if values.is_empty() {
        return commands.to_vec();
    }
    let with = |command: &C, value: &String| {
        let mut command = command.clone();
        set(&mut command, value);
        command
    };
    values
        .iter()
        .flat_map(|value| commands.iter().map(move |command| with(command, value)))
        .collect()
}

/// The values of all times that an option was given, each split at its commas.
fn lists(given: &Given, option: &str) -> Vec<String> {
    given.texts(option).iter().flat_map(|text| text.split(',')).map(str::to_owned).collect()
}

/// The numbers of lists and ranges: `1,2`, `8-16`, `8-32+8`, `8-32*2`.
fn numbers(given: &Given, option: &str) -> Result<Vec<u64>, Error> {
    let mut numbers = vec![];
    for part in lists(given, option) {
        let range = range(&part);
        numbers.extend(range.ok_or_else(|| {
            given.wrong(option, &part, "numbers and ranges such as 128-1024*2, separated by commas")
        })?);
    }
    Ok(numbers)
}

/// The numbers of `8`, `8-16`, `8-32+8` or `8-32*2`.
fn range(text: &str) -> Option<Vec<u64>> {
    /// More values than this are no benchmark.
    const MOST: usize = 1000;
    let Some((first, rest)) = text.split_once('-') else { return Some(vec![text.parse().ok()?]) };
    let (last, step, factor) = match (rest.split_once('+'), rest.split_once('*')) {
        (Some((last, step)), _) => (last, step.parse().ok()?, 1),
        (None, Some((last, factor))) => (last, 0, factor.parse().ok()?),
        (None, None) => (rest, 1, 1),
    };
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    let next = |value: &u64| {
        let next = value.checked_mul(factor)?.checked_add(step)?;
        (next > *value && next <= last).then_some(next)
    };
    Some(std::iter::successors(Some(first), next).take(MOST).collect())
}

fn cache_type(given: &Given, draft: &mut Draft) {
    let of = |option| given.text(option).unwrap_or("f16");
    let (keys, values) = (of("-ctk"), of("-ctv"));
    let known = ["f32", "f16", "bf16"];
    let kept = if known.contains(&keys) { keys } else { "f16" };
    draft.parameter("cache-type", kept);
    for option in [given.option("-ctk"), given.option("-ctv")].into_iter().flatten() {
        if option.values.iter().any(|value| !known.contains(&value.as_str())) {
            draft.untranslated(
                &option.shown,
                "cached keys and values are f32, bf16 or f16, one format for both",
            );
        }
    }
    if keys != values {
        draft.note(format!("keys and values have one format in llem: {kept}"));
    }
}

fn device(given: &Given, draft: &mut Draft) -> Result<(), Error> {
    let main = match given.text("-mg") {
        None => 0,
        Some(text) => {
            text.parse::<u32>().map_err(|_| given.wrong("-mg", text, "the number of a GPU"))?
        }
    };
    if let Some(option) = given.option("-dev") {
        match option.values.last().map(String::as_str) {
            Some("none") => draft.exec("--device", "cpu"),
            Some("auto") => {}
            Some(name) if name.strip_prefix("CUDA").is_some_and(|n| n.parse::<u32>().is_ok()) => {
                draft.exec("--device", name.replace("CUDA", "cuda:"));
            }
            _ => draft
                .untranslated(&option.shown, "llem computes on cpu and cuda:N, one of them here"),
        }
    } else if let Some(option) = given.option("-ngl") {
        match option.values.last().map(String::as_str) {
            Some("0") => draft.exec("--device", "cpu"),
            Some("-1" | "99" | "999" | "auto" | "all") => {
                draft.exec("--device", format!("cuda:{main}"))
            }
            _ => draft.untranslated(
                &option.shown,
                "all layers are on one device: 0 is --device cpu, 99 is --device cuda:0",
            ),
        }
    } else if given.has("-mg") {
        draft.exec("--device", format!("cuda:{main}"));
    }
    if given
        .option("-fa")
        .is_some_and(|option| option.values.iter().any(|v| boolean(v).is_none() && v != "auto"))
    {
        return Err(given.wrong("-fa", &given.texts("-fa").join(","), "0, 1 or auto"));
    }
    Ok(())
}
