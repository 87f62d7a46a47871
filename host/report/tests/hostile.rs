//! Texts of a record cannot leave their place on the page, and a record of any size makes a page.

use llem_report::{Format, LoadedRun, Report, render};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

/// What a script could try in each text that it chooses.
const HOSTILE: &str = "</script><script>alert(1)</script><!--\" onfocus='x' \u{202e}gnp.exe\u{0}\u{1b}[2J \\input{x} =cmd() |";

/// A run of `quickstart` on two cores, as llem recorded it.
fn record() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart/run.json");
    serde_json::from_slice(&fs::read(path).expect("the record is committed")).expect("JSON")
}

fn folder_of(record: &Value) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("run.json"), record.to_string()).expect("written");
    folder
}

fn rendered(folder: &Path, format: Format) -> String {
    let run = LoadedRun::open(folder).expect("a run");
    String::from_utf8(render(&Report::new(&[run], &[]), format)).expect("UTF-8")
}

fn hostile() -> Value {
    let mut record = record();
    record["id"] = HOSTILE.into();
    record["warnings"] = json!([HOSTILE, format!("the script: {HOSTILE}")]);
    record["command"] = json!(["llem", "exec", HOSTILE]);
    record["parameters"] = json!({ HOSTILE: HOSTILE });
    record["series"] = json!([{ "name": HOSTILE, "x": [HOSTILE, HOSTILE], "y": [HOSTILE, HOSTILE], "points": [[0.0, 1.0], [1.0, 2.0]], "source": "script" }]);
    record["tables"] =
        json!([{ "name": HOSTILE, "columns": [HOSTILE], "rows": [[HOSTILE]], "source": "script" }]);
    for group in record["groups"].as_array_mut().expect("groups") {
        group["label"] = HOSTILE.into();
    }
    record["metrics"][0]["name"] = HOSTILE.into();
    record["metrics"][0]["labels"] = json!({ HOSTILE: HOSTILE });
    record["metrics"][0]["quantity"]["unit"] = HOSTILE.into();
    record
}

#[test]
fn texts_of_a_record_stay_texts_on_the_page() {
    let folder = folder_of(&hostile());
    let page = rendered(folder.path(), Format::Html);
    // The page has its own three scripts and nothing else that a browser would run.
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script>").count(), 3);
    let own = page.split("<script").next().expect("the part before the scripts");
    assert!(!own.contains("onfocus='x'"), "quotes are escaped");
    assert!(!own.contains(['\u{0}', '\u{1b}', '\u{202e}']), "hidden characters are shown");
    assert!(own.contains("⟨U+202E⟩"));
}

#[test]
fn texts_of_a_record_stay_texts_in_each_format() {
    let folder = folder_of(&hostile());
    for format in [Format::Markdown, Format::Latex, Format::Csv, Format::Text] {
        let text = rendered(folder.path(), format);
        assert!(!text.contains(['\u{0}', '\u{1b}', '\u{202e}']), "{format:?}");
    }
    // An indented line of Markdown is code, in which nothing is markup.
    let markdown = rendered(folder.path(), Format::Markdown);
    let mut lines = markdown.lines().filter(|line| !line.starts_with("    "));
    assert!(!lines.any(|line| line.contains("<script")));
    assert!(!rendered(folder.path(), Format::Latex).contains("\\input"));
    serde_json::from_str::<Value>(&rendered(folder.path(), Format::Json)).expect("JSON");
}

#[test]
fn ten_thousand_metrics_with_long_names_make_a_page() {
    let mut record = record();
    let metric = record["metrics"][0].clone();
    let metrics = (0..10_000).map(|number| {
        let mut metric = metric.clone();
        metric["name"] = format!("{}{number}", "long_".repeat(100)).into();
        metric
    });
    record["metrics"] = metrics.collect();
    let page = rendered(folder_of(&record).path(), Format::Html);
    assert!(page.len() < 40_000_000, "{}", page.len());
}

#[test]
fn a_folder_without_a_run_is_refused_with_the_remedy() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = LoadedRun::open(folder.path()).err().expect("it is no run").to_string();
    assert!(error.contains("run.json") && error.contains("llem exec"), "{error}");
}

#[test]
fn a_run_that_goes_on_is_shown_as_far_as_its_journal_tells() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart");
    let folder = tempfile::tempdir().expect("a folder");
    let mut begun = record();
    for field in ["groups", "phases", "models", "metrics", "windows"] {
        begun[field] = json!([]);
    }
    begun["status"] = "running".into();
    fs::write(folder.path().join("run.json"), begun.to_string()).expect("written");
    let journal = fs::read_to_string(data.join("events.jsonl")).expect("committed");
    let lines: Vec<&str> = journal.lines().collect();
    let part = lines[..lines.len() * 2 / 3].join("\n") + "\n{\"t_ns\":1,\"ev";
    fs::write(folder.path().join("events.jsonl"), part).expect("written");
    let text = rendered(folder.path(), Format::Text);
    assert!(text.contains("The run has not ended") && text.contains("16 words"), "{text}");
    assert!(text.contains("1 lines of events.jsonl are incomplete"), "{text}");
}

#[test]
fn numbers_are_those_of_the_record() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart");
    let csv = rendered(&data, Format::Csv);
    let record = record();
    let group = &record["groups"][1];
    let rate = &group["decode_rate"]["value"];
    assert!(csv.contains(&format!(",decode,{rate},")), "{rate}");
    // The journal's samples give the record's median within the 0.1 % of its histogram.
    let label = group["label"].as_str().expect("a label");
    let row =
        csv.lines().find(|line| line.starts_with(&format!("summary,summary,{label},TTFT median,")));
    let told: f64 =
        row.expect("a row").split(',').nth(4).expect("a value").parse().expect("a number");
    let recorded = group["ttft_s"]["p50"].as_f64().expect("a number");
    assert!((told / recorded - 1.0).abs() < 1e-3, "{told} {recorded}");
}
