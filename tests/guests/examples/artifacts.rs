//! Writes two artifacts of one name, and logs the result of the second call.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("artifacts", "0.1.0", "Writes two artifacts of one name.")
}

fn run() -> Result<()> {
    report::write_artifact("a.txt", b"first")?;
    report::write_artifact("b.txt", b"other")?;
    let again = report::write_artifact("a.txt", b"second");
    report::log(Level::Info, &format!("again: {again:?}"));
    Ok(())
}
