//! Panics in `run`.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("panics", "0.1.0", "Panics.")
}

fn run() -> Result<()> {
    panic!("index out of thin air")
}
