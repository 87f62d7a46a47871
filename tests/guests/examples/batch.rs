//! Generates for several prompts of different lengths, alone and together.

use llem_sdk::prelude::*;

llem_sdk::experiment!(about, run);

fn about() -> About {
    About::new("batch", "0.1.0", "Compares sequences alone and in company.")
}

fn run() -> Result<()> {
    let model = Model::load_granted()?;
    let vocabulary = model.info().vocab_size;
    // Lengths of one token, a few tokens, more than a query block, and more than one prefill pass together.
    let lengths = [1, 7, 150, 63, 900, 2];
    let prompts = lengths.map(|length: u32| {
        let tokens = (0..length).map(|index| (index * index + length) % vocabulary);
        Prompt::Tokens(tokens.collect())
    });
    let generate = |prompts: &[Prompt]| {
        let request =
            Request::from_prompts(prompts.to_vec()).label("batch").max_new_tokens(12).ignore_eos();
        let generation = model.generate(&request)?;
        Ok::<_, Error>(
            generation
                .completions
                .into_iter()
                .map(|completion| completion.tokens)
                .collect::<Vec<_>>(),
        )
    };
    let together = generate(&prompts)?;
    for (prompt, tokens) in prompts.iter().zip(&together) {
        let alone = generate(std::slice::from_ref(prompt))?;
        if alone[0] != *tokens {
            return Err(
                format!("a sequence gave {tokens:?} in company and {:?} alone", alone[0]).into()
            );
        }
    }
    Ok(())
}
