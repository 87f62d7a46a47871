//! Text from scripts, records, models and file names does not control or flood a terminal.
#![cfg(target_os = "linux")]

use crate::{
    support::{CommandOutput, TestContext, fixtures, guest, signal},
    terminals::{fill, on_terminal, pipe},
};
use serde_json::Value;
use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

/// A window title, a cleared screen, text that is hidden, a colour by a C1 character, DEL, text that runs backwards, an
/// isolate, a space of no width, and a line that pretends to be the program's.
const STEERING: &str =
    "told\u{1b}]0;owned\u{7}\u{1b}[2J\u{1b}[8m\u{9b}31m\u{7f}\u{202e}\u{2066}\u{200b}\r\n\tfaked";

/// Panics if an output holds control sequences other than the program's own colours and progress line.
fn assert_harmless(seen: &str) {
    for sequence in seen.split('\u{1b}').skip(1) {
        let end = sequence.find(|c: char| c.is_ascii_alphabetic()).expect("a whole sequence");
        let is_ours = sequence.starts_with('[') && "mKAB".contains(&sequence[end..=end]);
        assert!(is_ours && !sequence.starts_with("[8m"), "{seen:?}");
    }
    let steers = |c: char| {
        c.is_control() && !"\u{1b}\r\n".contains(c) || "\u{202e}\u{2066}\u{200b}".contains(c)
    };
    assert!(!seen.contains(steers), "{:?} in {seen:?}", seen.chars().find(|&c| steers(c)));
    let fakes = |line: &str| line.trim_start().starts_with("faked");
    assert!(!seen.split(['\r', '\n']).any(fakes), "{seen:?}");
}

/// Panics unless the text is there in its escaped form.
fn assert_shown(seen: &str) {
    assert_harmless(seen);
    assert!(seen.contains(r"told\u{1b}]0;owned\u{7}\u{1b}[2J"), "{seen:?}");
}

/// Runs a command, which may fail, and returns both of its outputs joined.
fn on_pipes(context: &TestContext, args: &[&str]) -> String {
    let ran = context.llem(args);
    ran.stdout + &ran.stderr
}

#[test]
fn a_script_steers_no_terminal_while_it_runs() {
    let (component, text) = (guest("reports_text"), format!("text={STEERING}"));
    let args = ["exec", &component, "-p", &text, "-p", "fails=true"];
    let context = TestContext::new();
    let seen = on_terminal(context.command(&args));
    assert_shown(&seen);
    for words in ["script:", "warning:", "error:"] {
        assert!(console::strip_ansi_codes(&seen).contains(words), "no '{words}' in {seen:?}");
    }
    assert_shown(&on_pipes(&TestContext::new(), &args));
}

/// Makes a run that reported `text` `count` times, replaces texts in its journal, and removes its record.
fn lost_record(count: usize, exchange: &[(&str, &str)]) -> TestContext {
    let (context, number) = (TestContext::new(), format!("count={count}"));
    context.llem(&["exec", &guest("reports_text"), "-p", &number]).ok();
    let journal = context.folder.path().join("run/events.jsonl");
    let text = fs::read_to_string(&journal).unwrap();
    // The first line holds the command line, which the user wrote.
    let (started, told) = text.split_once('\n').unwrap();
    let mut told = told.to_owned();
    for (plain, other) in exchange {
        assert!(told.contains(plain), "no {plain}");
        told = told.replace(plain, other);
    }
    fs::write(&journal, format!("{started}\n{told}")).unwrap();
    fs::remove_file(context.folder.path().join("run/run.json")).unwrap();
    context
}

/// Returns a text as JSON has it, without the quotes.
fn in_json(text: &str) -> String {
    serde_json::to_string(text).unwrap().trim_matches('"').to_owned()
}

