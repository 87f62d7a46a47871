//! Describes itself with an invalid name.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("../../\u{1b}[31mevil", "0.1.0", "Has a name that leads elsewhere.")
}

fn run() -> Result<()> {
    Ok(())
}
