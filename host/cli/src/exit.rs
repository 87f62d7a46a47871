//! Exit codes: 0, 1 failed, 2 bad input, 130 interrupted.

use std::process::ExitCode;

/// Says why on standard error, in one sentence, and gives the exit code of the kind of failure.
pub fn report(error: &anyhow::Error) -> ExitCode {
    let (code, sentence) = classify(error);
    eprintln!("{} {sentence}", console::style("error:").red().bold().for_stderr());
    ExitCode::from(code)
}

fn classify(error: &anyhow::Error) -> (u8, String) {
    let code = if let Some(error) = error.downcast_ref::<llem_runtime::Error>() {
        match error {
            llem_runtime::Error::Input(_) => 2,
            llem_runtime::Error::Failed(_)
            | llem_runtime::Error::Limit(_)
            | llem_runtime::Error::Bug(_)
            | llem_runtime::Error::Script(_)
            | llem_runtime::Error::Aborted { .. } => 1,
            llem_runtime::Error::Interrupted => 130,
        }
    } else if let Some(error) = error.downcast_ref::<llem_engine::Error>() {
        if error.is_input() { 2 } else { 1 }
    } else {
        1
    };
    (code, format!("{error:#}"))
}
