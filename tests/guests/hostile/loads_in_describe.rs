//! Loads models, opens windows and begins phases in `describe`, without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    let mut held = (Vec::new(), Vec::new(), Vec::new());
    loop {
        held.0.extend(Model::load(&LoadOptions::with_model("synthetic:llama-3.1-8b")));
        held.1.extend(Window::open("described"));
        held.2.extend(Phase::begin("described"));
    }
}

fn run() -> Result<()> {
    Ok(())
}
