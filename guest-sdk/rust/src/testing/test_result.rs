//! The result of a test's run, as its record has it.

use super::failed;
use crate::{Error, Result};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    path::PathBuf,
};
use tempfile::TempDir;
use tinyjson::JsonValue;

/// The record of a run. Its folder is deleted with it.
#[derive(Debug)]
pub struct TestResult {
    json: String,
    record: JsonValue,
    events: Vec<JsonValue>,
    run: PathBuf,
    /// Deletes the folder when it is dropped.
    _folder: TempDir,
}

/// A metric that the run reported.
#[derive(Clone, Debug, PartialEq)]
pub struct TestMetric {
    /// The name in snake case.
    pub name: String,
    /// The value, in `unit`.
    pub value: f64,
    /// The standard uncertainty, in `unit`.
    pub uncertainty: f64,
    /// The unit: `{token}/s`.
    pub unit: String,
    /// The values of its labels by name.
    pub labels: BTreeMap<String, String>,
}

/// A sequence that the run generated. A request of one prompt has one sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestResult {
    /// The label of the request.
    pub label: String,
    /// The open phases, outermost first, joined by `/`. It is empty outside of all phases.
    pub phase: String,
    /// The length of the prompt, in tokens.
    pub prompt_tokens: u64,
    /// The generated tokens.
    pub tokens: Vec<u32>,
    /// When it was submitted, or arrived, in ns since the run began.
    pub submitted_ns: u64,
    /// When each token was on the host, in ns since the run began.
    pub token_ns: Vec<u64>,
}

impl RequestResult {
    /// Returns the number of generated tokens.
    pub fn output_tokens(&self) -> u64 {
        self.tokens.len() as u64
    }
}

/// A logged line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// The level: `debug`, `info`, `warn`, `error`, `stdout` or `stderr`.
    pub level: String,
    /// The text.
    pub message: String,
}

impl TestResult {
    /// Reads the record in the folder `run`, which is inside of `folder`.
    pub(super) fn read(folder: TempDir, run: &Path) -> Result<Self> {
        let json = fs::read_to_string(run.join("run.json")).map_err(failed)?;
        let journal = fs::read_to_string(run.join("events.jsonl")).map_err(failed)?;
        let events = journal.lines().map(parse).collect::<Result<_>>()?;
        Ok(Self { record: parse(&json)?, json, events, run: run.to_owned(), _folder: folder })
    }

    /// Returns how the run ended: `completed` or `failed`.
    pub fn status(&self) -> &str {
        text(at(&self.record, "status"))
    }

    /// Returns why the run failed, or `None` if it completed.
    pub fn error(&self) -> Option<&str> {
        at(&self.record, "error").get::<String>().map(String::as_str)
    }

    /// Returns all metrics, in the order in which they were reported.
    pub fn metrics(&self) -> Vec<TestMetric> {
        items(at(&self.record, "metrics")).iter().map(metric).collect()
    }

    /// Returns the metric of this name. Fails if there is none, or more than one, which labels distinguish.
    pub fn metric(&self, name: &str) -> Result<TestMetric> {
        let mut found = self.metrics();
        found.retain(|metric| metric.name == name);
        match <[TestMetric; 1]>::try_from(found) {
            Ok([metric]) => Ok(metric),
            Err(found) => {
                Err(format!("{} metrics are called '{name}', not one", found.len()).into())
            }
        }
    }

    /// Returns the sequences that were generated outside of the warm-up, in the order in which they ended.
    pub fn requests(&self) -> Vec<RequestResult> {
        self.sequences().filter(|request| !is_warmup(request)).collect()
    }

    /// Returns the sequences that were generated in phases called `warmup`, in the order in which they ended.
    pub fn warmup_requests(&self) -> Vec<RequestResult> {
        self.sequences().filter(is_warmup).collect()
    }

    /// Returns the warnings of the host, and those of the script with `the script: ` before each.
    pub fn warnings(&self) -> Vec<&str> {
        items(at(&self.record, "warnings")).iter().map(text).collect()
    }

    /// Returns all logged lines, and those of stdout and stderr.
    pub fn log(&self) -> Vec<LogLine> {
        let lines = self.events.iter().filter(|event| text(at(event, "event")) == "log");
        let line = |event: &JsonValue| LogLine {
            level: text(at(event, "level")).to_owned(),
            message: text(at(event, "message")).to_owned(),
        };
        lines.map(line).collect()
    }

    /// Returns the text of `run.json`.
    pub fn record(&self) -> &str {
        &self.json
    }

    /// Returns the folder of the record, which also has the artifacts. It exists as long as this result.
    pub fn folder(&self) -> &Path {
        &self.run
    }

    fn sequences(&self) -> impl Iterator<Item = RequestResult> {
        self.events.iter().flat_map(|event| match text(at(event, "event")) {
            "generation" => {
                let window = at(event, "window");
                items(at(event, "sequences"))
                    .iter()
                    .map(|sequence| request(window, sequence))
                    .collect()
            }
            "batch-sequence" => vec![request(event, at(event, "sequence"))],
            _ => Vec::new(),
        })
    }
}

fn is_warmup(request: &RequestResult) -> bool {
    request.phase.split('/').any(|phase| phase == "warmup")
}

