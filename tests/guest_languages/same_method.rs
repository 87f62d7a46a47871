//! The same method in every guest language, on the synthetic host: the same requests, tokens and metrics, policies of
//! three languages in one run, and errors in the words of each language.

use crate::{
    guest_tools,
    support::{CommandOutput, TestContext, of_kind},
};
use serde_json::{Value, json};
use std::fs;

/// The languages of `llem new`.
const LANGUAGES: [&str; 5] = ["rust", "python", "js", "ts", "c"];

/// Makes and builds the example experiment of a language. Returns `None` if its tools are not installed and not required.
fn experiment(language: &str) -> Option<TestContext> {
    let context = TestContext::new();
    context.built_project(language, "my-method", &[])?;
    Some(context)
}

/// Runs the example experiment anew.
fn run(context: &TestContext, options: &[&str]) {
    let _ = fs::remove_dir_all(context.folder.path().join("run"));
    context.llem_with_projects(&[&["exec", "my-method"], options].concat()).ok();
}

/// Label, prompt and output lengths, and tokens of each request.
fn requests(context: &TestContext) -> Vec<Value> {
    let events = context.events();
    let request = |event: &&Value| {
        let sequence = &event["sequences"][0];
        json!([event["window"]["label"], sequence["prompt_tokens"], sequence["tokens"]])
    };
    of_kind(&events, "generation").iter().map(request).collect()
}

/// Name, value, uncertainty and unit of each metric.
fn metrics(context: &TestContext) -> Vec<(String, f64, f64, String)> {
    let record = context.record();
    let metric = |metric: &Value| {
        let (name, quantity) = (&metric["name"], &metric["quantity"]);
        let [name, unit] = [name, &quantity["unit"]].map(|text| text.as_str().unwrap().to_owned());
        let value = quantity["value"].as_f64().unwrap();
        (name, value, quantity["uncertainty"].as_f64().unwrap_or(0.0), unit)
    };
    record["metrics"].as_array().unwrap().iter().map(metric).collect()
}

/// Compares two metrics to 1e-12 of the value.
fn assert_same_metrics(
    one: &[(String, f64, f64, String)],
    other: &[(String, f64, f64, String)],
    what: &str,
) {
    assert_eq!(one.len(), other.len(), "{what}: {one:?} {other:?}");
    for (one, other) in one.iter().zip(other) {
        assert_eq!((&one.0, &one.3), (&other.0, &other.3), "{what}");
        let most = 1e-12 * one.1.abs();
        assert!((one.1 - other.1).abs() <= most, "{what}: {one:?} {other:?}");
        assert!((one.2 - other.2).abs() <= most, "{what}: {one:?} {other:?}");
    }
}

#[test]
fn one_experiment_measures_the_same_in_every_language() {
    let mut reference: Option<(Vec<Value>, Vec<_>)> = None;
    for language in LANGUAGES {
        let Some(context) = experiment(language) else { continue };
        run(&context, &["--synthetic-host", "--seed", "7"]);
        let (asked, derived) = (requests(&context), metrics(&context));
        // Five of the warm-up, eight that are measured, of several lengths.
        assert_eq!(asked.len(), 13, "{language}");
        let names: Vec<&str> = derived.iter().map(|metric| metric.0.as_str()).collect();
        let expected = ["ttft_mean", "ttft_p90", "decode_rate", "joules_per_output_token"];
        assert_eq!(names, expected, "{language}");
        match &reference {
            None => reference = Some((asked, derived)),
            Some((first_asked, first_derived)) => {
                assert_eq!(&asked, first_asked, "{language}");
                assert_same_metrics(&derived, first_derived, language);
            }
        }
    }
    let Some((asked, _)) = reference else { return };
    assert!(asked.iter().any(|request| request[0] != asked[0][0]), "lengths are drawn: {asked:?}");
}

#[test]
fn another_seed_draws_other_lengths_in_every_language() {
    for language in ["python", "js", "c"] {
        let Some(context) = experiment(language) else { continue };
        let mut drawn = Vec::new();
        for seed in ["1", "1", "2"] {
            run(&context, &["--synthetic-host", "--seed", seed]);
            drawn.push(requests(&context));
        }
        assert_eq!(drawn[0], drawn[1], "{language}");
        assert!(drawn[0] != drawn[2], "{language}");
    }
}

