//! Decodes until the host ends it.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("long-decode", "0.1.0", "Decodes for as long as it is let.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    loop {
        model.generate(
            &Request::from_text("on and on").label("endless").max_new_tokens(4000).ignore_eos(),
        )?;
    }
}
