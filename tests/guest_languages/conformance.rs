//! Every function of the contract, called from Rust, Python, JavaScript and C over the raw bindings: the answers are
//! what the table of `tests/conformance/calls` says, and they are equal in all languages.
//!
//! ```text
//! calls/*.json ──generate──► a source in each language ──build──► calls-LANGUAGE.wasm ──llem exec──► answers.jsonl
//! ```
//!
//! The runs are on the synthetic host, whose clock is virtual, so that times and energies are equal too.

use crate::{guest_tools, support::TestContext};
use serde_json::{Map, Value};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, OnceLock, PoisonError},
};
use wit_parser::{Resolve, WorldItem};

/// The rows of the dataset that the guests read.
const ROWS: &str = r#"{"text":"one","n":1,"x":0.5,"ok":true,"list":[1,2]}
{"text":"zwölf","n":9223372036854775807,"x":-1e300,"ok":false,"list":{}}
{"text":"","n":18446744073709551615,"x":3,"ok":null,"list":[]}
"#;

/// From this on, componentize-qjs gives a `u64` to JavaScript as a negative number.
const NEGATIVE_IN_JAVASCRIPT: u64 = u64::MAX << 31;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance")
}

/// Returns the path of a component, which is built if its sources or tools have changed.
fn component(name: &str, language: &str) -> String {
    static BUILD: Mutex<()> = Mutex::new(());
    let _one_at_a_time = BUILD.lock().unwrap_or_else(PoisonError::into_inner);
    let built =
        Path::new(env!("CARGO_BIN_EXE_llem")).ancestors().nth(2).unwrap().join("conformance");
    let mut build = Command::new(folder().join("build"));
    let status = build.arg(&built).arg(language).status().unwrap();
    assert!(status.success(), "tests/conformance/build {language} failed");
    built.join(format!("{name}-{language}.wasm")).to_str().unwrap().to_owned()
}

