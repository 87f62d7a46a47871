//! What other tools find in an export: the numbers of the record, nothing where it has none, and no text out of its place.
//! `tests/peers/exports` reads the same files with the tools themselves.

use llem_export::{Error, ExportOptions, ExportedRun, Tool, export};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use tempfile::TempDir;

/// What a script could try in each text that it chooses.
const HOSTILE: &str = "=cmd()|' /C calc'!A0\u{0}\n../../../x: {a: &b \"c\"}\u{202e}\u{1b}[2J";

/// A run of `quickstart` on two cores without an energy counter.
fn without_energy() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/data/quickstart")
}

/// `llem exec quickstart --synthetic-host -p rounds=2 -p new-tokens=6 -p baseline=2`.
fn synthetic() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/synthetic")
}

fn record(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("run.json")).expect("committed")).expect("JSON")
}

/// A copy of a run with another record.
fn changed(folder: &Path, record: &Value) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    fs::write(copy.path().join("run.json"), record.to_string()).expect("written");
    fs::copy(folder.join("events.jsonl"), copy.path().join("events.jsonl")).expect("copied");
    copy
}

fn exported(run: &Path, tool: Tool, output: &Path) -> Result<Vec<PathBuf>, Error> {
    let options = ExportOptions::default();
    export(&[ExportedRun::open(run).expect("a run")], tool, &options, output)
}

/// Returns all files below a folder by their paths within it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        match path.is_dir() {
            true => all
                .extend(files(&path).into_iter().map(|(of, text)| (format!("{name}/{of}"), text))),
            false => drop(all.insert(name, fs::read(&path).expect("a file"))),
        }
    }
    all
}

/// Returns the values of a metric in the order of its steps.
fn metric(run: &Path, name: &str) -> Vec<f64> {
    let text = fs::read_to_string(run.join("metrics").join(name)).expect("a metric");
    let values = text.lines().map(|line| line.split(' ').nth(1).expect("a value").parse());
    values.collect::<Result<_, _>>().expect("numbers")
}

/// Returns the first row of a CSV file by its columns.
fn row(path: &Path) -> BTreeMap<String, String> {
    let mut reader = csv::Reader::from_path(path).expect("a file");
    reader.deserialize().next().expect("a row").expect("texts")
}

#[test]
fn mlflow_gets_the_records_numbers_with_their_uncertainties() {
    let out = tempfile::tempdir().expect("a folder");
    let run = exported(&synthetic(), Tool::Mlflow, out.path()).expect("exported").remove(0);
    let record = record(&synthetic());
    for group in record["groups"].as_array().expect("groups") {
        let [phase, label] = ["phase", "label"].map(|field| group[field].as_str().expect("a text"));
        let value = |name: &str| metric(&run, &format!("requests/{phase}/{label}/{name}"));
        assert_eq!(json!(value("energy_j")), json!([group["energy"]["value"]]));
        assert_eq!(json!(value("ttft_s_p99")), json!([group["ttft_s"]["p99"]]));
        assert_eq!(
            value("output_tokens"),
            [group["activity"]["output_tokens"].as_f64().expect("a count")]
        );
    }
    let reported = &record["metrics"][0]["quantity"];
    assert_eq!(record["metrics"][0]["name"], "joules_per_output_token");
    let name = "script/joules_per_output_token prompt.16 words";
    assert_eq!(json!(metric(&run, name)), json!([reported["value"]]));
    // The power at rest is the only number of this run that is uncertain.
    let power = &record["baselines"][0]["power"][0]["power"];
    let name = "baselines/cpu/package-0/idle_w_uncertainty";
    assert_eq!(json!(metric(&run, name)), json!([power["uncertainty"]]));
    let tag = |name: &str| fs::read_to_string(run.join("tags").join(name)).expect("a tag");
    assert_eq!(tag("llem.simulated"), "true");
    assert!(
        tag("mlflow.runName").starts_with("simulated: "),
        "it does not look like a measurement"
    );
}

#[test]
fn what_is_unavailable_is_absent_and_its_reason_is_told() {
    let out = tempfile::tempdir().expect("a folder");
    let run = exported(&without_energy(), Tool::Mlflow, out.path()).expect("exported").remove(0);
    let all = files(&run);
    assert!(!all.keys().any(|name| name.starts_with("metrics/") && name.contains("energy")));
    let numbers: Value = serde_json::from_slice(&all["artifacts/numbers.json"]).expect("JSON");
    let energy =
        numbers.as_array().expect("a list").iter().find(|of| of["name"] == "run/measured_energy_j");
    assert_eq!(energy.expect("the energy")["cause"], "no-driver");
    assert_eq!(all["tags/llem.simulated"], b"false");
    let wandb = exported(&without_energy(), Tool::Wandb, out.path()).expect("exported").remove(0);
    let summary: Value =
        serde_json::from_slice(&files(&wandb)["files/wandb-summary.json"]).expect("JSON");
    let keys: Vec<&String> = summary.as_object().expect("an object").keys().collect();
    assert!(keys.len() > 50 && !keys.iter().any(|key| key.contains("energy")), "{keys:?}");
}

