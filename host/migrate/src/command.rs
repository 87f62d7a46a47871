//! A command line of llem.

use std::fmt;

/// A command of llem that runs a script. Its `Display` is a line for a POSIX shell.
#[derive(Clone, Debug, PartialEq)]
pub struct LlemCommand {
    script: String,
    options: Vec<(String, Option<String>)>,
    datasets: Vec<(String, String)>,
    parameters: Vec<(String, String)>,
}

/// The order of the options of `llem exec` in a command: what runs, then how.
const ORDER: [&str; 10] = [
    "--model",
    "--adapter",
    "--merge",
    "--dtype",
    "--device",
    "--tp",
    "--pp",
    "--dp",
    "--ep",
    "--sharded-adapters",
];

impl LlemCommand {
    pub(crate) fn new(script: &str) -> Self {
        let script = format!("scripts/{script}");
        Self { script, options: vec![], datasets: vec![], parameters: vec![] }
    }

    /// The words of the command, unquoted: `llem`, `exec`, the script, and its options.
    pub fn words(&self) -> Vec<String> {
        let mut words = vec!["llem".to_owned(), "exec".to_owned(), self.script.clone()];
        let place = |name: &str| ORDER.iter().position(|ordered| *ordered == name);
        let mut options: Vec<_> = self.options.iter().collect();
        options.sort_by_key(|(name, _)| place(name).unwrap_or(ORDER.len()));
        for (name, value) in options {
            words.push(name.clone());
            words.extend(value.clone());
        }
        for (flag, pairs) in [("--dataset", &self.datasets), ("-p", &self.parameters)] {
            for (name, value) in pairs {
                words.extend([flag.to_owned(), format!("{name}={value}")]);
            }
        }
        words
    }

    /// The parameters of the script that the command sets.
    pub fn parameters(&self) -> &[(String, String)] {
        &self.parameters
    }

    /// Sets an option of `llem exec`. `None` is for one without a value.
    pub(crate) fn set_option(&mut self, name: &str, value: Option<String>) {
        replace(&mut self.options, name, value);
    }

    pub(crate) fn add_option(&mut self, name: &str, value: String) {
        self.options.push((name.to_owned(), Some(value)));
    }

    pub(crate) fn has_option(&self, name: &str) -> bool {
        self.options.iter().any(|(given, _)| given == name)
    }

    pub(crate) fn set_dataset(&mut self, name: &str, path: String) {
        replace(&mut self.datasets, name, path);
    }

    pub(crate) fn set_parameter(&mut self, name: &str, value: String) {
        replace(&mut self.parameters, name, value);
    }
}

fn replace<T>(pairs: &mut Vec<(String, T)>, name: &str, value: T) {
    match pairs.iter_mut().find(|(given, _)| given == name) {
        Some((_, given)) => *given = value,
        None => pairs.push((name.to_owned(), value)),
    }
}

impl fmt::Display for LlemCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words().iter().enumerate() {
            let space = if index == 0 { "" } else { " " };
            write!(f, "{space}{}", quote(word)?)?;
        }
        Ok(())
    }
}

/// Quotes a word for a POSIX shell. An equals sign is left outside of quotes, because it means nothing in an argument.
fn quote(word: &str) -> Result<String, fmt::Error> {
    // An argument of a program cannot hold a NUL, which is the one thing that a shell cannot quote.
    let quoter = shlex::Quoter::new().allow_nul(true);
    let is_plain = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_alphanumeric() || "_@%+:,./-".contains(c))
    };
    let parts = word.split('=').map(|part| match is_plain(part) {
        true => Ok(part.into()),
        false => quoter.quote(part).map_err(|_| fmt::Error),
    });
    Ok(parts.collect::<Result<Vec<_>, _>>()?.join("="))
}
