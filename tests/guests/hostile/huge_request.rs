//! Generates for many prompts of one token at once. A parameter sets their number.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("huge-request", "0.1.0", "Generates for many prompts.")
        .integer("prompts", 100_000, "how many")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let prompts =
        (0..parameter("prompts")?).map(|_: usize| Request::from_tokens([1]).prompts.remove(0));
    let request = Request::from_prompts(prompts).ignore_eos().max_new_tokens(100);
    loop {
        model.generate(&request)?;
    }
}
