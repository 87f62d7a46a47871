//! Loads a model of 8 billion parameters, which needs no files.

use llem_sdk::{bindings::Dtype, engine::LoadOptions, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("wants-a-large-model", "0.1.0", "Loads 8 billion parameters.")
}

fn run() -> Result<()> {
    Model::load(&LoadOptions {
        source: Some("synthetic:llama-3.1-8b".to_owned()),
        dtype: Some(Dtype::F32),
        device: None,
        parallelism: None,
        seed: None,
    })?;
    Err("it was loaded".into())
}