/// Converts a sequence. `named` has the label and the phase.
fn request(named: &JsonValue, sequence: &JsonValue) -> RequestResult {
    let whole = |value: &JsonValue| number(value) as u64;
    RequestResult {
        label: text(at(named, "label")).to_owned(),
        phase: text(at(named, "phase")).to_owned(),
        prompt_tokens: whole(at(sequence, "prompt_tokens")),
        tokens: items(at(sequence, "tokens")).iter().map(|token| whole(token) as u32).collect(),
        submitted_ns: whole(at(sequence, "submitted_ns")),
        token_ns: items(at(sequence, "token_ns")).iter().map(whole).collect(),
    }
}

fn metric(value: &JsonValue) -> TestMetric {
    let quantity = at(value, "quantity");
    let labels = at(value, "labels").get::<HashMap<String, JsonValue>>();
    TestMetric {
        name: text(at(value, "name")).to_owned(),
        value: number(at(quantity, "value")),
        uncertainty: number(at(quantity, "uncertainty")),
        unit: text(at(quantity, "unit")).to_owned(),
        labels: labels
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), text(value).to_owned()))
            .collect(),
    }
}

fn parse(json: &str) -> Result<JsonValue> {
    json.parse().map_err(|error| Error::from(format!("the run's record: {error}")))
}

/// Returns the field of this name, or null.
fn at<'a>(value: &'a JsonValue, name: &str) -> &'a JsonValue {
    let object = value.get::<HashMap<String, JsonValue>>();
    object.and_then(|object| object.get(name)).unwrap_or(&JsonValue::Null)
}

fn text(value: &JsonValue) -> &str {
    value.get::<String>().map_or("", String::as_str)
}

fn number(value: &JsonValue) -> f64 {
    value.get::<f64>().copied().unwrap_or(f64::NAN)
}

fn items(value: &JsonValue) -> &[JsonValue] {
    value.get::<Vec<JsonValue>>().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    // Lines in the format of the journal: two requests that ran alone, a log line and a sequence of a continuous batch,
    // without the fields that are not read.
    const JOURNAL: &str = r#"
{"t_ns":1018500000,"event":"generation","window":{"label":"3 sentences","phase":"warmup"},"sequences":[{"prompt_tokens":135,"tokens":[23,9],"submitted_ns":1000000000,"token_ns":[1013500000,1018500000]}]}
{"t_ns":1018500000,"event":"log","level":"info","message":"warm: 1 runs"}
{"t_ns":1032500000,"event":"generation","window":{"label":"2 sentences","phase":"measure"},"sequences":[{"prompt_tokens":90,"tokens":[4,5],"submitted_ns":1018500000,"token_ns":[1027500000,1032500000]}]}
{"t_ns":1040000000,"event":"batch-sequence","label":"fox","phase":"measure/inner","batch":0,"name":7,"sequence":{"prompt_tokens":45,"tokens":[8],"submitted_ns":1033000000,"token_ns":[1040000000]}}"#;

    const RECORD: &str = r#"{"status":"completed","error":null,"warnings":["the script: odd"],"metrics":[
        {"name":"rate","quantity":{"value":200.0,"uncertainty":0.5,"unit":"{token}/s","source":"script"},"labels":{"size":"small"}},
        {"name":"rate","quantity":{"value":100.0,"uncertainty":0.0,"unit":"{token}/s","source":"script"},"labels":{"size":"large"}},
        {"name":"ttft","quantity":{"value":0.009,"uncertainty":0.0,"unit":"s","source":"script"},"labels":{}}]}"#;

    fn result() -> TestResult {
        let folder = tempfile::tempdir().expect("a folder");
        let run = folder.path().to_owned();
        fs::write(run.join("run.json"), RECORD).expect("a file");
        fs::write(run.join("events.jsonl"), JOURNAL.trim_start()).expect("a file");
        TestResult::read(folder, &run).expect("a record")
    }

    #[test]
    fn requests_are_those_outside_of_the_warmup() {
        let result = result();
        let requests = result.requests();
        let labels: Vec<&str> = requests.iter().map(|request| request.label.as_str()).collect();
        assert_eq!(labels, ["2 sentences", "fox"]);
        assert_eq!((requests[0].prompt_tokens, &requests[0].tokens[..]), (90, &[4, 5][..]));
        assert_eq!(
            (requests[1].submitted_ns, &requests[1].token_ns[..]),
            (1_033_000_000, &[1_040_000_000][..])
        );
        assert_eq!(result.warmup_requests().len(), 1);
    }

    #[test]
    fn metrics_are_found_by_name_if_there_is_one() {
        let result = result();
        assert_eq!(result.metric("ttft").map(|ttft| ttft.value), Ok(0.009));
        let several = result.metric("rate").expect_err("there are two");
        assert_eq!(several.message, "2 metrics are called 'rate', not one");
        assert!(result.metric("none").is_err());
        assert_eq!(result.metrics()[1].labels["size"], "large");
    }

    #[test]
    fn the_rest_of_the_record_is_there() {
        let result = result();
        assert_eq!((result.status(), result.error()), ("completed", None));
        assert_eq!(result.warnings(), ["the script: odd"]);
        let expected = LogLine { level: "info".to_owned(), message: "warm: 1 runs".to_owned() };
        assert_eq!(result.log(), [expected]);
        assert_eq!(result.record(), RECORD);
    }
}