/// Returns the table, as `tests/conformance/generate` prints it.
fn table() -> &'static Value {
    static TABLE: OnceLock<Value> = OnceLock::new();
    TABLE.get_or_init(|| {
        let output = Command::new(folder().join("generate")).arg("table").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

/// Returns the calls of the table, each with the name of its case, its number and its language-independent form.
fn calls() -> impl Iterator<Item = (&'static str, usize, &'static Map<String, Value>)> {
    let cases = table()["cases"].as_array().unwrap().iter();
    cases.flat_map(|case| {
        let steps = case["steps"].as_array().unwrap().iter().enumerate();
        let name = case["case"].as_str().unwrap();
        let steps = steps.map(move |(number, step)| (name, number, step.as_object().unwrap()));
        steps.filter(|(_, _, step)| step.contains_key("call"))
    })
}

/// Runs the guest of a language, and returns its answers: an object with `case`, `step` and `answer` for each call.
fn answers(language: &str) -> Vec<Value> {
    let context = TestContext::new();
    context.file("rows.jsonl", ROWS);
    let guest = component("calls", language);
    let options = ["--synthetic-host", "--seed", "7", "--dataset", "rows=rows.jsonl"];
    context.llem(&[&["exec", &guest][..], &options].concat()).ok();
    let path = context.folder.path().join("run/artifacts/answers.jsonl");
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Returns the answers of the guest in Rust, with which all others are compared.
fn answers_of_rust() -> &'static [Value] {
    static ANSWERS: OnceLock<Vec<Value>> = OnceLock::new();
    ANSWERS.get_or_init(|| answers("rust"))
}

/// Returns the number of a text such as `f64:3ff0000000000000`.
fn float(text: &str) -> Option<f64> {
    let (kind, bits) = text.split_once(':')?;
    match kind {
        _ if bits == "nan" => Some(f64::NAN),
        "f32" => Some(f32::from_bits(u32::from_str_radix(bits, 16).ok()?).into()),
        "f64" => Some(f64::from_bits(u64::from_str_radix(bits, 16).ok()?)),
        _ => None,
    }
}

/// Returns whether an answer is the expected value, in the notation of the table.
fn is_expected(expected: &Value, answer: &Value) -> bool {
    match (expected, answer) {
        (Value::Number(expected), Value::String(text)) => match float(text) {
            Some(number) if text.starts_with("f32") => {
                expected.as_f64().unwrap() as f32 == number as f32
            }
            Some(number) => expected.as_f64() == Some(number),
            None => expected.to_string() == *text,
        },
        (Value::String(expected), Value::String(text)) => match (float(text), expected.as_str()) {
            (Some(number), "nan") => number.is_nan(),
            (Some(number), "inf") => number == f64::INFINITY,
            (Some(number), "-inf") => number == f64::NEG_INFINITY,
            _ => match expected.strip_suffix('*') {
                Some(beginning) => text.starts_with(beginning),
                None => expected == text,
            },
        },
        (Value::Array(expected), Value::Array(items)) => {
            let mut pairs = expected.iter().zip(items);
            expected.len() == items.len() && pairs.all(|(one, item)| is_expected(one, item))
        }
        (Value::Object(expected), Value::Object(fields)) => {
            let is_field = |(name, one): (&String, &Value)| {
                fields.get(name).is_some_and(|field| is_expected(one, field))
            };
            expected.len() == fields.len() && expected.iter().all(is_field)
        }
        _ => expected == answer,
    }
}

/// Returns why an answer is not what its step says, if so.
fn objection(step: &Map<String, Value>, answer: &Value) -> Option<String> {
    if let Some(code) = step.get("error") {
        let got = &answer["error"]["code"];
        let is_right = if code == "*" { got.is_string() } else { got == code };
        return (!is_right).then(|| format!("the error {code}"));
    }
    if let Some(bounds) = step.get("between") {
        let number = answer.as_f64().or_else(|| answer.as_str()?.parse().ok());
        let (low, high) = (bounds[0].as_f64().unwrap(), bounds[1].as_f64().unwrap());
        let is_right = number.is_some_and(|number| low <= number && number <= high);
        return (!is_right).then(|| format!("a number in {bounds}"));
    }
    let expected = step.get("is")?;
    (!is_expected(expected, answer)).then(|| expected.to_string())
}

/// Fails if no case calls a function, and if the table's reader of WIT sees other functions than wit-parser.
#[test]
fn every_function_is_called() {
    assert_eq!(table()["uncalled"], serde_json::json!([]));
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(folder().join("../../wit")).unwrap();
    let world = resolve.select_world(&[package], Some("host")).unwrap();
    let interfaces = resolve.worlds[world].imports.values();
    let functions: usize = interfaces
        .map(|item| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.len(),
            _ => 0,
        })
        .sum();
    assert!(functions > 300, "{functions}");
    assert_eq!(table()["functions"], functions);
}

#[test]
fn the_answers_are_those_of_the_contract() {
    let answers = answers_of_rust();
    assert_eq!(calls().count(), answers.len(), "a case ended early");
    let wrong: Vec<String> = calls()
        .zip(answers)
        .filter_map(|((case, number, step), line)| {
            assert_eq!(
                (line["case"].as_str(), line["step"].as_u64()),
                (Some(case), Some(number as u64))
            );
            let expected = objection(step, &line["answer"])?;
            Some(format!("{case}, step {number}: {} rather than {expected}", line["answer"]))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Compares the answers of a language with those of Rust, both seen through `view`.
fn are_those_of_rust(language: &str, view: fn(&Value) -> Value) {
    if !guest_tools::are_required() {
        println!("left out: the tools of {language} need not be installed");
        return;
    }
    let expected: Vec<_> = calls()
        .zip(answers_of_rust())
        .filter(|((_, _, step), _)| step["except"].get(language).is_none())
        .collect();
    let answers = answers(language);
    assert_eq!(expected.len(), answers.len(), "a case ended early");
    let wrong: Vec<String> = expected
        .iter()
        .zip(&answers)
        .filter_map(|(((case, number, step), rust), line)| {
            assert_eq!((&rust["case"], &rust["step"]), (&line["case"], &line["step"]));
            let (rust, answer) = (&rust["answer"], &line["answer"]);
            let is_equal = match step.contains_key("varies") {
                true => objection(step, answer).is_none(),
                false => view(rust) == view(answer),
            };
            (!is_equal).then(|| format!("{case}, step {number}: {answer} rather than {rust}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Returns an answer as JavaScript sees it. In componentize-qjs 0.4.5 an integer of 64 bits is a number: it is rounded
/// to 53 bits, and a `u64` within 2^31 of 2^64 becomes negative.
fn as_javascript_sees_it(answer: &Value) -> Value {
    match answer {
        Value::String(text) => match text.parse::<f64>() {
            Ok(_) if text.parse::<u64>().is_ok_and(|one| one >= NEGATIVE_IN_JAVASCRIPT) => {
                (text.parse::<u64>().unwrap() as i64 as f64).into()
            }
            Ok(number) if text.bytes().all(|byte| byte == b'-' || byte.is_ascii_digit()) => {
                number.into()
            }
            _ => answer.clone(),
        },
        Value::Array(items) => items.iter().map(as_javascript_sees_it).collect(),
        Value::Object(fields) => {
            let seen =
                fields.iter().map(|(name, field)| (name.clone(), as_javascript_sees_it(field)));
            Value::Object(seen.collect())
        }
        _ => answer.clone(),
    }
}

#[test]
fn the_answers_in_python_are_those_in_rust() {
    are_those_of_rust("python", Value::clone);
}

#[test]
fn the_answers_in_javascript_are_those_in_rust() {
    are_those_of_rust("javascript", as_javascript_sees_it);
}

#[test]
fn the_answers_in_c_are_those_in_rust() {
    are_those_of_rust("c", Value::clone);
}

/// Includes the tokens that are sampled, the random numbers and all times of the virtual clock.
#[test]
fn a_second_run_gives_the_same_answers() {
    let again = answers("rust");
    for (((case, number, step), first), second) in calls().zip(answers_of_rust()).zip(&again) {
        assert!(first == second || step.contains_key("varies"), "{case}, step {number}: {second}");
    }
}

/// Runs a warm-up, a workload and metrics, each in a language, and returns the events that tell no date and no file.
fn composed(languages: [&str; 3]) -> Vec<Value> {
    let context = TestContext::new();
    let policies = ["warmup", "workload", "metrics"];
    let [warmup, workload, metrics] = [0, 1, 2].map(|at| component(policies[at], languages[at]));
    let options = ["--warmup", &warmup, "--workload", &workload, "--metrics", &metrics];
    context.llem(&[&["exec", "--synthetic-host", "--seed", "7"][..], &options].concat()).ok();
    let kept = ["log", "generation", "metric", "phase-began", "phase-ended"];
    let is_kept = |event: &Value| kept.contains(&event["event"].as_str().unwrap());
    context.events().into_iter().filter(is_kept).collect()
}

#[test]
fn policies_of_different_languages_make_one_run() {
    if !guest_tools::are_required() {
        println!("left out: the tools of other languages need not be installed");
        return;
    }
    let alone = composed(["rust"; 3]);
    let value = |name: &str| {
        let metric = alone.iter().find(|event| event["event"] == "metric" && event["name"] == name);
        metric.and_then(|metric| metric["quantity"]["value"].as_f64()).unwrap()
    };
    // Three requests with three decode steps each, of 5 ms on the synthetic host.
    assert!((value("decode_time") - 0.045).abs() < 1e-12, "{alone:?}");
    assert!(value("token_sum") > 0.0, "{alone:?}");
    for languages in
        [["c", "c", "c"], ["python", "rust", "c"], ["c", "python", "rust"], ["rust", "c", "python"]]
    {
        assert_eq!(composed(languages), alone, "{languages:?}");
    }
}
