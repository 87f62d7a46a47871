//! Loads models without end and keeps them.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-models", "0.1.0", "Loads models without end.")
}

fn run() -> Result<()> {
    let mut models = Vec::new();
    loop {
        models.push(Model::load(&LoadOptions::with_model("synthetic:tiny"))?);
    }
}