#[test]
fn a_curve_has_a_step_for_each_point() {
    let mut record = record(&synthetic());
    record["series"] = json!([{ "name": "power", "x": ["time", "s"], "y": ["power", "W"], "points": [[0.5, 60.0], [1.5, 70.0], [2.5, 65.0]], "source": "script" }]);
    let folder = changed(&synthetic(), &record);
    let out = tempfile::tempdir().expect("a folder");
    let run = exported(folder.path(), Tool::Mlflow, out.path()).expect("exported").remove(0);
    assert_eq!(metric(&run, "series/power"), [60.0, 70.0, 65.0]);
    assert_eq!(metric(&run, "series/power_x"), [0.5, 1.5, 2.5]);
}

#[test]
fn a_codecarbon_row_has_the_sum_of_the_measured_windows() {
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("emissions.csv");
    let run = || ExportedRun::open(&synthetic()).expect("a run");
    export(&[run()], Tool::Codecarbon, &ExportOptions::new(Some(400.0)), &path).expect("exported");
    let row = row(&path);
    let number = |column: &str| row[column].parse::<f64>().expect("a number");
    // Two rounds of prompts of 127, 511 and 2047 tokens with 6 tokens each: 0.1 ms a prompt token and 5 ms a step
    // (docs/synthetic-host.md), and nothing of the warm-up.
    let seconds = 2.0 * ((127.0 + 511.0 + 2047.0) * 1e-4 + 3.0 * 5.0 * 5e-3);
    assert!((number("duration") - seconds).abs() < 1e-9, "{row:?}");
    let groups = record(&synthetic());
    let measured =
        groups["groups"].as_array().expect("groups").iter().filter(|of| of["phase"] == "measure");
    let joules: f64 = measured.map(|of| of["energy"]["value"].as_f64().expect("an energy")).sum();
    assert!((number("cpu_energy") * 3.6e6 - joules).abs() < 1e-9 && joules > 0.0);
    assert_eq!(row["energy_consumed"], row["cpu_energy"], "the CPU is all that the run covers");
    assert!((number("cpu_power") - joules / seconds).abs() < 1e-9);
    assert!((number("emissions") - joules / 3.6e6 * 0.4).abs() < 1e-12);
    for column in ["gpu_energy", "ram_energy", "gpu_power", "water_consumed", "country_name", "pue"]
    {
        assert_eq!(row[column], "", "{column} was not measured");
    }
    assert_eq!([&row["project_name"], &row["tracking_mode"]], ["llem (simulated)", "simulated"]);
}

#[test]
fn codecarbons_emissions_are_empty_without_an_intensity_and_energies_without_a_counter() {
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("emissions.csv");
    exported(&synthetic(), Tool::Codecarbon, &path).expect("exported");
    assert_eq!(row(&path)["emissions"], "");
    fs::remove_file(&path).expect("removed");
    exported(&without_energy(), Tool::Codecarbon, &path).expect("exported");
    let row = row(&path);
    for column in ["cpu_energy", "energy_consumed", "cpu_power", "emissions"] {
        assert_eq!(row[column], "", "{column}");
    }
    assert!(row["duration"].parse::<f64>().expect("a number") > 1.0);
    let details = fs::read_to_string(out.path().join("emissions.llem.csv")).expect("written");
    assert!(details.contains("intel_rapl_common"), "the reason is told");
}

#[test]
fn codecarbon_rows_are_appended_but_never_twice_nor_to_another_file() {
    let out = tempfile::tempdir().expect("a folder");
    let path = out.path().join("emissions.csv");
    exported(&synthetic(), Tool::Codecarbon, &path).expect("exported");
    exported(&without_energy(), Tool::Codecarbon, &path).expect("appended");
    let rows = fs::read_to_string(&path).expect("written");
    assert_eq!(rows.lines().count(), 3);
    let again =
        exported(&synthetic(), Tool::Codecarbon, &path).expect_err("it is there").to_string();
    assert!(again.contains("already") && again.contains("--output"), "{again}");
    let other = out.path().join("other.csv");
    fs::write(&other, "timestamp,project_name\n1,2\n").expect("written");
    assert!(exported(&synthetic(), Tool::Codecarbon, &other).is_err());
    assert_eq!(fs::read_to_string(&other).expect("there"), "timestamp,project_name\n1,2\n");
    assert_eq!(fs::read_to_string(&path).expect("there"), rows);
}

