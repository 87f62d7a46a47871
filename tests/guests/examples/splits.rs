//! Loads the model split in several ways, and compares the generated tokens.

use llem_sdk::{Parallelism, prelude::*};

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("splits", "0.1.0", "Compares splits of a model.")
}

fn run() -> Result<()> {
    let prompts: Vec<_> =
        (0..4).map(|index| Prompt::Tokens((3..20 + 9 * index).collect())).collect();
    let mut expected = None;
    for (tensor, pipeline, data) in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (2, 2, 1), (1, 1, 2)] {
        let split = Parallelism::new(tensor, pipeline, data);
        let label = format!("{} tp{tensor} pp{pipeline} dp{data}", split.ranks());
        let model = Model::load_split(split)?;
        if model.info().ranks.len() as u32 != split.ranks() {
            return Err("the model has other ranks than were asked for".into());
        }
        let request =
            Request::from_prompts(prompts.clone()).label(label).max_new_tokens(8).ignore_eos();
        let generation = model.generate(&request)?;
        let tokens: Vec<_> = generation.completions.into_iter().map(|one| one.tokens).collect();
        if *expected.get_or_insert_with(|| tokens.clone()) != tokens {
            return Err(format!("tp{tensor} pp{pipeline} dp{data} gives other tokens").into());
        }
    }
    Ok(())
}
