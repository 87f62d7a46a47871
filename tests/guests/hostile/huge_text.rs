//! Tokenizes a huge text. A parameter sets its size in megabytes.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-text", "0.1.0", "Tokenizes a huge text.").integer(
        "megabytes",
        60,
        "its length",
    )
}

fn run() -> Result<()> {
    let megabytes: usize = parameter("megabytes")?;
    let model = Model::load_granted()?;
    loop {
        model.tokenize(&"a".repeat(megabytes << 20))?;
    }
}
