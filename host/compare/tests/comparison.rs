//! Comparisons of hand-made records, of which every expected number is worked out here or by scipy.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]

use llem_compare::{Agreement, ComparedRun, Comparison, Error, NumberDifference, UnmatchedReason};
use serde_json::{Value, json};
use std::{fs, path::Path};
use tempfile::TempDir;

/// A run with a record and a journal, of which tests change parts.
#[derive(Clone)]
struct Run {
    record: Value,
    events: Vec<Value>,
}

fn distribution(count: u64, mean: f64, deviation: f64) -> Value {
    json!({"count": count, "mean": mean, "standard_deviation": deviation, "min": 0.0,
        "p50": mean, "p90": mean, "p99": mean, "max": 1.0})
}

fn reading(value: f64, uncertainty: f64) -> Value {
    json!({"value": value, "uncertainty": uncertainty, "unit": "J", "source": "rapl"})
}

fn unavailable() -> Value {
    json!({"unavailable": "no RAPL", "cause": "no-driver"})
}

fn group(phase: &str, ttft: Value, energy: Value) -> Value {
    let activity = json!({"requests": 2, "prompt_tokens": 6, "output_tokens": 8, "prefill_ns": 10, "decode_ns": 10,
        "flops_estimated": {"prefill": 0.0, "decode": 0.0, "total": 0.0}});
    json!({"phase": phase, "label": "a", "model": 0, "requests": 2, "activity": activity,
        "ttft_s": ttft, "itl_s": null, "tpot_s": null, "e2el_s": null, "prefill_rate": null, "decode_rate": null,
        "energy": energy, "energy_per_output_token": unavailable()})
}

/// A static request of one prompt, in the phase `measure` unless another is given.
fn generation(number: u64, phase: &str, tokens: &[u32]) -> Value {
    let window = json!({"label": "a", "phase": phase, "started_ns": 0, "wall_ns": 1, "energy": [],
        "energy_total": unavailable(), "activity": {"requests": 1, "prompt_tokens": 3, "output_tokens": 4,
        "prefill_ns": 1, "decode_ns": 1, "flops_estimated": {"prefill": 0.0, "decode": 0.0, "total": 0.0}}});
    let request = json!({"number": number, "prompts": [{"form": "tokens", "digest": "sha256:1"}],
        "max_new_tokens": 4, "ignore_eos": true});
    let times: Vec<usize> = (0..tokens.len()).collect();
    let sequence = json!({"prompt_tokens": 3, "tokens": tokens, "finish": "length", "submitted_ns": 0, "token_ns": times});
    json!({"t_ns": number, "event": "generation", "window": window, "model": 0, "request": request, "sequences": [sequence]})
}

fn score(log_likelihoods: &[f64]) -> Value {
    let mut window = generation(0, "measure", &[])["window"].take();
    window["label"] = "score".into();
    let results: Vec<Value> = (0..)
        .zip(log_likelihoods)
        .map(|(request, value)| json!({"request": request, "tokens": 2, "log_likelihood": value, "is_greedy": false}))
        .collect();
    json!({"t_ns": 9, "event": "score", "window": window, "model": 0, "digest": "sha256:2", "rolling": false,
        "requests": 2, "completed": 2, "context_tokens": 1, "continuation_tokens": 4, "scored_tokens": 4,
        "passes": 1, "results": results})
}