/// Real passes of a real (tiny) model: the tokens depend on it, and on the method's requests.
#[test]
fn tokens_of_a_model_are_the_same_in_every_language() {
    let mut reference = None;
    for language in LANGUAGES {
        let Some(context) = experiment(language) else { continue };
        run(&context, &["-p", "prompts=3", "-p", "new-tokens=4", "--seed", "3"]);
        let asked = requests(&context);
        assert_eq!(asked.len(), 8, "{language}");
        assert_eq!(reference.get_or_insert(asked.clone()), &asked, "{language}");
    }
}

#[test]
fn policies_of_three_languages_make_one_run() {
    let mut reference = None;
    let orders = [
        ["python", "js", "rust"],
        ["js", "c", "python"],
        ["c", "rust", "ts"],
        ["rust", "python", "c"],
    ];
    for languages in orders {
        let context = TestContext::new();
        let kinds = ["warmup", "workload", "metrics"].into_iter().zip(languages);
        let make = |(kind, language)| context.built_project(language, kind, &["--policy", kind]);
        if kinds.map(make).any(|made| made.is_none()) {
            continue;
        }
        let policies = ["--warmup", "warmup", "--workload", "workload", "--metrics", "metrics"];
        let args = [&["exec", "--synthetic-host"], &policies[..]].concat();
        context.llem_with_projects(&args).ok();
        let (asked, derived) = (requests(&context), metrics(&context));
        assert!(!asked.is_empty() && !derived.is_empty(), "{languages:?}");
        let (first_asked, first_derived) =
            reference.get_or_insert((asked.clone(), derived.clone()));
        assert_eq!(&asked, first_asked, "{languages:?}");
        assert_same_metrics(&derived, first_derived, &languages.join(", "));
    }
}

/// Runs a file that fails, and returns how the run ended. Returns `None` if its tools are not installed and not required.
fn failing(name: &str, source: &str) -> Option<(TestContext, CommandOutput)> {
    let context = TestContext::new();
    let file = context.file(name, source);
    let output = context.llem_with_projects(&["exec", &file, "--synthetic-host"]);
    let is_missing = output.stderr.contains("was not found") && !guest_tools::are_required();
    (!is_missing).then_some((context, output))
}

/// The log lines of a run, one after another.
fn log(context: &TestContext) -> String {
    let events = context.events();
    let message = |event: &&Value| event["message"].as_str().unwrap_or_default().to_owned();
    of_kind(&events, "log").iter().map(message).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_python_exception_shows_its_traceback() {
    let source = "import llem_sdk\n\n\
        def about():\n    return llem_sdk.About('failing', '0.1.0', 'Fails.')\n\n\
        def lengths():\n    return {}['missing']\n\n\
        def run():\n    lengths()\n\n\
        llem_sdk.experiment(about, run)\n";
    let Some((context, output)) = failing("failing.py", source) else { return };
    output.refused(1, &["KeyError", "missing", "failing.py", "7"]);
    let log = log(&context);
    for line in
        ["Traceback (most recent call last)", "failing.py\", line 10, in run", "line 7, in lengths"]
    {
        assert!(log.contains(line), "{line}: {log}");
    }
}

#[test]
fn a_javascript_error_shows_its_stack() {
    let of_types = [("failing.js", ""), ("failing.ts", ": number")];
    for (file, of_type) in of_types {
        let source = format!(
            "import {{ About, experiment }} from \"@llem/sdk\";\n\n\
             function lengths(count{of_type}) {{\n  throw new RangeError(`no ${{count}} lengths`);\n}}\n\n\
             export const script = experiment({{\n  \
             about: () => new About(\"failing\", \"0.1.0\", \"Fails.\"),\n  \
             run: () => lengths(3),\n}});\n"
        );
        let Some((context, output)) = failing(file, &source) else { continue };
        output.refused(1, &["RangeError", "no 3 lengths", file, "4"]);
        let log = log(&context);
        for frame in [format!("{file}:4"), format!("{file}:9")] {
            assert!(log.contains(&frame), "{frame}: {log}");
        }
    }
}