#[test]
fn a_record_steers_no_terminal() {
    // Every text of the journal that contains the word.
    let context = lost_record(2, &[("text", &in_json(STEERING)), ("cpu", &in_json(STEERING))]);
    let seen = on_terminal(context.command(&["recover", "run"]));
    assert_shown(&seen);
    assert!(!seen.contains("could not be read"), "{seen}");
    for head in ["requests", "metrics", "table of the script", "warning"] {
        assert!(console::strip_ansi_codes(&seen).contains(head), "no {head}: {seen}");
    }
    assert_shown(&on_pipes(&context, &["recover", "run"]));
    // JSON keeps the texts unchanged.
    let seen = on_terminal(context.command(&["recover", "run", "--json"]));
    assert_harmless(&seen);
    let json = seen.rfind('}').map(|end| &seen[..=end]).unwrap();
    let shown: Value = serde_json::from_str(json).unwrap();
    assert_eq!(shown, context.record());
    assert_eq!(shown["warnings"][0], format!("the script: {STEERING}0"));
}

#[test]
fn a_component_that_describes_itself_steers_no_terminal() {
    let component = guest("steering_description");
    for args in [&["inspect", &component][..], &["inspect", &component, "--json"]] {
        assert_harmless(&on_terminal(TestContext::new().command(args)));
    }
    assert_harmless(&on_terminal(TestContext::new().command(&["exec", &component])));
}

#[test]
fn names_of_files_steer_no_terminal() {
    let file = format!("./{STEERING}.wasm");
    let adapter = format!("./{STEERING}");
    for args in [
        &["inspect", &file][..],
        &["exec", &file],
        &["recover", &file],
        &["tokenize", &file, "--chat", &file],
        &["generate", &file, "a"],
        &["generate", "synthetic:tiny", "a", "--adapter", &adapter],
        &["exec", "quickstart", "--out", "/dev/null/a", "--model", &file],
        // Arguments that clap refuses.
        &["exec", "quickstart", "-p", STEERING],
        &["exec", "quickstart", "--device", STEERING],
        &["exec", "quickstart", "--power-model", STEERING],
        &["exec", "quickstart", "--deadline", STEERING],
        &["exec", "quickstart", &format!("--{STEERING}")],
        &[STEERING],
    ] {
        let seen = on_terminal(TestContext::new().command(args));
        assert_harmless(&seen);
        assert!(console::strip_ansi_codes(&seen).contains("error:"), "{args:?}: {seen}");
        assert_harmless(&on_pipes(&TestContext::new(), args));
    }
}

/// The program's log quotes file names, too: it warns that a cache below a file is not possible.
#[test]
fn a_log_line_steers_no_terminal() {
    let context = TestContext::new();
    let cache = format!("{}/{STEERING}", context.file("file", ""));
    let mut command = context.command(&["exec", &guest("noop")]);
    command.env("LLEM_CACHE", cache);
    let seen = on_terminal(command);
    assert_shown(&seen);
    assert!(console::strip_ansi_codes(&seen).contains("WARN"), "{seen:?}");
}

/// Makes a model folder with some of its text replaced.
fn model_folder(context: &TestContext, files: &[(&str, String)]) -> PathBuf {
    let folder = context.folder.path().join("model");
    fs::create_dir(&folder).unwrap();
    for (source, name) in [
        ("llama/tied", "config.json"),
        ("llama/tied", "model.safetensors"),
        ("tokenizer", "tokenizer.json"),
    ] {
        fs::copy(fixtures().join(source).join(name), folder.join(name)).unwrap();
    }
    for (name, content) in files {
        fs::write(folder.join(name), content).unwrap();
    }
    folder
}

