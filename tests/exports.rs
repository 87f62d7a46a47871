//! `llem export` writes runs for other tools. What is in the files is tested in host/export/tests.

use crate::support::TestContext;
use std::fs;

/// A context with a run of `quickstart` on the synthetic host.
fn run() -> TestContext {
    let context = TestContext::new();
    context.llem(&["exec", "quickstart", "--synthetic-host", "-p", "rounds=1"]).ok();
    context
}

#[test]
fn a_run_is_exported_to_each_tool_and_none_is_overwritten() {
    let context = run();
    let help = context.llem(&["export", "--help"]).ok().stdout;
    for tool in ["mlflow", "wandb", "codecarbon", "llenergymeasure"] {
        assert!(help.contains(&format!("- {tool}")), "{help}");
        let args = ["export", "run", "--to", tool, "--output", &format!("out/{tool}")];
        fs::create_dir_all(context.folder.path().join("out")).unwrap();
        let told = context.llem(&args).ok().stdout;
        let path = told.lines().next().unwrap().strip_prefix("export ").unwrap();
        assert!(context.folder.path().join(path).exists(), "{told}");
        context.llem(&args).refused(2, &["already", "--output"]);
    }
}

#[test]
fn what_cannot_be_exported_is_refused_with_the_remedy() {
    let context = run();
    context.llem(&["export", "nowhere", "--to", "mlflow", "-o", "out"]).refused(2, &["nowhere"]);
    context
        .llem(&["export", "run", "--to", "tensorboard", "-o", "out"])
        .refused(2, &["tensorboard"]);
    let twice = ["export", "run", "run/run.json", "--to", "wandb", "-o", "out"];
    context.llem(&twice).refused(2, &["twice"]);
    assert!(!context.folder.path().join("out").exists());
}
