//! The command line of a record, which can be changed and written again.

use super::ReplayError;
use clap::{Command, builder::ValueParser, parser::ValueSource};

/// What stands in a record in place of a secret.
pub(crate) const NOT_RECORDED: &str = "(not recorded)";

/// The options of a recorded command line, each as often as it was given.
///
/// Values stay texts: they are parsed when the changed command line is, because a file of the record may not be where it was.
#[derive(Debug)]
pub(crate) struct RecordedCommand {
    given: Vec<GivenOption>,
}

/// An option or a positional argument as it was given.
#[derive(Debug)]
struct GivenOption {
    /// The long name. `None` means a positional argument.
    name: Option<String>,
    /// The value. `None` means a flag, or an option that was given without its value.
    value: Option<String>,
}

impl RecordedCommand {
    /// Parses the words of a record's command, which begin with the program's name and `exec`, as `command` defines its options.
    ///
    /// # Errors
    /// The words are not a `llem exec`, or have options that `command` does not have.
    pub(crate) fn parse(
        words: &[String],
        command: Command,
        version: &str,
    ) -> Result<Self, ReplayError> {
        let words = match words {
            [_, exec, words @ ..] if exec == "exec" => words,
            _ => return Err(ReplayError::NotExec),
        };
        let texts = command.mut_args(|arg| match arg.get_action().takes_values() {
            true => arg.value_parser(ValueParser::string()),
            false => arg,
        });
        let mut texts = texts.no_binary_name(true);
        let matches = texts.try_get_matches_from_mut(words);
        let matches = matches.map_err(|error| ReplayError::options(&error, version))?;
        let mut given = Vec::new();
        for arg in texts.get_arguments() {
            let id = arg.get_id().as_str();
            // Defaults and environment variables apply again when the command is parsed.
            if matches.value_source(id) != Some(ValueSource::CommandLine) {
                continue;
            }
            let name = arg.get_long().map(str::to_owned);
            if !arg.get_action().takes_values() {
                given.push(GivenOption { name, value: None });
                continue;
            }
            for occurrence in matches.get_raw_occurrences(id).into_iter().flatten() {
                let values: Vec<_> =
                    occurrence.map(|value| Some(value.to_string_lossy().into_owned())).collect();
                let values = if values.is_empty() { vec![None] } else { values };
                given.extend(
                    values.into_iter().map(|value| GivenOption { name: name.clone(), value }),
                );
            }
        }
        Ok(Self { given })
    }

    /// Returns true if an option was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.given.iter().any(|given| given.name.as_deref() == Some(name))
    }

    /// Returns the values of an option, in their order.
    pub(crate) fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let of_name = self.given.iter().filter(move |given| given.name.as_deref() == Some(name));
        of_name.filter_map(|given| given.value.as_deref())
    }

    /// Removes all values of an option.
    pub(crate) fn remove(&mut self, name: &str) {
        self.given.retain(|given| given.name.as_deref() != Some(name));
    }

    /// Adds an option with a value.
    pub(crate) fn add(&mut self, name: &str, value: impl Into<String>) {
        self.given.push(GivenOption { name: Some(name.to_owned()), value: Some(value.into()) });
    }

    /// Replaces every value of an option, or of the positional arguments if `name` is `None`.
    pub(crate) fn replace(
        &mut self,
        name: Option<&str>,
        mut replaced: impl FnMut(&str) -> Result<String, ReplayError>,
    ) -> Result<(), ReplayError> {
        let of_name = self.given.iter_mut().filter(|given| given.name.as_deref() == name);
        for value in of_name.filter_map(|given| given.value.as_mut()) {
            *value = replaced(value)?;
        }
        Ok(())
    }

    /// Refuses a value that still lacks a secret.
    pub(crate) fn check_secrets(&self) -> Result<(), ReplayError> {
        let lacks = |given: &&GivenOption| {
            given.value.as_ref().is_some_and(|value| value.contains(NOT_RECORDED))
        };
        match self.given.iter().find(lacks) {
            Some(given) => Err(ReplayError::SecretOption(given.name.clone().unwrap_or_default())),
            None => Ok(()),
        }
    }

    /// Returns the words of the command line, without the program's name.
    pub(crate) fn words(&self) -> Vec<String> {
        let (options, arguments): (Vec<_>, Vec<_>) =
            self.given.iter().partition(|given| given.name.is_some());
        let arguments = arguments.into_iter().filter_map(|given| given.value.clone());
        let options = options.into_iter().map(|given| {
            let name = given.name.as_deref().unwrap_or_default();
            given.value.as_ref().map_or(format!("--{name}"), |value| format!("--{name}={value}"))
        });
        std::iter::once("exec".to_owned()).chain(arguments).chain(options).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{Arg, ArgAction};

    fn parsed(words: &[&str]) -> Result<RecordedCommand, ReplayError> {
        let command = Command::new("exec")
            .arg(Arg::new("components").num_args(1..).action(ArgAction::Append))
            .arg(Arg::new("parameters").short('p').long("param").action(ArgAction::Append))
            .arg(
                Arg::new("seed")
                    .long("seed")
                    .value_parser(clap::value_parser!(u64))
                    .default_value("0"),
            )
            .arg(Arg::new("merge").long("merge").action(ArgAction::SetTrue))
            .arg(Arg::new("host").long("host").num_args(0..=1).require_equals(true));
        let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
        RecordedCommand::parse(&words, command, "0.1.0")
    }

    #[test]
    fn a_command_is_written_with_what_was_given_and_nothing_else() {
        let given = ["llem", "exec", "a.wasm", "-pn=1", "b.wasm", "-p", "m=", "--merge", "--host"];
        let mut command = parsed(&given).expect("a command");
        let written =
            ["exec", "a.wasm", "b.wasm", "--param=n=1", "--param=m=", "--merge", "--host"];
        assert_eq!(command.words(), written);
        command.replace(None, |file| Ok(format!("x/{file}"))).expect("replaced");
        command.remove("param");
        command.remove("host");
        command.add("seed", "5");
        assert_eq!(command.words(), ["exec", "x/a.wasm", "x/b.wasm", "--merge", "--seed=5"]);
    }

    #[test]
    fn what_this_version_does_not_have_is_named() {
        let error = parsed(&["llem", "exec", "a", "--colour=red"]).expect_err("an unknown option");
        assert!(error.to_string().contains("'--colour'"), "{error}");
        assert!(error.to_string().contains("0.1.0"), "{error}");
        assert!(matches!(parsed(&["llem", "generate", "x"]), Err(ReplayError::NotExec)));
        assert!(matches!(parsed(&[]), Err(ReplayError::NotExec)));
    }
}
