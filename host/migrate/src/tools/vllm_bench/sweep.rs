//! `vllm bench sweep serve` and `sweep serve_workload`, which call `vllm serve` and `vllm bench serve`.

use super::{
    SCRIPT,
    engine::{self, ENGINE},
    serve::{self, SERVE},
};
use crate::{
    Error, Migration, Tool, arguments,
    draft::Draft,
    given::Given,
    option::{Kind::*, OptionRow, none, read},
    settings::text,
    tool::Invocation,
    yaml,
};
use serde_json::Value;
use std::path::Path;

pub(in crate::tools) const SWEEP: Tool = Tool {
    name: "vllm bench sweep",
    spellings: &["vllm bench sweep", "vllm.entrypoints.cli.main bench sweep"],
    script: SCRIPT,
    tables: &[TABLE],
    sets: &["mode"],
    source: "vllm/benchmarks/sweep/serve.py at 0031557f20f5, sweep/serve_workload.py at 24d6ea8afdb1",
    migrate,
};

const SERVER: &str = "llem runs the model itself: there is no server";
const RUNS: &str = "each run has a folder of its own: --out";

const TABLE: &[OptionRow] = &[
    read("--serve-cmd", Text, &["--model"]),
    read("--bench-cmd", Text, &["--model"]),
    read("--serve-params", Text, &["max-num-seqs"]),
    read("--bench-params", Text, &["max-concurrency"]),
    read("--workload-var", OneOf(&["request_rate", "max_concurrency"]), &["workload-var"])
        .same("request_rate"),
    read("--workload-iters", Integer, &["workload-iters"]).same("10"),
    read("--num-runs", Integer, &["num-runs"]).same("3"),
    read("--warmup-num-prompts", Integer, &["warmup-num-prompts"]).same("0"),
    none(
        "--after-bench-cmd --link-vars --sla-params --sla-variable",
        Text,
        "a run ends with its command",
    ),
    none("--server-ready-timeout", Integer, SERVER),
    none("--show-stdout", Flag, "progress is always shown"),
    none("-o --output-dir --experiment-name -e", Text, RUNS),
    none("--dry-run", Flag, "these are the commands"),
    none("--resume", OptionalText, "runs that exist are left alone: leave their commands out"),
];

/// The options of `vllm serve` beside the engine's.
const FRONTEND: &[OptionRow] = &[
    none("--host --uvicorn-log-level --chat-template --chat-template-content-format", Text, SERVER),
    none("--port --api-server-count -asc", Integer, SERVER),
    none("--api-key --middleware --lora-modules --allowed-origins", Words, SERVER),
    none(
        "--response-role --ssl-keyfile --ssl-certfile --root-path --tool-call-parser",
        Text,
        SERVER,
    ),
    none("--enable-auto-tool-choice --disable-uvicorn-access-log --headless", Flag, SERVER),
    none(
        "--disable-fastapi-docs --enable-server-load-tracking --enable-prompt-tokens-details",
        Flag,
        SERVER,
    ),
    none("--max-log-len", Integer, SERVER),
    none("--config", Text, "give the options themselves"),
];

const SERVER_TABLES: &[&[OptionRow]] = &[FRONTEND, ENGINE];

fn migrate(invocation: &Invocation) -> Result<Migration, Error> {
    let Some((kind, words)) = invocation.words.split_first() else {
        return Err(Error::Missing { tool: SWEEP.name, option: "serve or serve_workload" });
    };
    let given = arguments::parse(SWEEP.name, SWEEP.tables, words)?;
    given.without_words()?;
    match kind.as_str() {
        "serve_workload" => workloads(&given),
        "serve" => combinations(&given),
        other => Err(Error::NotExpressible {
            tool: SWEEP.name,
            what: other.to_owned(),
            why: "the script has serve and serve_workload; llem report draws and compares runs",
        }),
    }
}

/// One run of the script that finds the range of the variable and goes through it.
fn workloads(given: &Given) -> Result<Migration, Error> {
    let mut draft = point(given, &[], &[])?;
    draft.parameter("mode", "sweep");
    for name in ["workload-var", "workload-iters", "num-runs", "warmup-num-prompts"] {
        if let Some(value) = given.text(&format!("--{name}")) {
            draft.parameter(name, value);
        }
    }
    for option in ["--serve-params", "--bench-params"] {
        if let Some(option) = given.option(option) {
            draft.untranslated(&option.shown, "one combination a run: write a loop in a shell");
        }
    }
    Ok(draft.into_migration())
}

