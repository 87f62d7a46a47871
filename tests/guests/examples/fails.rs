//! Ends with an error of its own.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("fails", "0.1.0", "Ends with an error of its own.")
}

fn run() -> Result<()> {
    Err("the method found no steady state".into())
}
