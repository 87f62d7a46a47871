//! The tools, and how a command shows which it is.

use crate::{Error, Migration, Note, OptionInfo, option::OptionRow, tools::TOOLS};

/// A command of another tool that llem has a script for.
#[derive(Debug)]
pub struct Tool {
    /// The command as its documentation writes it: `vllm bench serve`.
    pub(crate) name: &'static str,
    /// The ways to write it: words that a command begins with. Of a path, the last part counts.
    pub(crate) spellings: &'static [&'static str],
    /// The script that does the same, a folder in `scripts/`.
    pub(crate) script: &'static str,
    /// The tables of its options, and of the settings in its files.
    pub(crate) tables: &'static [&'static [OptionRow]],
    /// Parameters of the script that the tool's own code sets, whatever the options are.
    pub(crate) sets: &'static [&'static str],
    /// Where the options were read.
    pub(crate) source: &'static str,
    pub(crate) migrate: fn(&Invocation) -> Result<Migration, Error>,
}

/// A command, split into the tool and what is given to it.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) tool: &'static Tool,
    /// Variables before the command: `ISL=1024`.
    pub(crate) variables: Vec<(String, String)>,
    /// The words after the tool's.
    pub(crate) words: Vec<String>,
}

impl Tool {
    /// All tools, by name.
    pub fn all() -> &'static [Tool] {
        TOOLS
    }

    /// The tool that a command names. Its options are not read.
    ///
    /// # Errors
    /// Fails if the words begin with no tool that is known.
    pub fn from_words(words: &[String]) -> Result<&'static Tool, Error> {
        Ok(Invocation::from_words(words)?.tool)
    }

    /// The command as its documentation writes it: `vllm bench serve`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The script that does the same, a folder in `scripts/`.
    pub fn script(&self) -> &'static str {
        self.script
    }

    /// Where the options were read: files and commits.
    pub fn source(&self) -> &'static str {
        self.source
    }

    /// The tool's options, in the order of its tables.
    pub fn options(&self) -> Vec<OptionInfo> {
        self.tables.iter().flat_map(|table| table.iter()).map(OptionInfo::from).collect()
    }

    /// Parameters of the script that commands have whatever the options are.
    pub fn always_set(&self) -> &'static [&'static str] {
        self.sets
    }

    pub(crate) fn migrate(&self, invocation: &Invocation) -> Result<Migration, Error> {
        (self.migrate)(invocation)
    }
}

/// Programs that only start others, with the number of words of theirs.
const STARTERS: [(&str, usize); 12] = [
    ("bash", 1),
    ("sh", 1),
    ("env", 1),
    ("sudo", 1),
    ("time", 1),
    ("nohup", 1),
    ("uvx", 1),
    ("uv run", 2),
    ("poetry run", 2),
    ("pdm run", 2),
    ("pipx run", 2),
    ("uv tool run", 3),
];

impl Invocation {
    pub(crate) fn from_words(words: &[String]) -> Result<Self, Error> {
        let split;
        let mut words = match words {
            [line] if line.contains(char::is_whitespace) => {
                let quotes = || Error::NoCommand("its quotes do not match".to_owned());
                split = shlex::split(line).ok_or_else(quotes)?;
                &split[..]
            }
            words => words,
        };
        let mut variables = vec![];
        loop {
            let starter = STARTERS.iter().find(|(starter, count)| {
                words.len() > *count && words[..*count].join(" ") == *starter
            });
            match (words, starter) {
                (_, Some((_, count))) => words = &words[*count..],
                ([word, rest @ ..], None) if variable(word).is_some() => {
                    variables.extend(variable(word));
                    words = rest;
                }
                ([python, rest @ ..], None) if is_python(python) => words = after_python(rest),
                // `accelerate launch --num_processes 2 -m lm_eval`: the module begins the command.
                ([first, rest @ ..], None) if first == "accelerate" || first == "torchrun" => {
                    let module = rest.iter().position(|word| word == "-m");
                    words = &rest[module.map_or(0, |at| at + 1)..];
                }
                _ => break,
            }
        }
        let find = |words: &[String]| {
            let spelled = |spelling: &&str| {
                let count = spelling.split(' ').count();
                let same = |(own, word): (&str, &String)| own == word || own == last_part(word);
                (words.len() >= count && spelling.split(' ').zip(words).all(same)).then_some(count)
            };
            let tools = TOOLS.iter().flat_map(|tool| tool.spellings.iter().map(move |s| (tool, s)));
            // The longest spelling counts, because one may begin with another.
            tools
                .filter_map(|(tool, spelling)| Some((spelled(spelling)?, tool)))
                .max_by_key(|(count, _)| *count)
        };
        // InferenceX's scripts are named by chip and engine; what they do is in variables.
        let is_inferencex = variables.iter().any(|(name, _)| name == "ISL");
        match (words.first(), find(words)) {
            (_, Some((count, tool))) => {
                Ok(Self { tool, variables, words: words[count..].to_vec() })
            }
            (_, None) if is_inferencex => {
                let tool = TOOLS.iter().find(|tool| tool.script == "inferencex");
                let tool = tool.ok_or_else(|| unknown("ISL"))?;
                Ok(Self { tool, variables, words: vec![] })
            }
            (Some(first), None) => Err(unknown(first)),
            (None, None) => Err(Error::NoCommand(format!("tools: {}", names()))),
        }
    }

    /// What becomes of the variables before the command that the tool's own code does not read.
    pub(crate) fn notes_of_variables(&self) -> Vec<Note> {
        let is_read = |name: &str| self.tool.script == "inferencex" || name == "BENCHMARK_BACKEND";
        let variables = self.variables.iter().filter(|(name, _)| !is_read(name));
        let note = |(name, value): &(String, String)| {
            // What chooses GPUs and the Hub's cache is read by llem's libraries and by llem.
            if ["CUDA_", "NVIDIA_", "HF_"].iter().any(|begin| name.starts_with(begin)) {
                return Note::Difference(format!(
                    "{name} is read by llem, too: write {name}={value} before its command"
                ));
            }
            Note::Untranslated { option: format!("{name}={value}"), why: "a variable of the tool" }
        };
        variables.map(note).collect()
    }

    /// The value of a variable before the command.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().rev().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str())
    }
}

fn names() -> String {
    TOOLS.iter().map(Tool::name).collect::<Vec<_>>().join(", ")
}

fn unknown(word: &str) -> Error {
    Error::UnknownTool { word: word.to_owned(), tools: names() }
}

/// `NAME=value`, with a name that a shell takes.
fn variable(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let first = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = first && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    is_name.then(|| (name.to_owned(), value.to_owned()))
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_python(word: &str) -> bool {
    let version = last_part(word).strip_prefix("python");
    version.is_some_and(|version| version.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

/// The words after Python's own: the module of `-m`, or the file.
fn after_python(mut words: &[String]) -> &[String] {
    while let [option, rest @ ..] = words {
        match option.as_str() {
            "-m" | "-u" | "-O" | "-s" | "-B" => words = rest,
            _ => break,
        }
    }
    words
}
