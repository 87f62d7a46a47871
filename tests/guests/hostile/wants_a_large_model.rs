//! Loads a model of 8 billion parameters, which needs no files.

use llem_sdk::{devices::Dtype, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("wants-a-large-model", "0.1.0", "Loads 8 billion parameters.")
}

fn run() -> Result<()> {
    Model::load(&LoadOptions {
        dtype: Some(Dtype::F32),
        ..LoadOptions::with_model("synthetic:llama-3.1-8b")
    })?;
    Err("it was loaded".into())
}
