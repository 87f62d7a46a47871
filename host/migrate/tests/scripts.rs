//! Commands name only what there is: parameters and datasets that scripts declare, and options that `llem exec` has.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(missing_docs, reason = "tests are named for what they show")]

use llem_migrate::Tool;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a script's `about` declares, read in its source: no guest is built for this test.
#[derive(Debug, Default)]
struct Declared {
    /// Defaults by parameter. `None` is for one that is not a literal.
    parameters: BTreeMap<String, Option<String>>,
    datasets: Vec<String>,
}

fn sources(folder: &Path) -> String {
    let mut text = String::new();
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_test = name.starts_with("test") || name.contains(".test.");
        let is_source = [".py", ".js", ".ts", ".rs"].iter().any(|ending| name.ends_with(ending));
        if path.is_dir() && !is_test {
            text += &sources(&path);
        } else if is_source && !is_test {
            text += &fs::read_to_string(&path).unwrap();
        }
    }
    text
}

fn declared(script: &str) -> Declared {
    let text = sources(&root().join("scripts").join(script));
    let mut declared = Declared::default();
    let kinds = ["text", "integer", "number", "boolean"];
    for kind in kinds {
        for call in text.split(&format!(".{kind}(")).skip(1) {
            let Some((name, rest)) = literal(call) else { continue };
            // Other methods of these names have one argument, or others.
            let Some(rest) = rest.trim_start().strip_prefix(',') else { continue };
            let rest = rest.trim_start();
            let default = match literal(rest) {
                Some((text, _)) => Some(text),
                None => constant(&text, rest.split([',', ')']).next().unwrap().trim()),
            };
            declared.parameters.entry(name).or_insert(default);
        }
    }
    for kind in ["dataset", "required_dataset", "requiredDataset"] {
        let begin = format!(".{kind}(");
        let calls = text.split(&begin).skip(1);
        declared.datasets.extend(calls.filter_map(|call| Some(literal(call)?.0)));
    }
    declared
}

/// The string literal that a text begins with, and what follows it.
fn literal(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let quote = text.chars().next().filter(|quote| ['"', '\''].contains(quote))?;
    let (mut value, mut escaped) = (String::new(), false);
    for (at, character) in text.char_indices().skip(1) {
        match character {
            'n' if escaped => value.push('\n'),
            _ if escaped => value.push(character),
            '\\' => {
                escaped = true;
                continue;
            }
            _ if character == quote => return Some((value, &text[at + 1..])),
            _ => value.push(character),
        }
        escaped = false;
    }
    None
}

/// A number, a truth value, or the string that a constant of the script holds.
fn constant(text: &str, word: &str) -> Option<String> {
    if word.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
        return Some(word.replace('_', ""));
    }
    if ["true", "false"].contains(&word.to_lowercase().as_str()) {
        return Some(word.to_lowercase());
    }
    let name = word.trim_start_matches('&');
    let (_, rest) = text.split_once(&format!("{name} = "))?;
    Some(literal(rest)?.0)
}

#[test]
fn every_parameter_and_dataset_of_a_command_is_declared_by_the_script() {
    let mut wrong = vec![];
    let mut seen = 0;
    for tool in Tool::all() {
        let declared = declared(tool.script());
        let options = tool.options();
        let made = options.iter().flat_map(|option| option.becomes.iter().copied());
        for name in made.chain(tool.always_set().iter().copied()) {
            seen += 1;
            let is_there = match name.strip_prefix("dataset:") {
                Some(name) => declared.datasets.iter().any(|known| known == name),
                None if name.starts_with("--") => continue,
                None => declared.parameters.contains_key(name),
            };
            if !is_there {
                wrong.push(format!("{}: scripts/{} has no {name}", tool.name(), tool.script()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 150, "{seen}");
}

#[test]
fn a_default_that_a_command_leaves_out_is_the_script_s_own() {
    let mut wrong = vec![];
    let mut seen = 0;
    for tool in Tool::all() {
        let declared = declared(tool.script());
        for option in tool.options() {
            let (Some(default), Some(name)) = (option.shared_default, option.becomes.first())
            else {
                continue;
            };
            let Some(Some(own)) = declared.parameters.get(*name) else { continue };
            seen += 1;
            let same = match (default.parse::<f64>(), own.parse::<f64>()) {
                (Ok(default), Ok(own)) => default == own,
                _ => default == own,
            };
            if !same {
                wrong.push(format!(
                    "{}: {name} is {own:?} in the script, {default:?} in the tool",
                    tool.name()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(seen > 60, "{seen}");
}

#[test]
fn every_option_of_a_command_is_one_of_llem_exec() {
    let commands = root().join("host/cli/src/commands");
    let text: String = ["exec.rs", "grant_args.rs", "mod.rs"]
        .iter()
        .map(|file| fs::read_to_string(commands.join(file)).unwrap())
        .collect();
    for tool in Tool::all() {
        for name in tool.options().iter().flat_map(|option| &option.becomes) {
            let Some(name) = name.strip_prefix("--") else { continue };
            let named = text.contains(&format!("long = \"{name}\""));
            let field = text.contains(&format!("    {}: ", name.replace('-', "_")));
            assert!(named || field, "{}: llem exec has no --{name}", tool.name());
        }
    }
}

#[test]
fn a_tool_has_no_option_twice() {
    for tool in Tool::all() {
        let options = tool.options();
        let mut names: Vec<&str> =
            options.iter().flat_map(|option| option.names.split(' ')).collect();
        assert!(names.iter().all(|name| !name.is_empty()), "{}", tool.name());
        names.sort_unstable();
        let twice: Vec<&str> =
            names.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
        // An option of a command line and a setting of a file may have one name, and so may the options of two commands that
        // the tool calls.
        let allowed = ["--use-beam-search", "--profile", "--model"];
        let twice: Vec<&&str> = twice.iter().filter(|name| !allowed.contains(name)).collect();
        assert!(twice.is_empty(), "{}: {twice:?}", tool.name());
    }
}
