//! Reads a Hydra application's command line: a file of settings, and overrides of them.

use crate::{
    Error, arguments,
    given::{Given, GivenOption},
    option::{Kind, OptionRow, none, read},
    settings, yaml,
};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// Hydra's own options.
pub(crate) const OPTIONS: &[OptionRow] = &[
    read("--config-dir -cd", Kind::Text, &[]),
    read("--config-name -cn", Kind::Text, &[]),
    none(
        "--config-path -cp --experimental-rerun",
        Kind::Text,
        "files are found with --config-dir and --config-name",
    ),
    none("--multirun -m", Kind::Flag, "a run has one value each: write a loop in a shell"),
    none(
        "--info -i --cfg -c --package -p --resolve --shell-completion -sc",
        Kind::OptionalText,
        "it prints settings",
    ),
    none("--run -r", Kind::Flag, "it is what llem exec does"),
];

/// Settings that only say how Hydra itself works.
pub(crate) const SETTINGS: &[OptionRow] = &[
    none("hydra.*", Kind::Words, "folders are llem's: --out"),
    read("defaults", Kind::Words, &[]),
];

/// Reads the words: `--config-dir D --config-name N a.b=c +d.e=f ~g`, or the path of a file and overrides.
/// `tables` are those of the settings, `options` the tables of options on the command line.
pub(crate) fn read_command(
    tool: &'static str,
    options: &'static [&'static [OptionRow]],
    tables: &'static [&'static [OptionRow]],
    words: &[String],
) -> Result<Hydra, Error> {
    let options = arguments::parse(tool, options, words)?;
    let mut overrides = vec![];
    let mut file = None;
    for word in &options.words {
        if word.starts_with('~') || word.contains('=') {
            overrides.push(word.as_str());
        } else if file.is_none() {
            file = Some(PathBuf::from(word));
        } else {
            return Err(Error::UnexpectedWord { tool, word: word.clone() });
        }
    }
    if let Some(name) = options.text("--config-name") {
        file = Some(
            options
                .text("--config-dir")
                .map_or_else(|| name.into(), |dir| Path::new(dir).join(name)),
        );
    }
    let mut given = Given::new(tool, tables);
    if let Some(file) = &file
        && let Some(file) = existing(file)
    {
        add_file(&mut given, &file, 0)?;
    }
    let has_settings = !given.options.is_empty();
    for word in overrides {
        add_override(&mut given, word)?;
    }
    Ok(Hydra { options, settings: given, file, has_settings })
}

/// What a Hydra application was given.
pub(crate) struct Hydra {
    /// Options on the command line.
    pub(crate) options: Given,
    /// Settings: those of the file, then the overrides.
    pub(crate) settings: Given,
    /// The file that was named.
    pub(crate) file: Option<PathBuf>,
    /// `true` if the file was there.
    pub(crate) has_settings: bool,
}

/// The file with this name, or with `.yaml` after it.
fn existing(file: &Path) -> Option<PathBuf> {
    let mut with_ending = file.as_os_str().to_owned();
    with_ending.push(".yaml");
    [file.to_owned(), with_ending.into()].into_iter().find(|file| file.is_file())
}

/// Adds a file's settings, and before them those of files beside it that its `defaults` name.
fn add_file(given: &mut Given, file: &Path, depth: usize) -> Result<(), Error> {
    /// How long a chain of defaults may be, because files may name each other.
    const LONGEST: usize = 8;
    let tree = yaml::read(file)?;
    let beside = file.parent().unwrap_or(Path::new("."));
    let defaults = tree.get("defaults").and_then(Value::as_array).into_iter().flatten();
    for default in defaults {
        match default {
            // The tool's own settings and the file itself are named like files.
            Value::String(name) => {
                if depth < LONGEST
                    && name != "_self_"
                    && let Some(above) = existing(&beside.join(name)).filter(|above| above != file)
                {
                    add_file(given, &above, depth + 1)?;
                }
            }
            // `backend: pytorch` chooses a group of settings: it is kept as the setting `backend.name`.
            Value::Object(groups) => {
                for (group, name) in groups {
                    let group = group.trim_start_matches("override ").trim_start_matches('/');
                    let tree = serde_json::json!({ group: { "name": name } });
                    settings::add(given, &tree)?;
                }
            }
            _ => {}
        }
    }
    settings::add(given, &tree)
}

/// Adds `a.b=c`, `+a.b=c`, `++a.b=c`; removes by `~a.b`. `backend=vllm` chooses a group.
fn add_override(given: &mut Given, word: &str) -> Result<(), Error> {
    if let Some(path) = word.strip_prefix('~') {
        given.options.retain(|option| !is_below(&option.name, path));
        return Ok(());
    }
    let word = word.trim_start_matches('+');
    let (path, value) = word.split_once('=').unwrap_or((word, ""));
    if path == "hydra" || path.starts_with("hydra.") || path.starts_with("hydra/") {
        return Ok(());
    }
    let group = (!path.contains('.')).then(|| format!("{path}.name"));
    let is_group = |path: &str| given.rows().any(|row| row.names().any(|name| name == path));
    let path = group.filter(|path| is_group(path)).unwrap_or_else(|| path.to_owned());
    let value = yaml::parse(value).unwrap_or_else(|_| Value::String(value.to_owned()));
    let nested = path
        .rsplit('.')
        .fold(value, |value, key| Value::Object([(key.to_owned(), value)].into_iter().collect()));
    settings::add(given, &nested)
}

fn is_below(path: &str, above: &str) -> bool {
    path == above || path.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
}

/// The setting as it was given last, `${...}` in it being refused, because only Hydra can replace it.
pub(crate) fn last<'a>(given: &'a Given, path: &str) -> Result<Option<&'a GivenOption>, Error> {
    match given.option(path) {
        Some(option) if option.values.iter().any(|value| value.contains("${")) => {
            let value = option.values.join(",");
            Err(given.wrong(path, &value, "its value instead of an interpolation"))
        }
        option => Ok(option),
    }
}