#[test]
fn files_of_a_model_steer_no_terminal() {
    let context = TestContext::new();
    let config = format!(r#"{{"architectures": ["{0}"], "model_type": "{0}"}}"#, in_json(STEERING));
    let folder = model_folder(&context, &[("config.json", config)]);
    let seen = on_terminal(context.command(&["generate", folder.to_str().unwrap(), "a"]));
    assert_shown(&seen);

    let (context, template) =
        (TestContext::new(), format!("{{{{ messages[0].content }}}}{STEERING}"));
    let folder = model_folder(&context, &[("chat_template.jinja", template)]);
    let chat = context.file("chat.json", r#"[{"role": "user", "content": "one\ntwo"}]"#);
    let args = ["tokenize", folder.to_str().unwrap(), "--chat", &chat];
    let seen = on_terminal(context.command(&args)).replace("\r\n", "\n");
    // Line breaks of a text stay, because people read it.
    assert!(seen.starts_with("one\ntwotold\\u{1b}]0;owned"), "{seen:?}");
    assert!(!seen.contains(['\u{1b}', '\u{7}', '\u{9b}', '\u{202e}', '\u{200b}']), "{seen:?}");
}

/// A redirected text is written as it is; on a terminal it is escaped.
#[test]
fn generated_text_is_raw_in_a_pipe_and_harmless_on_a_terminal() {
    let context = TestContext::new();
    let drawn = ["generate", "synthetic:tiny", "a", "--max-new-tokens", "200", "--ignore-eos"];
    let args = [&drawn[..], &["--temperature", "100"]].concat();
    let text = context.llem(&[&args[..], &["--json"]].concat()).ok().json()["text"].clone();
    let text = text.as_str().unwrap();
    assert!(text.contains('\u{1b}'), "draw more: {text:?}");
    assert_eq!(context.llem(&args).ok().stdout, format!("{text}\n"));
    let seen = on_terminal(context.command(&args));
    let steers = |c: char| c.is_control() && !"\n\r\t".contains(c);
    assert!(!seen.contains(steers) && seen.contains(r"\u{1b}"), "{seen:?}");
    assert_harmless(&on_terminal(context.command(&[&args[..], &["--json"]].concat())));
}

#[test]
fn the_summary_is_bounded_whatever_a_record_holds() {
    let long = "long ".repeat(40_000);
    let context = lost_record(150, &[("text head", &long), ("text0 table", &long)]);
    let shown = context.llem(&["recover", "run"]).ok().stdout;
    assert!(shown.len() < 512 << 10, "{} bytes", shown.len());
    assert!(shown.contains("long long") && shown.contains('…'), "{shown}");
    for rest in [
        "50 more rows of requests",
        "50 more metrics",
        "141 more tables of the script",
        "134 more columns and 50 more rows",
        "130 more warnings",
        "more phases",
    ] {
        assert!(shown.contains(rest), "no '{rest}' in {shown}");
    }
    assert!(shown.contains("run.json"), "{shown}");
    let whole = context.llem(&["recover", "run", "--json"]).ok().json();
    assert_eq!(whole, context.record(), "JSON is not cut");
}

/// The record is complete by then, so nothing is lost.
#[test]
fn a_signal_ends_a_program_that_cannot_print() {
    for name in ["-INT", "-TERM"] {
        let ((mut write, _read), context) = (pipe(), TestContext::new());
        fill(&mut write);
        let mut command = context.command(&["exec", &guest("noop")]);
        let mut child = command.stdout(write).stderr(Stdio::null()).spawn().unwrap();
        drop(command);
        let record = context.folder.path().join("run/run.json");
        let began = Instant::now();
        while !fs::read_to_string(&record).is_ok_and(|text| text.contains("\"completed\"")) {
            assert!(began.elapsed() < Duration::from_secs(30), "the run has not ended");
            thread::sleep(Duration::from_millis(5));
        }
        // The command prints now, or soon.
        let asked = Instant::now();
        let status = loop {
            signal(&child, name);
            thread::sleep(Duration::from_millis(100));
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            assert!(asked.elapsed() < Duration::from_secs(10), "it does not end");
        };
        assert_eq!(status.code(), Some(130));
        assert_eq!(context.record()["status"], "completed");
    }
}

#[test]
fn a_full_disk_fails_the_printing_in_one_sentence() {
    for args in [&["exec", &guest("noop")][..], &["exec", &guest("noop"), "--json"]] {
        let context = TestContext::new();
        let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        CommandOutput::from_output(context.command(args).stdout(full).output().unwrap())
            .refused(1, &["No space left"]);
        assert_eq!(context.record()["status"], "completed");
    }
}