/// A command for each combination of both files' parameters.
fn combinations(given: &Given) -> Result<Migration, Error> {
    let (servers, benches) =
        (parameters(given, "--serve-params")?, parameters(given, "--bench-params")?);
    let mut commands = vec![];
    let mut notes = vec![];
    for server in &servers {
        for bench in &benches {
            let mut draft = point(given, server, bench)?;
            draft.parameter("mode", "serve");
            draft.parameter("percentile-metrics", "ttft,tpot,itl,e2el");
            let runs = given.text("--num-runs").unwrap_or("3");
            if runs != "1" {
                draft.note(format!(
                    "--num-runs {runs}: run each command {runs} times; llem report RUN RUN puts \
                        runs side by side"
                ));
            }
            let migration = draft.into_migration();
            commands.extend(migration.commands);
            notes.extend(
                migration
                    .notes
                    .into_iter()
                    .filter(|note| !notes.contains(note))
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(Migration { commands, notes })
}

/// The command for the options of both commands, with parameters added to each.
fn point(given: &Given, server: &[String], bench: &[String]) -> Result<Draft, Error> {
    let words = |option: &'static str| -> Result<Vec<String>, Error> {
        match given.text(option) {
            Some(line) => shlex::split(line)
                .ok_or_else(|| given.wrong(option, line, "a command whose quotes match")),
            None => Ok(vec![]),
        }
    };
    let after = |words: Vec<String>, begin: &[&str]| -> Vec<String> {
        let skipped =
            if words.iter().zip(begin).all(|(word, own)| word == own) { begin.len() } else { 0 };
        words.into_iter().skip(skipped).collect()
    };
    let bench_words =
        [after(words("--bench-cmd")?, &["vllm", "bench", "serve"]), bench.to_vec()].concat();
    let benched = arguments::parse(SERVE.name, SERVE.tables, &bench_words)?;
    benched.without_words()?;
    let server_words = [after(words("--serve-cmd")?, &["vllm", "serve"]), server.to_vec()].concat();
    let served = arguments::parse("vllm serve", SERVER_TABLES, &server_words)?;
    let mut draft = Draft::new(SCRIPT, &benched);
    serve::apply(&benched, &mut draft)?;
    draft.add(&served);
    engine::apply(&served, &mut draft);
    // `vllm serve MODEL` has the model as a word.
    if let Some(model) =
        served.words.first().map(String::as_str).or_else(|| benched.text("--model"))
    {
        draft.model(model, served.text("--revision"));
        draft.forget("no model is given");
    }
    Ok(draft)
}

/// The combinations of a file, as words of a command line: a list of objects, or an object of named ones.
fn parameters(given: &Given, option: &'static str) -> Result<Vec<Vec<String>>, Error> {
    let Some(path) = given.text(option) else { return Ok(vec![vec![]]) };
    let tree = yaml::read(Path::new(path))?;
    let combinations: Vec<&Value> = match &tree {
        Value::Array(list) => list.iter().collect(),
        Value::Object(named) => named.values().collect(),
        _ => vec![],
    };
    let words = |combination: &Value| -> Option<Vec<String>> {
        let object = combination.as_object()?;
        let pairs = object.iter().filter(|(name, _)| *name != "_benchmark_name");
        Some(pairs.flat_map(|(name, value)| words_of(name, value)).collect())
    };
    let words: Option<Vec<_>> = combinations.into_iter().map(words).collect();
    words.filter(|words| !words.is_empty()).ok_or_else(|| {
        given.wrong(option, path, "a file with a list of objects, or an object of objects")
    })
}

fn words_of(name: &str, value: &Value) -> Vec<String> {
    let name = name.trim_start_matches('-').replace('_', "-");
    match value {
        Value::Bool(true) => vec![format!("--{name}")],
        Value::Bool(false) => vec![format!("--no-{name}")],
        Value::Null => vec![],
        Value::Array(values) => {
            [vec![format!("--{name}")], values.iter().map(text).collect()].concat()
        }
        value => vec![format!("--{name}"), text(value)],
    }
}
