//! Generates a single token without end.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("floods-requests", "0.1.0", "Generates a token without end.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    for number in 0u64.. {
        model.generate(&Request::from_tokens([1]).label(number.to_string()).max_new_tokens(1))?;
    }
    Ok(())
}
