//! Attaches adapters without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("hoards-adapters", "0.1.0", "Attaches adapters without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    for seed in 0u64.. {
        model.attach_adapter(&format!("synthetic:rank=8,seed={seed}"))?;
    }
    Ok(())
}
