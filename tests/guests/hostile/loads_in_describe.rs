//! Loads models, opens windows and begins phases while it is asked what it is, without end.

use llem_sdk::{engine::LoadOptions, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    let mut held = (Vec::new(), Vec::new(), Vec::new());
    loop {
        held.0.extend(Model::load(&LoadOptions {
            source: Some("synthetic:llama-3.1-8b".to_owned()),
            dtype: None,
            device: None,
            parallelism: None,
            seed: None,
        }));
        held.1.extend(Window::open("described"));
        held.2.extend(Phase::begin("described"));
    }
}

fn run() -> Result<()> {
    Ok(())
}
