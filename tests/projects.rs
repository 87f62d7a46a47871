//! Source code on the command line: building, caching, what a record says of it. The language's tools are doubles here, which
//! count their calls; `guest_languages/` has the real ones.

use crate::support::{CommandOutput, TestContext, guest, write_program};
use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

/// A double of componentize-py: it notes its arguments, and gives a component of the tests, or fails as `mode` says.
const COMPILER: &str = r#"#!/bin/sh
here=$(dirname "$0")
[ "$1" = --version ] && echo "componentize-py 9.8.7" && exit
echo "$*" >>"$here/calls"
case $(cat "$here/mode") in
slow) sleep 0.5 ;;
hang) sleep 60 ;;
fail) printf '\033[31mTraceback:\033[0m\n  File "method.py", line 3\nNameError: nonesuch\n' >&2; exit 7 ;;
none) exit 0 ;;
esac
while [ $# -gt 1 ]; do
  [ "$1" = -o ] && cp "$here/component.wasm" "$2"
  shift
done
"#;

/// A folder with a script, a cache and tools of its own.
struct Setting {
    context: TestContext,
}

impl Setting {
    fn new() -> Self {
        let setting = Self { context: TestContext::new() };
        let tools = setting.path("tools");
        fs::create_dir(&tools).unwrap();
        for (name, content) in [("componentize-py", COMPILER), ("python3", "#!/bin/sh\n")] {
            write_program(&tools.join(name), content);
        }
        fs::copy(guest("noop"), tools.join("component.wasm")).unwrap();
        setting.mode("good");
        setting.context.file("method.py", "import llem_sdk\n");
        setting
    }

    fn path(&self, name: &str) -> PathBuf {
        self.context.folder.path().join(name)
    }

    fn mode(&self, mode: &str) {
        self.context.file("tools/mode", mode);
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = self.context.command(args);
        command
            .env("LLEM_CACHE", self.path("cache"))
            .env("LLEM_PYTHON", self.path("tools/python3"));
        command.env_remove("VIRTUAL_ENV");
        command
    }

    fn llem(&self, args: &[&str]) -> CommandOutput {
        CommandOutput::from_output(self.command(args).output().unwrap())
    }

    /// How often the compiler was called.
    fn calls(&self) -> usize {
        fs::read_to_string(self.path("tools/calls")).unwrap_or_default().lines().count()
    }

    /// The files in the folder of built components.
    fn built(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path("cache/built")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }
}

#[test]
fn a_script_is_built_once_and_the_record_names_it() {
    let setting = Setting::new();
    let ran = setting.llem(&["exec", "method.py"]).ok();
    assert!(ran.stderr.contains("building method.py with componentize-py ..."), "{}", ran.stderr);
    let record = setting.context.record();
    let component = &record["components"][0];
    assert_eq!(component["file"], "method.py");
    let source = &component["source"];
    assert_eq!(source["language"], "python");
    assert_eq!(source["tools"]["componentize-py"], "9.8.7");
    // SHA-256 of the script, by coreutils.
    let sum = Command::new("sha256sum").arg(setting.path("method.py")).output().unwrap();
    let sum = String::from_utf8(sum.stdout).unwrap();
    let expected = format!("sha256:{}", sum.split(' ').next().unwrap());
    assert_eq!(source["file_digest"], expected);

    fs::remove_dir_all(setting.path("run")).unwrap();
    let again = setting.llem(&["exec", "method.py"]).ok();
    assert!(!again.stderr.contains("building"), "{}", again.stderr);
    assert_eq!(setting.calls(), 1);
    let wasm = setting.built().into_iter().filter(|name| name.ends_with(".wasm")).count();
    assert_eq!((wasm, setting.built().len()), (1, 2), "{:?}", setting.built());
}

#[test]
fn a_component_is_built_again_when_what_it_depends_on_changes() {
    let setting = Setting::new();
    let build = |expected: usize, why: &str| {
        setting.llem(&["build", "method.py"]).ok();
        assert_eq!(setting.calls(), expected, "{why}");
    };
    build(1, "it is new");
    build(1, "nothing has changed");
    setting.context.file("method.py", "import llem_sdk, other\n");
    build(2, "the script has changed");
    setting.context.file("other.py", "x = 1\n");
    build(3, "a module beside it is new");
    setting.context.file("test_method.py", "x = 1\n");
    setting.context.file("notes.txt", "x\n");
    build(3, "a test and a text are no part of it");
    setting.context.file("tools/componentize-py", format!("{COMPILER}# changed\n"));
    build(4, "the compiler has changed");
}

#[test]
fn the_compiler_is_given_the_world_the_module_and_the_sdk() {
    let setting = Setting::new();
    fs::create_dir(setting.path("mine")).unwrap();
    setting.context.file("mine/steady.py", "");
    let manifest = "[project]\nlanguage = \"python\"\nkind = \"warmup\"\nentry = \"steady.py\"\n";
    setting.context.file("mine/llem.toml", manifest);
    let built = setting.llem(&["build", "mine"]).ok();
    assert!(built.stdout.starts_with("mine/steady.wasm: "), "{}", built.stdout);
    assert_eq!(
        fs::read(setting.path("mine/steady.wasm")).unwrap(),
        fs::read(guest("noop")).unwrap()
    );
    let calls = fs::read_to_string(setting.path("tools/calls")).unwrap();
    assert!(calls.contains(" -w warmup componentize steady -p "), "{calls}");
    let wit = calls.split_whitespace().nth(1).unwrap();
    let [ours, packed] = [concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit"), wit]
        .map(|folder| fs::read_to_string(format!("{folder}/world.wit")).unwrap());
    assert_eq!(ours, packed);
}

#[test]
fn a_script_is_built_for_the_role_that_it_is_given_for() {
    let setting = Setting::new();
    // The double gives an experiment whatever it is asked for.
    let sentence = "method.py was given as --metrics, but exports no metrics policy";
    setting.llem(&["exec", "--metrics", "method.py"]).refused(2, &[sentence]);
    let calls = fs::read_to_string(setting.path("tools/calls")).unwrap();
    assert!(calls.contains(" -w metrics componentize method "), "{calls}");
}

#[test]
fn a_failed_build_shows_the_tools_words_without_colours_and_leaves_nothing() {
    let setting = Setting::new();
    setting.mode("fail");
    for args in [["exec", "method.py"], ["build", "method.py"], ["inspect", "method.py"]] {
        let ran = setting.llem(&args);
        ran.refused(1, &["componentize-py failed with exit code 7", "componentize method"]);
        let shown = "Traceback:\n  File \"method.py\", line 3\nNameError: nonesuch\n";
        assert!(ran.stderr.contains(shown), "{}", ran.stderr);
        assert_eq!(setting.built(), Vec::<String>::new());
    }
    setting.mode("none");
    setting.llem(&["build", "method.py"]).refused(1, &["componentize-py wrote no component"]);
    setting.mode("good");
    setting.llem(&["build", "method.py"]).ok();
}

#[test]
fn two_processes_build_one_component_once() {
    let setting = Setting::new();
    setting.mode("slow");
    let started: Vec<_> = (0..3)
        .map(|_| setting.command(&["build", "method.py"]).stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let outputs = started.into_iter().map(|child| child.wait_with_output().unwrap());
    assert!(outputs.into_iter().all(|output| output.status.success()));
    assert_eq!(setting.calls(), 1);
}

#[test]
fn a_killed_build_leaves_no_component_and_its_folder_is_removed_by_the_next() {
    let setting = Setting::new();
    setting.mode("hang");
    let mut child = setting.command(&["build", "method.py"]).spawn().unwrap();
    while setting.calls() == 0 {
        thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let left = setting.built();
    assert!(!left.iter().any(|name| name.ends_with(".wasm")), "{left:?}");
    assert!(left.iter().any(|name| name.starts_with(".building-")), "{left:?}");
    setting.mode("good");
    setting.llem(&["build", "method.py"]).ok();
    let left = setting.built();
    assert!(!left.iter().any(|name| name.starts_with(".building-")), "{left:?}");
}

#[test]
fn a_missing_tool_is_named_with_what_to_install() {
    let context = TestContext::new();
    let cases = [
        ("method.py", "", "componentize-py is needed for Python", "pip install componentize-py"),
        ("method.js", "", "componentize-qjs is needed for JavaScript", "npm install"),
        (
            "method.ts",
            "",
            "componentize-qjs is needed for JavaScript and TypeScript",
            "npm install",
        ),
        ("method.c", "", "clang with a C library for WebAssembly", "wasi-sdk"),
    ];
    for (file, content, tool, remedy) in cases {
        let file = context.file(file, content);
        let mut command = context.command(&["build", &file]);
        command.env("PATH", "/nowhere").env("XDG_CACHE_HOME", context.folder.path());
        command.env_remove("VIRTUAL_ENV").env_remove("LLEM_PYTHON");
        let ran = CommandOutput::from_output(command.output().unwrap());
        ran.refused(2, &[tool, "was not found", remedy]);
    }
    let file = context.file("method.py", "");
    let mut command = context.command(&["build", &file]);
    let ran = CommandOutput::from_output(
        command.env("LLEM_PYTHON", "/nowhere/python3").output().unwrap(),
    );
    ran.refused(2, &["LLEM_PYTHON is /nowhere/python3, which is not there"]);
}

#[test]
fn what_is_no_source_code_is_refused() {
    let context = TestContext::new();
    let text = context.file("notes.txt", "x");
    context.llem(&["build", &text]).refused(2, &["notes.txt is no source code", "llem new"]);
    context.llem(&["build"]).refused(2, &["has a llem.toml"]);
    context.llem(&["exec", "."]).refused(2, &["has a llem.toml"]);
    context.llem(&["build", "/nowhere/x.py"]).refused(2, &["cannot read /nowhere/x.py"]);
    context.llem(&["exec", "/nowhere/x.py"]).refused(2, &["cannot read /nowhere/x.py"]);
}

#[test]
fn a_new_project_has_a_plain_name_and_a_new_folder() {
    let context = TestContext::new();
    let new = |name: &str| context.llem(&["new", name, "--lang", "rust"]);
    for name in ["My-method", "a_b", "../a", "-", "a b"] {
        context.llem(&["new", "--lang", "rust", "--", name]).refused(2, &["cannot be the name"]);
    }
    let made = new("my-method").ok();
    assert!(made.stdout.contains("llem exec my-method"), "{}", made.stdout);
    new("my-method").refused(2, &["my-method exists"]);
    let manifest = fs::read_to_string(context.folder.path().join("my-method/Cargo.toml")).unwrap();
    assert!(manifest.contains("name = \"my-method\""), "{manifest}");
}

#[test]
fn a_component_may_be_text() {
    let context = TestContext::new();
    let text = include_str!("../host/runtime/examples/minimal.wat");
    let file = context.file("minimal.wat", text);
    let shown = context.llem(&["inspect", &file, "--json"]).ok().json();
    assert_eq!(shown["name"], "minimal");
    context.llem(&["exec", &file]).ok();
    let component = &context.record()["components"][0];
    assert_eq!(component["source"]["language"], "wat");
    assert_eq!(component["digest"], shown["digest"]);

    let broken = context.file("broken.wat", "(module\n  (func))\n)");
    let sentence = "broken.wat:3:1: extra tokens remaining after parse";
    context.llem(&["exec", &broken]).refused(2, &[sentence, "correct the text"]);
    let empty = context.file("empty.wat", "(module)");
    context
        .llem(&["exec", &empty])
        .refused(2, &["is a core module", "no component type", "llem new"]);
}