impl Run {
    /// Two requests in the phase `measure` after one in `warmup`, with a latency, an energy and a metric.
    fn new() -> Self {
        let record = json!({
            "schema_version": "3.0", "id": "run", "status": "completed", "error": null,
            "started_at": "2026-03-05T09:07:03Z", "wall_ns": 100,
            "llem_version": "0.1.0", "command": ["llem", "exec", "a.wasm"],
            "components": [{"role": "experiment", "name": "a", "version": "1", "digest": "sha256:0", "file": "a.wasm"}],
            "parameters": {"rounds": 2}, "seed": 5, "limits": {"models": 16},
            "grants": {"model": "synthetic:tiny", "dtype": null, "device": "cpu", "datasets": []},
            "host": {"system": "Linux 6.1", "cpu": "a processor", "memory_bytes": 1024, "threads": 2},
            "models": [], "phases": [], "windows": [], "baselines": [], "series": [], "tables": [], "artifacts": [],
            "warnings": [],
            "groups": [group("warmup", distribution(9, 9.0, 1.0), unavailable()),
                group("measure", distribution(10, 0.100, 0.02), reading(50.0, 3.0))],
            "metrics": [{"name": "rate", "labels": {"prompt": "a"}, "claimed_source": "derived",
                "quantity": {"value": 20.0, "uncertainty": 0.0, "unit": "1/s", "source": "script"}}],
        });
        let events = vec![
            generation(0, "warmup", &[1]),
            generation(1, "measure", &[10, 11, 12, 13]),
            generation(2, "measure", &[20, 21, 22, 23]),
        ];
        Self { record, events }
    }

    fn written(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json"), self.record.to_string()).unwrap();
        let lines: Vec<String> = self.events.iter().map(Value::to_string).collect();
        fs::write(folder.path().join("events.jsonl"), lines.join("\n")).unwrap();
        folder
    }
}

fn compared(first: &Run, second: &Run) -> Comparison {
    let folders = [first.written(), second.written()];
    let [first, second] =
        folders.each_ref().map(|folder| ComparedRun::open(folder.path()).unwrap());
    Comparison::new(&first, &second, Vec::new())
}

/// Compares the run with one that `change` has changed.
fn changed(change: impl FnOnce(&mut Run)) -> Comparison {
    let (first, mut second) = (Run::new(), Run::new());
    change(&mut second);
    compared(&first, &second)
}

fn number<'a>(comparison: &'a Comparison, name: &str) -> &'a NumberDifference {
    let mut all = comparison.numbers.numbers.iter();
    all.find(|number| number.name == name).unwrap_or_else(|| panic!("no number {name}"))
}

fn near(value: Option<f64>, expected: f64) {
    let value = value.unwrap();
    assert!(
        (value - expected).abs() <= 1e-12 * expected.abs().max(1e-3),
        "{value} is not {expected}"
    );
}

#[test]
fn equal_runs_differ_in_nothing() {
    let comparison = changed(|_| {});
    let verdict = &comparison.verdict;
    assert!(verdict.is_same);
    assert_eq!(verdict.tokens.text, "all 9 equal, in 3 sequences");
    assert_eq!(verdict.requests.text, "all 3 equal");
    assert_eq!(verdict.method.text, "same components, parameters, models and datasets");
    assert_eq!(verdict.environment.text, "no differences");
    assert!(verdict.numbers.text.starts_with("2 of 2 within two standard uncertainties"));
    assert!(verdict.numbers.text.ends_with("1 without an uncertainty are equal"));
    assert!(comparison.notes.is_empty(), "{:?}", comparison.notes);
}

#[test]
fn the_first_token_that_differs_is_named() {
    let comparison = changed(|run| run.events[2] = generation(2, "measure", &[20, 21, 7, 8]));
    assert!(!comparison.verdict.is_same);
    let [difference] = &comparison.tokens.differences[..] else { panic!("one sequence differs") };
    assert_eq!((difference.request.phase.as_str(), difference.request.index), ("measure", 1));
    assert_eq!((difference.sequence, difference.position), (0, 2));
    assert_eq!((difference.first, difference.second), (Some(22), Some(7)));
    assert_eq!((comparison.tokens.tokens, comparison.tokens.equal), (9, 7));
    let text = "1 of 3 sequences differ; the first is sequence 0 of request 1 ('a' in phase 'measure'), at position 2: 22 -> 7";
    assert_eq!(comparison.verdict.tokens.text, text);
}

