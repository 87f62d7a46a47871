//! Generates until one of 100,000 texts appears, none of which ever will, and until nothing appears.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-stops", "0.1.0", "Generates until one of many texts appears.")
}

fn run() -> Result<()> {
    let model = Model::granted()?;
    let mut request = Request::tokens([1]).ignore_eos().max_new_tokens(1000);
    request.stop = vec![String::new()];
    drop(model.generate(&request));
    request.stop = (0..100_000).map(|number| format!("never {number}")).collect();
    loop {
        model.generate(&request)?;
    }
}
