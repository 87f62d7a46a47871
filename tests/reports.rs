//! `llem report`: files that are binary or several, and what is refused. What the files hold is tested in `host/report`.

use crate::support::TestContext;
use std::{fs, path::Path};

/// A run of `quickstart`, as llem recorded it.
fn quickstart() -> String {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("../report/tests/data/quickstart");
    run.canonicalize().unwrap().display().to_string()
}

#[test]
fn each_chart_is_drawn_into_the_folder_and_named() {
    let context = TestContext::new();
    for format in ["svg", "pdf"] {
        let folder = context.folder.path().join("drawings").join(format);
        let args = ["report", &quickstart(), "--format", format, "-o", folder.to_str().unwrap()];
        let output = context.llem(&args).ok();
        let named: Vec<&str> =
            output.stdout.lines().map(|line| line.strip_prefix("figure ").unwrap()).collect();
        let mut expected: Vec<_> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().path().display().to_string())
            .collect();
        expected.sort_unstable();
        let mut sorted = named.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, expected);
        assert!(named.iter().any(|path| path.ends_with(&format!("latency-ttft.{format}"))));
    }
}

#[test]
fn drawings_are_as_wide_as_asked() {
    let context = TestContext::new();
    let run = quickstart();
    let args = ["report", &run, "--format", "svg", "--width", "170", "-o", "drawings"];
    context.llem(&args).ok();
    let drawing = context.folder.path().join("drawings/latency-ttft.svg");
    assert!(fs::read_to_string(drawing).unwrap().contains("width=\"170mm\""));
}

#[test]
fn what_cannot_be_drawn_is_refused_with_the_remedy() {
    let context = TestContext::new();
    let (run, file) = (quickstart(), context.file("file", ""));
    let refused = |args: &[&str], words: &[&str]| {
        context.llem(&[&["report", &run][..], args].concat()).refused(2, words);
    };
    refused(&["--format", "svg"], &["--format svg", "--output"]);
    refused(&["--format", "pdf"], &["--format pdf", "--output"]);
    refused(&["--format", "pdf", "-o", &file], &["is a file", "--output"]);
    refused(&["--format", "svg", "-o", "x", "--width", "8"], &["--width 8", "60 to 400 mm"]);
    refused(&["--format", "svg", "-o", "x", "--width", "NaN"], &["--width NaN", "60 to 400 mm"]);
    refused(&["--format", "csv", "--width", "84"], &["--width", "--format svg"]);
    refused(&["--format", "png"], &["png", "--format"]);
}

#[test]
fn parquet_goes_to_a_file_or_a_pipe() {
    let context = TestContext::new();
    let file = context.file("numbers.parquet", "");
    let run = quickstart();
    context.llem(&["report", &run, "--format", "parquet", "-o", &file]).ok();
    let written = fs::read(&file).unwrap();
    let mut command = context.command(&["report", &run, "--format", "parquet"]);
    let piped = command.output().unwrap();
    assert!(piped.status.success());
    assert_eq!(piped.stdout, written);
    assert!(written.starts_with(b"PAR1") && written.ends_with(b"PAR1"));
}