#[test]
fn a_sequence_that_ends_earlier_differs_where_it_ends() {
    let comparison = changed(|run| run.events[1] = generation(1, "measure", &[10, 11]));
    let [difference] = &comparison.tokens.differences[..] else { panic!("one sequence differs") };
    assert_eq!((difference.position, difference.first, difference.second), (2, Some(12), None));
}

#[test]
fn a_missing_request_is_a_difference_except_in_a_warm_up() {
    let comparison = changed(|run| drop(run.events.pop()));
    assert!(!comparison.verdict.is_same);
    assert_eq!(comparison.verdict.requests.text, "all 2 equal, 1 in the first run only");
    assert_eq!(comparison.requests.unmatched[0].reason, None);

    // The numbers of all later requests differ then, and they are matched nevertheless.
    let comparison = changed(|run| {
        run.events = vec![
            generation(0, "warmup", &[1]),
            generation(1, "warmup", &[1]),
            generation(2, "measure", &[10, 11, 12, 13]),
            generation(3, "measure", &[20, 21, 22, 23]),
        ];
    });
    assert!(comparison.verdict.is_same);
    assert_eq!(comparison.requests.unmatched[0].reason, Some(UnmatchedReason::WarmUp));
    assert_eq!(comparison.verdict.tokens.text, "all 9 equal, in 3 sequences");
    assert!(
        comparison.notes[0].contains("1 requests 'a' in the first run and 2"),
        "{:?}",
        comparison.notes
    );
}

#[test]
fn a_run_that_was_interrupted_is_compared_as_far_as_it_came() {
    let (mut first, second) = (Run::new(), Run::new());
    first.record["status"] = "interrupted".into();
    first.events.pop();
    first.events[1] = generation(1, "measure", &[10, 11]);
    first.events[1]["sequences"][0]["finish"] = "interrupted".into();
    let comparison = compared(&first, &second);
    assert!(comparison.tokens.is_same());
    assert_eq!(comparison.tokens.tokens, 3);
    assert_eq!(comparison.requests.unmatched[0].reason, Some(UnmatchedReason::CutShort));
    assert!(comparison.notes[0].contains("was interrupted"), "{:?}", comparison.notes);
}

// scipy 1.17: ttest_ind_from_stats(m1, 0.02, 10, m2, 0.03, 20, equal_var=False) has a denominator of 0.009219544457292887 and
// 25.408226221079694 degrees of freedom, for which 2 * scipy.stats.t.sf(2, df) is 0.05629723025875631. Its statistics are
// -0.9761870601839522 for a mean of 0.109 and -5.097865758738418 for 0.147.
#[test]
fn means_are_judged_as_by_welch() {
    for (mean, statistic, agreement) in [
        (0.109, -0.976_187_060_183_952_2, Agreement::Within),
        (0.147, -5.097_865_758_738_418, Agreement::Beyond),
    ] {
        let comparison = changed(|run| {
            run.record["groups"][1]["ttft_s"] = distribution(20, mean, 0.03);
        });
        let ttft = number(&comparison, "TTFT, mean");
        assert_eq!(ttft.of, "requests, measure, a");
        near(ttft.difference, mean - 0.1);
        near(ttft.uncertainty, 0.009_219_544_457_292_887);
        near(ttft.degrees_of_freedom, 25.408_226_221_079_694);
        let found = -ttft.difference.unwrap() / ttft.uncertainty.unwrap();
        near(Some(found), statistic);
        assert_eq!(ttft.agreement, agreement);
        near(ttft.effect_percent, 100.0 * (mean - 0.1) / 0.1);
        // The energy is the only other number that is judged, by the normal distribution.
        let expected = 0.056_297_230_258_756_31 + 0.045_500_263_896_358_39;
        assert!((comparison.numbers.expected_beyond - expected).abs() < 1e-9);
        // Numbers decide nothing.
        assert!(comparison.verdict.is_same);
    }
}

