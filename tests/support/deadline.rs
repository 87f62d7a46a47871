//! Runs that their deadline ends.

use super::TestContext;

/// The longest deadline that is tried, s.
const LONGEST: u64 = 256;

/// Runs `llem exec` with a deadline of 1 s, and with twice as long a one as long as the run was not far enough. It is far
/// enough if its journal holds `sign`. Returns the context of the last run.
///
/// A deadline counts from the start of the process, so a busy machine may spend a short one before the script begins. Each
/// deadline must end its run, in its own words.
pub fn ended_by_deadline(args: &[&str], sign: &str) -> TestContext {
    let mut seconds = 1;
    loop {
        let (context, deadline) = (TestContext::new(), seconds.to_string());
        let ran = context.llem(&[args, &["--deadline", &deadline]].concat());
        ran.refused(1, &[&format!("deadline of {seconds} s"), "--deadline"]);
        if context.journal().contains(sign) {
            return context;
        }
        seconds *= 2;
        assert!(seconds <= LONGEST, "the journal never held '{sign}'");
    }
}
