//! Reports of many runs show each of them, and numbers that are derived from a record are those that a reader works out by hand.

use llem_report::{Format, LoadedRun, Report, render};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

/// Copies the committed run of `quickstart`, which has three labels, with another id and what `change` changes in its record.
fn run(id: &str, change: impl Fn(&mut Value)) -> TempDir {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/quickstart");
    let folder = tempfile::tempdir().expect("a folder");
    let text = fs::read(data.join("run.json")).expect("the record is committed");
    let mut record: Value = serde_json::from_slice(&text).expect("JSON");
    record["id"] = id.into();
    change(&mut record);
    fs::write(folder.path().join("run.json"), record.to_string()).expect("written");
    fs::copy(data.join("events.jsonl"), folder.path().join("events.jsonl")).expect("copied");
    folder
}

fn rendered(folders: &[TempDir], format: Format) -> String {
    let open = |folder: &TempDir| LoadedRun::open(folder.path()).expect("a run");
    let runs: Vec<LoadedRun> = folders.iter().map(open).collect();
    String::from_utf8(render(&Report::new(&runs, &[]), format)).expect("UTF-8")
}

/// The charts of a report whose id begins so.
fn charts(report: &Value, id: &str) -> Vec<Value> {
    let sections = report["sections"].as_array().expect("sections").iter();
    let blocks = sections.flat_map(|section| section["blocks"].as_array().expect("blocks"));
    let charts = blocks.filter_map(|block| block.get("chart"));
    charts.filter(|chart| chart["id"].as_str().expect("an id").starts_with(id)).cloned().collect()
}

#[test]
fn every_configuration_of_twelve_runs_has_its_curve() {
    let folders: Vec<TempDir> =
        (0..12).map(|run_of| run(&format!("run {run_of}"), |_| ())).collect();
    let report: Value = serde_json::from_str(&rendered(&folders, Format::Json)).expect("JSON");
    let panels = charts(&report, "latency-ttft");
    let titles: Vec<&str> =
        panels.iter().map(|panel| panel["title"].as_str().expect("a title")).collect();
    assert_eq!(titles, ["TTFT: 16 words", "TTFT: 64 words", "TTFT: 256 words"]);
    for panel in &panels {
        let series = panel["series"].as_array().expect("series");
        let names: Vec<&str> =
            series.iter().map(|one| one["name"].as_str().expect("a name")).collect();
        assert_eq!(names, (0..12).map(|run| format!("run {run}")).collect::<Vec<_>>());
        // A run looks the same in each panel.
        assert_eq!(series[7]["look"], 7);
    }
}

#[test]
fn what_each_of_many_runs_has_is_folded() {
    let folders: Vec<TempDir> =
        (0..12).map(|run_of| run(&format!("run {run_of}"), |_| ())).collect();
    let page = rendered(&folders, Format::Html);
    // The commands of twelve runs and the panels of four latencies; of each kind the first is open.
    assert_eq!(page.matches("<details class=\"fold\"").count(), 16);
    assert_eq!(page.matches("<details class=\"fold\" open>").count(), 2);
}

/// Five requests with prompts of 127 tokens and 32 generated ones, so each has 31 passes of decode, which read the keys and
/// values of 128 to 158 tokens.
#[test]
fn bytes_of_decode_are_those_of_weights_and_of_the_cache() {
    let folder = run("run", |record| {
        record["models"][0]["kv_bytes_per_token"] = json!(4096);
    });
    let csv = rendered(&[folder], Format::Csv);
    let value = |column: &str| -> f64 {
        let start = format!("roofline,roofline,16 words; decode,{column},");
        let row = csv.lines().find(|line| line.starts_with(&start)).expect("a row");
        row[start.len()..].split(',').next().expect("a value").parse().expect("a number")
    };
    let seconds = 5.209553204;
    let cache = 5.0 * (128..=158).sum::<u64>() as f64 * 4096.0 / seconds;
    let weights = 5.0 * 31.0 * 13_116_416.0 / seconds;
    assert!(
        (value("KV cache read") / cache - 1.0).abs() < 1e-9,
        "{} {cache}",
        value("KV cache read")
    );
    assert!((value("bytes read") / (weights + cache) - 1.0).abs() < 1e-9);
}

#[test]
fn a_record_without_the_size_of_the_cache_says_what_is_left_out() {
    let folder = run("run", |_| ());
    let report: Value = serde_json::from_str(&rendered(&[folder], Format::Json)).expect("JSON");
    let roofline = &charts(&report, "roofline")[0];
    let caption = roofline["caption"].as_str().expect("a caption");
    assert!(caption.contains("the KV cache is not counted"), "{caption}");
}