#[test]
fn energies_are_judged_by_their_own_uncertainty() {
    // sqrt(3^2 + 4^2) = 5
    for (value, agreement) in [(60.0, Agreement::Within), (61.0, Agreement::Beyond)] {
        let comparison = changed(|run| run.record["groups"][1]["energy"] = reading(value, 4.0));
        let energy = number(&comparison, "energy");
        near(energy.uncertainty, 5.0);
        assert_eq!(energy.agreement, agreement);
    }
}

#[test]
fn without_an_uncertainty_there_is_no_judgement() {
    let comparison = changed(|run| {
        run.record["groups"][1]["energy"] = unavailable();
        run.record["groups"][1]["ttft_s"] = distribution(1, 0.2, 0.0);
        run.record["metrics"][0]["quantity"]["value"] = 21.0.into();
    });
    let energy = number(&comparison, "energy");
    assert_eq!((energy.agreement, energy.difference), (Agreement::InOne, None));
    let ttft = number(&comparison, "TTFT, mean");
    assert_eq!((ttft.agreement, ttft.uncertainty), (Agreement::Undecided, None));
    near(ttft.difference, 0.1);
    let rate = number(&comparison, "rate");
    assert_eq!((rate.agreement, rate.of.as_str()), (Agreement::Undecided, "script, prompt=a"));
    near(rate.effect_percent, 5.0);
    assert_eq!(comparison.numbers.judged, 0);
}

#[test]
fn what_was_asked_is_compared_field_by_field() {
    let comparison = changed(|run| {
        run.events[1]["request"]["prompts"][0]["digest"] = "sha256:9".into();
        run.events[2]["request"]["sampling"] =
            json!({"temperature": 1.0, "repetition_penalty": 1.0, "first_stream": 4});
    });
    assert!(!comparison.verdict.is_same);
    let [one, other] = &comparison.requests.differences[..] else { panic!("two requests differ") };
    assert_eq!(one.fields[0].name, "prompts[0].digest");
    assert_eq!(one.fields[0].second.as_deref(), Some("sha256:9"));
    assert!(other.fields.iter().any(|field| field.name == "sampling.temperature"));
}

#[test]
fn the_method_decides_and_the_environment_does_not() {
    let comparison = changed(|run| {
        run.record["parameters"]["rounds"] = 3.into();
        run.record["components"][0]["digest"] = "sha256:9".into();
    });
    assert!(!comparison.verdict.is_same);
    let names: Vec<&str> =
        comparison.method.iter().map(|difference| difference.name.as_str()).collect();
    assert_eq!(names, ["experiment: digest", "parameter rounds"]);

    // An older record says less.
    let comparison = changed(|run| run.record["limits"] = json!({"models": 16, "resources": 9}));
    assert!(comparison.verdict.is_same);

    let comparison = changed(|run| {
        run.record["host"]["cpu"] = "another".into();
        run.record["host"]["simd"] = "avx2".into();
        run.record["environment"] = json!({"RAYON_NUM_THREADS": "1"});
    });
    assert!(comparison.verdict.is_same);
    assert_eq!(comparison.verdict.environment.text, "3 differences");
    assert_eq!(comparison.environment[0].first.as_deref(), Some("a processor"));
    assert_eq!(comparison.environment[0].second.as_deref(), Some("another"));
}

#[test]
fn a_component_built_again_from_python_may_have_other_bytes_but_not_other_code() {
    let source = |digest: &str, language: &str| {
        json!({"language": language, "file": "a.py", "file_digest": "sha256:f", "digest": digest,
            "tools": {"componentize-py": "0.1"}, "sdk": "sha256:s"})
    };
    for (language, digest, is_same) in
        [("python", "sha256:a", true), ("python", "sha256:b", false), ("rust", "sha256:a", false)]
    {
        let (mut first, mut second) = (Run::new(), Run::new());
        first.record["components"][0]["source"] = source("sha256:a", language);
        second.record["components"][0]["source"] = source(digest, language);
        second.record["components"][0]["digest"] = "sha256:9".into();
        let comparison = compared(&first, &second);
        assert_eq!(comparison.verdict.is_same, is_same, "{language} {digest}");
        assert_eq!(comparison.notes.len(), usize::from(is_same));
    }
}

