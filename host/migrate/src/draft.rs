//! A command of llem while it is being put together.

use crate::{
    LlemCommand, Migration, Note,
    given::{Given, boolean},
    option::{Kind, Target, ToolDefault},
    values,
};

/// A command and its notes.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) command: LlemCommand,
    untranslated: Vec<Note>,
    differences: Vec<Note>,
}

impl Draft {
    /// Begins a command of a script, with what the tables say of each option. Options with [`Target::Read`] are the
    /// caller's.
    pub(crate) fn new(script: &str, given: &Given) -> Self {
        let mut draft =
            Self { command: LlemCommand::new(script), untranslated: vec![], differences: vec![] };
        for row in given.rows() {
            let ToolDefault::Set(value) = row.default else { continue };
            match row.target {
                Target::Parameter(name) => draft.parameter(name, value),
                Target::Exec(name) => draft.exec(name, value),
                Target::Read(_) | Target::Nothing(_) => {}
            }
        }
        draft.add(given);
        draft
    }

    /// Adds what the tables say of each option that was given.
    pub(crate) fn add(&mut self, given: &Given) {
        for option in &given.options {
            let value = option.values.join(",");
            let value = match option.row.kind {
                Kind::Flag => boolean(&value).unwrap_or(true).to_string(),
                _ => value,
            };
            match option.row.target {
                Target::Parameter(name) => self.parameter(name, value),
                Target::Exec(name) if option.row.kind == Kind::Flag => {
                    if value == "true" {
                        self.switch(name);
                    }
                }
                Target::Exec(name) => self.exec(name, value),
                Target::Read(_) => {}
                Target::Nothing(why) => self.untranslated(&option.shown, why),
            }
        }
    }

    /// Sets a parameter of the script.
    pub(crate) fn parameter(&mut self, name: &str, value: impl ToString) {
        self.command.set_parameter(name, value.to_string());
    }

    /// Sets an option of `llem exec`.
    pub(crate) fn exec(&mut self, name: &str, value: impl ToString) {
        self.command.set_option(name, Some(value.to_string()));
    }

    /// Sets an option of `llem exec` that takes no value.
    pub(crate) fn switch(&mut self, name: &str) {
        self.command.set_option(name, None);
    }

    /// Adds an adapter beside those that there are.
    pub(crate) fn adapter(&mut self, source: impl ToString) {
        self.command.add_option("--adapter", source.to_string());
    }

    /// Grants a file as a dataset of the script.
    pub(crate) fn dataset(&mut self, name: &str, path: impl ToString) {
        self.command.set_dataset(name, path.to_string());
    }

    /// Sets the model, with the revision of a repository of the Hub if there is one.
    pub(crate) fn model(&mut self, source: &str, revision: Option<&str>) {
        let source = match revision {
            Some(revision) if revision != "main" => format!("{source}@{revision}"),
            _ => source.to_owned(),
        };
        self.exec("--model", source);
    }

    /// Sets the number format, or notes that llem does not have it. `shown` is the option as it was given.
    pub(crate) fn dtype(&mut self, dtype: &str, shown: &str) {
        match values::dtype(dtype) {
            Some(Some(dtype)) => self.exec("--dtype", dtype),
            Some(None) => {}
            None => self.untranslated(shown, "llem computes in f32, bf16 or f16"),
        }
    }

    /// Sets the device, or notes that llem does not have it. `shown` is the option as it was given.
    pub(crate) fn device(&mut self, device: &str, shown: &str) {
        match values::device(device) {
            Some(device) => self.exec("--device", device),
            None => self.untranslated(shown, "llem computes on cpu and cuda:N"),
        }
    }

    /// Adds that an option has no counterpart.
    pub(crate) fn untranslated(&mut self, option: &str, why: &'static str) {
        self.untranslated.push(Note::Untranslated { option: option.to_owned(), why });
    }

    /// Adds that the method or the numbers differ.
    pub(crate) fn note(&mut self, sentence: impl Into<String>) {
        let note = Note::Difference(sentence.into());
        if !self.differences.contains(&note) {
            self.differences.push(note);
        }
    }

    /// Removes differences that begin so, because they turned out not to hold.
    pub(crate) fn forget(&mut self, beginning: &str) {
        self.differences.retain(|note| !note.to_string().starts_with(beginning));
    }

    /// Notes that the tool computes on a GPU by itself, where llem takes the CPU, unless the command has a device.
    pub(crate) fn note_device(&mut self) {
        if !self.command.has_option("--device") {
            self.note("llem runs on the CPU by default: add --device cuda:0 for a GPU");
        }
    }

    /// The command with its notes.
    pub(crate) fn into_migration(self) -> Migration {
        let notes = self.untranslated.into_iter().chain(self.differences).collect();
        Migration { commands: vec![self.command], notes }
    }
}
