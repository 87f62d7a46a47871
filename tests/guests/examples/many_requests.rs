//! Generates many short requests.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("many-requests", "0.1.0", "Generates many short requests.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let _phase = Phase::begin("measure")?;
    for index in 0..100_000 {
        model.generate(
            &Request::from_tokens([1, 2, 3])
                .label(format!("request {index}"))
                .max_new_tokens(4)
                .ignore_eos(),
        )?;
    }
    Ok(())
}
