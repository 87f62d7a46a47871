//! Projects in every language, made from the templates and built with the language's own tools. Where a tool is not installed,
//! the tests of its language are left out, unless `LLEM_GUEST_TOOLS` is `required`.

use crate::support::TestContext;
use serde_json::Value;
use std::fs;

/// A language as `llem new` knows it, the file of its experiment, and a line that breaks it with the words that its tool says.
struct Case {
    language: &'static str,
    entry: &'static str,
    broken: &'static str,
    words: &'static str,
}

const PYTHON: Case = Case {
    language: "python",
    entry: "my_method.py",
    broken: "def broken(:\n",
    words: "SyntaxError",
};
const JAVASCRIPT: Case =
    Case { language: "js", entry: "my_method.js", broken: "let = ;\n", words: "my_method.js:" };
const TYPESCRIPT: Case =
    Case { language: "ts", entry: "my_method.ts", broken: "let = ;\n", words: "my_method.ts:" };
const C: Case =
    Case { language: "c", entry: "my_method.c", broken: "int broken(;\n", words: "my_method.c:" };
const RUST: Case =
    Case { language: "rust", entry: "src/lib.rs", broken: "fn broken(\n", words: "src/lib.rs:" };

fn experiment(case: &Case) {
    let context = TestContext::new();
    if context.built_project(case.language, "my-method", &[]).is_none() {
        return;
    }
    let project = context.folder.path().join("my-method");
    assert!(project.join("my-method.wasm").is_file());
    let run = |what: &str| -> Value {
        context.llem_with_projects(&["exec", what, "-p", "prompts=2", "-p", "new-tokens=3"]).ok();
        let record = context.record();
        fs::remove_dir_all(context.folder.path().join("run")).unwrap();
        record
    };
    let [folder, component] = ["my-method", "my-method/my-method.wasm"].map(run);
    assert_eq!(folder["components"][0]["name"], "my-method");
    assert_eq!(folder["components"][0]["digest"], component["components"][0]["digest"]);
    assert!(component["components"][0].get("source").is_none());
    let source = &folder["components"][0]["source"];
    assert_eq!(source["file"], case.entry);
    assert!(!source["tools"].as_object().unwrap().is_empty());
    if case.language != "rust" {
        let script = run(&format!("my-method/{}", case.entry));
        assert_eq!(script["components"][0]["name"], "my-method");
    }

    let tested = context.llem_with_projects(&["test", "my-method"]);
    assert_eq!(tested.code, Some(0), "{}{}", tested.stdout, tested.stderr);

    let entry = project.join(case.entry);
    let text = fs::read_to_string(&entry).unwrap();
    fs::write(&entry, text + case.broken).unwrap();
    let ran = context.llem_with_projects(&["exec", "my-method"]);
    assert_eq!(ran.code, Some(1), "{}", ran.stderr);
    for words in ["failed with exit code", case.words] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
}

/// Builds a policy of each kind, and runs the three together.
fn policies(language: &str) {
    let context = TestContext::new();
    let mut args = vec!["exec"];
    for (kind, option) in
        [("warmup", "--warmup"), ("workload", "--workload"), ("metrics", "--metrics")]
    {
        if context.built_project(language, kind, &["--policy", kind]).is_none() {
            return;
        }
        args.extend([option, kind]);
    }
    context.llem_with_projects(&args).ok();
    let record = context.record();
    let components = record["components"].as_array().unwrap();
    let given = components.iter().filter(|component| component["source"].is_object());
    let roles: Vec<&str> = given.map(|component| component["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["warmup", "workload", "metrics"]);
}

#[test]
fn a_python_project_runs_from_its_template() {
    experiment(&PYTHON);
}

#[test]
fn a_javascript_project_runs_from_its_template() {
    experiment(&JAVASCRIPT);
}

#[test]
fn a_typescript_project_runs_from_its_template() {
    experiment(&TYPESCRIPT);
}

#[test]
fn a_c_project_runs_from_its_template() {
    experiment(&C);
}

#[test]
fn a_rust_project_runs_from_its_template() {
    experiment(&RUST);
}

#[test]
fn policies_in_python_run_from_their_templates() {
    policies("python");
}

#[test]
fn policies_in_javascript_run_from_their_templates() {
    policies("js");
}

#[test]
fn policies_in_typescript_run_from_their_templates() {
    policies("ts");
}

#[test]
fn policies_in_c_run_from_their_templates() {
    policies("c");
}

#[test]
fn policies_in_rust_run_from_their_templates() {
    policies("rust");
}