#[test]
fn the_largest_difference_of_scores_is_named() {
    let (mut first, mut second) = (Run::new(), Run::new());
    first.events.push(score(&[-1.0, -2.0]));
    second.events.push(score(&[-1.0, -2.25]));
    let comparison = compared(&first, &second);
    assert_eq!((comparison.scores.results, comparison.scores.equal), (2, 1));
    let largest = comparison.scores.largest.as_ref().unwrap();
    assert_eq!((largest.request, largest.difference), (1, -0.25));
    assert!(comparison.verdict.is_same, "a log-likelihood is a number");
    second.events.last_mut().unwrap()["results"][0]["is_greedy"] = true.into();
    assert!(!compared(&first, &second).verdict.is_same);
}

#[test]
fn sequences_of_batches_are_compared_by_their_requests() {
    let batch = |tokens: &[u32]| {
        let asked = generation(7, "measure", &[])["request"].take();
        let sequence = generation(7, "measure", tokens)["sequences"][0].take();
        let progress = json!({"label": "b", "phase": "measure", "name": 4, "prompt_tokens": 3, "submitted_ns": 0,
            "first": 0, "tokens": [1, 2], "token_ns": [1, 2]});
        [
            json!({"t_ns": 1, "event": "batch-request", "label": "b", "phase": "measure", "model": 0, "batch": 0,
                "sequences": [3, 4], "arrival_ns": 0, "request": asked}),
            json!({"t_ns": 2, "event": "batch-progress", "model": 0, "batch": 0, "sequences": [progress]}),
            json!({"t_ns": 3, "event": "batch-sequence", "label": "b", "phase": "measure", "model": 0, "batch": 0,
                "request": 7, "name": 4, "sequence": sequence}),
        ]
    };
    let (mut first, mut second) = (Run::new(), Run::new());
    first.events.extend(batch(&[1, 2, 3]));
    second.events.extend(batch(&[1, 2, 5]));
    let comparison = compared(&first, &second);
    let [difference] = &comparison.tokens.differences[..] else { panic!("one sequence differs") };
    assert_eq!(
        (difference.request.label.as_str(), difference.sequence, difference.position),
        ("b", 1, 2)
    );
    assert_eq!((difference.first, difference.second), (Some(3), Some(5)));
}

#[test]
fn without_a_journal_nothing_is_claimed_about_tokens() {
    let folders = [Run::new().written(), Run::new().written()];
    fs::remove_file(folders[1].path().join("events.jsonl")).unwrap();
    let [first, second] =
        folders.each_ref().map(|folder| ComparedRun::open(folder.path()).unwrap());
    let verdict = Comparison::new(&first, &second, Vec::new()).verdict;
    assert_eq!((verdict.tokens.is_same, verdict.is_same), (None, false));
}

#[test]
fn what_is_no_run_is_refused_by_name() {
    let refused = |path: &Path| ComparedRun::open(path).err().unwrap();
    assert!(matches!(refused(Path::new("/nowhere")), Error::Io { .. }));
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(refused(folder.path()), Error::NoRecord { .. }));
    for (change, kind) in [
        (json!({"schema_version": "4.0"}), "schema version \"4.0\""),
        (json!({"status": "running"}), "llem recover"),
    ] {
        let mut run = Run::new();
        run.record.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let error = refused(run.written().path()).to_string();
        assert!(error.contains(kind), "{error}");
    }
}

#[test]
fn a_comparison_is_read_back_from_its_json() {
    let comparison = changed(|run| run.events[2] = generation(2, "measure", &[1]));
    let text = serde_json::to_string(&comparison).unwrap();
    let back: Comparison = serde_json::from_str(&text).unwrap();
    assert_eq!(serde_json::to_string(&back).unwrap(), text);
}
