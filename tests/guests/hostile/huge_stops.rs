//! Generates with 100,000 stop texts that never appear, and with an empty stop text.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-stops", "0.1.0", "Generates until one of many texts appears.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let mut request = Request::from_tokens([1]).ignore_eos().max_new_tokens(1000);
    request.stop_texts = vec![String::new()];
    drop(model.generate(&request));
    request.stop_texts = (0..100_000).map(|number| format!("never {number}")).collect();
    loop {
        model.generate(&request)?;
    }
}
