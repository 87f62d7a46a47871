//! Exit codes: 0, 1 failed, 2 bad input, 130 interrupted.

use crate::untrusted::line;
use clap::error::ContextValue;
use llem_runtime::{Error, Kind};
use std::process::ExitCode;

/// A run that failed midway, or anything that is nobody's mistake.
const FAILED: u8 = 1;
/// What was given cannot be used.
const INPUT: u8 = 2;
/// Ended by a signal (128 + SIGINT).
pub const INTERRUPTED: u8 = 130;

/// Says why on standard error, in one sentence, and gives the exit code of the kind of failure.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let sentence = line(&format!("{error:#}"));
    eprintln!("{} {sentence}", console::style("error:").red().bold().for_stderr());
    ExitCode::from(code(error))
}

/// The exit code goes by the kind of the error, whatever it says.
fn code(error: &anyhow::Error) -> u8 {
    if let Some(error) = error.downcast_ref::<Error>() {
        return match error.kind() {
            Kind::Input => INPUT,
            Kind::Interrupted => INTERRUPTED,
            Kind::Bug | Kind::Limit | Kind::Failed => FAILED,
        };
    }
    if let Some(error) = error.downcast_ref::<llem_checkpoint::Error>() {
        return if error.is_input() { INPUT } else { FAILED };
    }
    match error.downcast_ref::<llem_engine::Error>() {
        Some(error) if error.is_input() => INPUT,
        _ => FAILED,
    }
}

/// Says what is wrong with a command line, or shows the help that it asks for, and ends the program. Arguments may be
/// names of files that somebody else gave.
pub fn misuse(mut error: clap::Error) -> ! {
    let quoted = error.context().filter_map(|(kind, value)| {
        let value = match value {
            ContextValue::String(text) => ContextValue::String(line(text)),
            ContextValue::Strings(texts) => {
                ContextValue::Strings(texts.iter().map(|text| line(text)).collect())
            }
            // Without colours, for those of the program cannot be told from those of an argument.
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