#[test]
fn llenergymeasure_gets_the_measured_windows_and_is_refused_a_run_without_energy() {
    let out = tempfile::tempdir().expect("a folder");
    let run =
        exported(&synthetic(), Tool::LlEnergyMeasure, out.path()).expect("exported").remove(0);
    let result: Value =
        serde_json::from_slice(&fs::read(run.join("result.json")).expect("written")).expect("JSON");
    assert_eq!(result["output_tokens"], 36);
    assert_eq!(result["input_tokens"], 2 * (127 + 511 + 2047));
    // 5 ms from token to token; the last of five gaps is left out of each of six sequences.
    assert_eq!(result["latency_stats"]["itl_samples"], 24);
    assert!((result["latency_stats"]["itl_mean_ms"].as_f64().expect("a time") - 5.0).abs() < 1e-6);
    // 50 W at rest.
    let [raw, adjusted, seconds] =
        ["total_energy_j", "energy_adjusted_j", "total_inference_time_sec"]
            .map(|field| result[field].as_f64().expect("a number"));
    assert!((raw - adjusted - 50.0 * seconds).abs() < 1e-9, "{result}");
    let at_rest = result["energy_breakdown"]["baseline_power_w"].as_f64().expect("a power");
    assert!((at_rest - 50.0).abs() < 1e-9, "{result}");
    assert!(result["model_name"].as_str().expect("a name").starts_with("simulated: "));
    assert!(result["reproducibility_notes"].as_str().expect("notes").contains("SIMULATED"));
    let refused =
        exported(&without_energy(), Tool::LlEnergyMeasure, out.path()).expect_err("no energy");
    assert!(refused.is_input() && refused.to_string().contains("no total energy"), "{refused}");
    assert_eq!(files(out.path()).len(), 1, "nothing is left of it");
}

#[test]
fn nothing_is_overwritten() {
    for tool in [Tool::Mlflow, Tool::Wandb, Tool::LlEnergyMeasure] {
        let out = tempfile::tempdir().expect("a folder");
        exported(&synthetic(), tool, out.path()).expect("exported");
        let before = files(out.path());
        let refused = exported(&synthetic(), tool, out.path()).expect_err("it is there");
        assert!(refused.is_input() && refused.to_string().contains("--output"), "{refused}");
        assert_eq!(files(out.path()), before, "{}", tool.name());
    }
}

#[test]
fn several_runs_go_into_one_store_and_one_run_only_once() {
    let out = tempfile::tempdir().expect("a folder");
    let open = |folder: PathBuf| ExportedRun::open(&folder).expect("a run");
    let options = ExportOptions::default();
    let both = [open(synthetic()), open(without_energy())];
    let written = export(&both, Tool::Mlflow, &options, out.path()).expect("exported");
    assert_eq!(written[0].parent(), written[1].parent(), "both are of one experiment");
    let twice = [open(synthetic()), open(synthetic())];
    assert!(matches!(export(&twice, Tool::Wandb, &options, out.path()), Err(Error::Twice(_))));
}

#[test]
fn texts_of_a_record_stay_texts_and_in_their_place() {
    let mut record = record(&synthetic());
    record["id"] = HOSTILE.into();
    record["plan"] = Value::Null;
    record["components"][0]["name"] = HOSTILE.into();
    record["parameters"] = json!({ HOSTILE: HOSTILE, "../../p": "x", "..": 1, "a".repeat(10_000): "b".repeat(100_000) });
    record["host"]["cpu"] = HOSTILE.into();
    for group in record["groups"].as_array_mut().expect("groups") {
        group["phase"] = "../..".into();
        group["label"] = HOSTILE.into();
    }
    let metric = record["metrics"][0].clone();
    for name in ["../../m", "/etc/x", "a/b", "a", HOSTILE, "", ".", "a_uncertainty"] {
        let mut named = metric.clone();
        named["name"] = name.into();
        named["quantity"]["uncertainty"] = 1.0.into();
        record["metrics"].as_array_mut().expect("metrics").push(named);
    }
    let folder = changed(&synthetic(), &record);
    let parent = tempfile::tempdir().expect("a folder");
    for tool in Tool::ALL {
        let out = parent.path().join("deep/deeper").join(tool.name());
        fs::create_dir_all(&out).expect("a folder");
        exported(folder.path(), tool, &out).expect("exported");
        for (name, content) in files(&out) {
            let text = String::from_utf8_lossy(&content);
            // In JSON, a direction mark is a part of a text that nobody sees unescaped.
            let is_data = name.ends_with(".json") || name.ends_with(".wandb");
            assert!(is_data || !text.contains(['\u{0}', '\u{1b}', '\u{202e}']), "{name}");
            assert!(name.split('/').all(|part| part.len() < 255), "{name}");
        }
    }
    assert_eq!(fs::read_dir(parent.path()).expect("a folder").count(), 1, "nothing is outside");
    let row = row(&parent.path().join("deep/deeper/codecarbon/emissions.csv"));
    assert!(
        row["cpu_model"].starts_with("'=cmd()") && row["experiment_id"].starts_with("'="),
        "{row:?}"
    );
}
