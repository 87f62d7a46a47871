//! The exit codes: 0 success, 1 failure, 2 bad input, 130 interrupted.

use crate::{project::ProjectError, replay::ReplayError, untrusted::line};
use clap::error::ContextValue;
use llem_runtime::{Error, ErrorKind};
use std::process::ExitCode;

/// A run that failed midway, or another failure that is not the user's mistake.
const FAILED: u8 = 1;
/// Something that the user gave cannot be used.
const INPUT: u8 = 2;
/// The run was ended by a signal (128 + SIGINT).
pub(crate) const INTERRUPTED: u8 = 130;

/// Prints the error on standard error in one sentence, and returns its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let sentence = line(&format!("{error:#}"));
    eprintln!("{} {sentence}", console::style("error:").red().bold().for_stderr());
    ExitCode::from(code(error))
}

/// The exit code of an error. It depends on the kind of the error and never on its text.
fn code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<Error>() {
        return match error.kind() {
            ErrorKind::Input => INPUT,
            ErrorKind::Interrupted => INTERRUPTED,
            ErrorKind::Bug | ErrorKind::Limit | ErrorKind::Failed => FAILED,
        };
    }
    if error.is::<ReplayError>() || error.is::<llem_migrate::Error>() {
        return INPUT;
    }
    if let Some(error) = error.downcast_ref::<ProjectError>() {
        return if error.is_input() { INPUT } else { FAILED };
    }
    if let Some(error) = error.downcast_ref::<llem_checkpoint::Error>() {
        return if error.is_input() { INPUT } else { FAILED };
    }
    if let Some(error) = error.downcast_ref::<llem_bundle::Error>() {
        return if error.is_input() { INPUT } else { FAILED };
    }
    match error.downcast_ref::<llem_engine::Error>() {
        Some(error) if error.is_input() => INPUT,
        _ => FAILED,
    }
}

/// Prints what is wrong with a command line, or the help that it asks for, and exits. Arguments may be file names that
/// somebody else chose, so they are made safe.
pub(crate) fn exit_with_usage(mut error: clap::Error) -> ! {
    let quoted = error.context().filter_map(|(kind, value)| {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(line(text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| line(text)).collect())
            }
            // The colours are removed, because the program's colours cannot be told from those in an argument.
            ContextValue::StyledStrs(tips) => ContextValue::StyledStrs(
                tips.iter().map(|tip| line(&tip.to_string()).into()).collect(),
            ),
            _ => return None,
        };
        Some((kind, value))
    });
    for (kind, value) in quoted.collect::<Vec<_>>() {
        error.insert(kind, value);
    }
    error.exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_depends_on_the_kind_of_the_error() {
        let code = |error: Error| code(&error.into());
        let text = || "a sentence".to_owned();
        assert_eq!(code(Error::Input(text())), INPUT);
        assert_eq!(code(Error::Limit(text())), FAILED);
        assert_eq!(code(Error::Failed(text())), FAILED);
        assert_eq!(code(Error::Bug(text())), FAILED);
        assert_eq!(code(Error::Interrupted), INTERRUPTED);
        assert_eq!(code(Error::Script { kind: ErrorKind::Input, message: text() }), INPUT);
        assert_eq!(code(Error::Script { kind: ErrorKind::Failed, message: text() }), FAILED);
        assert_eq!(code(Error::Aborted { component: text(), last_error: None }), FAILED);
    }

    #[test]
    fn errors_of_the_engine_have_exit_codes_too() {
        assert_eq!(code(&llem_engine::Error::Invalid("x".to_owned()).into()), INPUT);
        assert_eq!(code(&llem_engine::Error::Bug("x".to_owned()).into()), FAILED);
        assert_eq!(code(&anyhow::anyhow!("x")), FAILED);
    }
}
