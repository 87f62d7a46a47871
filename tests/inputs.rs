//! Datasets reach a script as their files have them.

use crate::support::{CommandOutput, TestContext, fixtures, guest, of_kind};

fn logged(context: &TestContext) -> Vec<String> {
    let events = context.events();
    let logs = of_kind(&events, "log").into_iter().filter(|log| log["level"] == "info");
    logs.map(|log| log["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn cells_of_a_csv_file_stay_text_until_a_number_is_asked_for() {
    let context = TestContext::new();
    let cells = ["007", "42", "9223372036854775808", "0x1"];
    let file = context
        .file("rows.csv", format!("prompt,n\n{}", cells.map(|c| format!("{c},1\n")).concat()));
    let grant = format!("rows={file}");
    context.llem(&["exec", &guest("reads_rows"), "--dataset", &grant]).ok();
    let seen: Vec<String> =
        logged(&context).into_iter().filter(|line| line.starts_with('[')).collect();
    let row = |cell| format!("[(\"prompt\", Value::Text({cell:?})), (\"n\", Value::Text(\"1\"))]");
    assert_eq!(seen, cells.map(row));

    let context = TestContext::new();
    let args = ["exec", &guest("reads_rows"), "--dataset", &grant, "-p", "column=prompt"];
    context.llem(&args).refused(2, &["row 3", "'prompt'", "0x1", "a whole number (u64)"]);
    let numbers: Vec<String> =
        logged(&context).into_iter().filter(|line| line.starts_with("number")).collect();
    assert_eq!(numbers, ["number 7", "number 42", "number 9223372036854775808"]);
}

/// Runs the quickstart on a dataset, each prompt once.
fn quickstart(context: &TestContext, file: &str, column: &str) -> CommandOutput {
    let (grant, column) = (format!("prompts={file}"), format!("prompt-column={column}"));
    let mut args = vec!["exec", "quickstart", "--dataset", &grant, "-p", &column];
    args.extend(["-p", "prompts=100", "-p", "rounds=1", "-p", "new-tokens=2"]);
    context.llem(&args)
}

/// Returns the labels of the measured requests, which hold the prompts' lengths.
fn measured(context: &TestContext) -> Vec<String> {
    let record = context.record();
    let groups = record["groups"].as_array().unwrap();
    let measured = groups.iter().filter(|group| group["phase"] == "measure");
    measured.map(|group| group["label"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn prompts_are_read_to_the_letter_from_what_people_have() {
    let digits = "prompt,id\nwhat year is it,a\n2024,b\n007,c\n\"1e55\",d\n+,e\n\"two\nlines, and \"\"quotes\"\"\",f\n";
    let share_gpt = fixtures().join("datasets/published/sharegpt.json");
    let context = TestContext::new();
    let csv = context.file("digits.csv", digits);
    let windows = context.file(
        "windows.jsonl",
        "\u{feff}{\"question\": \"a\u{2028}b\"}\r\n{\"question\": \"null\"}\r\n",
    );
    for (file, column, lengths) in [
        (&*csv, "prompt", &[1, 3, 4, 4, 15, 23][..]),
        (&windows, "question", &[4, 5]),
        (share_gpt.to_str().unwrap(), "prompt", &[5, 5]),
    ] {
        let context = TestContext::new();
        quickstart(&context, file, column).ok();
        let mut lengths = lengths.to_vec();
        lengths.dedup();
        let labels: Vec<String> = lengths.iter().map(|bytes| format!("{bytes} bytes")).collect();
        assert_eq!(measured(&context), labels, "{file}");
    }
}

#[test]
fn a_prompt_that_is_none_is_refused_where_it_stands() {
    let context = TestContext::new();
    let line = "{\"prompt\": \"hello there\"}\n";
    for (file, content, words) in [
        (
            "null.jsonl",
            format!("{line}{{\"prompt\": null}}\n"),
            &["line 2", "'prompt' is null"][..],
        ),
        (
            "list.jsonl",
            format!("{line}\n{{\"prompt\": [\"a\"]}}\n"),
            &["line 3", "'prompt' is a list"],
        ),
        (
            "alpaca.json",
            "[{\"instruction\": \"a\", \"output\": \"b\"}]".to_owned(),
            &["there is no column 'prompt'", "'instruction', 'output'", "-p prompt-column=NAME"],
        ),
        ("none.jsonl", String::new(), &["'prompts'", "has no prompts"]),
    ] {
        let path = context.file(file, content);
        let ran = TestContext::new().llem(&[
            "exec",
            "quickstart",
            "--dataset",
            &format!("prompts={path}"),
        ]);
        ran.refused(2, words);
        if file != "none.jsonl" {
            ran.refused(2, &[file]);
        }
    }
}
